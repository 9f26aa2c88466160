"""What clients speak: one file for each protocol, each with its table of routes."""

from everloop.runtime.protocols import features, native

PROTOCOLS = (native, features)

__all__ = ["PROTOCOLS"]
