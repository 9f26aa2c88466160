"""Lifecycles that ship with Everloop: `everloop new NAME --example flights`."""

__all__: list[str] = []
