"""What clients speak: one file for each protocol, each with its table of routes."""

from everloop.runtime.protocols import features, invocations, native, open_inference, tensorflow_serving

PROTOCOLS = (native, features, open_inference, tensorflow_serving, invocations)

__all__ = ["PROTOCOLS"]
