"""A look into an ONNX file before it is loaded: what it may not hold.

ONNX keeps large tensors in other files by path, so a package from elsewhere could make the runtime read
any file; its control flow runs without end and nests without bound; functions and operators of further
domains are somebody's code. None of them is in a package. The protocol buffers are walked by hand
(https://protobuf.dev/programming-guides/encoding, field numbers from
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), since the server does not carry the onnx library.
"""

from __future__ import annotations

from collections.abc import Iterator

from everloop.core.errors import PackageRefused

KNOWN_DOMAINS = frozenset({b"", b"ai.onnx", b"ai.onnx.ml"})
CONTROL_FLOW = frozenset({b"If", b"Loop", b"Scan", b"SequenceMap"})
"""Operators that hold graphs of their own."""

# For each kind of message, the fields that lead to further messages.
_CHILDREN = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 22: "sparse", 23: "sparse"},
}
_REFUSED = {
    ("model", 20): "trains, which a package's graph does not",
    ("model", 25): "defines operators of its own; a package's graph has those of ONNX alone",
    ("attribute", 6): "has a graph within a graph",
    ("attribute", 11): "has a graph within a graph",
}
_OPERATOR, _DOMAIN = 4, 7
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def refuse_unknown(model: bytes, name: str) -> None:
    """Refuses a model with control flow, functions, operators of further domains or tensors in other files.

    Args:
        model: The ONNX file's content.
        name: Its name, for the message.

    Raises:
        PackageRefused: When it has one of these, or the content is no ONNX model.
    """
    # A tensor can be elsewhere only by an entry with this key; without it attributes, which hold a
    # forest's numbers one by one, need no walk.
    elsewhere = b"location" in model
    waiting = [("model", memoryview(model))]
    while waiting:
        kind, message = waiting.pop()
        children = _CHILDREN.get(kind, {})
        for field, content in _fields(message, name):
            if (kind, field) in _REFUSED:
                raise PackageRefused(f"{name} {_REFUSED[kind, field]}.")
            if kind == "tensor" and _is_external(field, content):
                raise PackageRefused(f"{name} keeps a tensor in another file; a package's graph is one file.")
            if kind == "node" and isinstance(content, memoryview):
                _check_operator(field, content, name)
            child = children.get(field)
            if child and isinstance(content, memoryview) and (elsewhere or child in ("graph", "node")):
                waiting.append((child, content))


def _check_operator(field: int, content: memoryview, name: str) -> None:
    if field == _OPERATOR and bytes(content) in CONTROL_FLOW:
        told = bytes(content).decode()
        raise PackageRefused(f"{name} has the operator {told}, which holds a graph of its own.")
    if field == _DOMAIN and bytes(content) not in KNOWN_DOMAINS:
        told = bytes(content[:100]).decode(errors="replace")
        raise PackageRefused(f"{name} has an operator of {told!r}; known are those of ONNX itself.")


def _is_external(field: int, content: memoryview | int) -> bool:
    return field == _EXTERNAL_DATA or (field == _DATA_LOCATION and content != 0)


def _fields(message: memoryview, name: str) -> Iterator[tuple[int, memoryview | int]]:
    position, end = 0, len(message)
    try:
        while position < end:
            tag, position = _varint(message, position)
            wire = tag & 7
            if wire == _VARINT:
                number, position = _varint(message, position)
                yield tag >> 3, number
            elif wire == _BYTES:
                size, position = _varint(message, position)
                if position + size > end:
                    raise IndexError
                yield tag >> 3, message[position : position + size]
                position += size
            elif wire in (_FIXED64, _FIXED32):
                position += 8 if wire == _FIXED64 else 4
            else:
                raise IndexError
    except IndexError:
        raise PackageRefused(f"{name} is no ONNX model.") from None


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[position]
        position += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, position
        shift += 7
        if shift > 63:
            raise IndexError
