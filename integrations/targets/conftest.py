"""The release that is exported."""
# ruff: noqa: INP001

from integrations.released import release

__all__ = ["release"]
