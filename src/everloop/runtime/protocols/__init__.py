"""What clients speak: one file for each protocol, each with its table of routes."""

from everloop.runtime.protocols import native

PROTOCOLS = (native,)

__all__ = ["PROTOCOLS"]
