"""A look into an ONNX file before it is loaded: it may not point at files outside itself.

ONNX keeps large tensors in other files by path. A package from elsewhere could so make the runtime
read any file. The protocol buffers are walked by hand (https://protobuf.dev/programming-guides/encoding,
field numbers from https://github.com/onnx/onnx/blob/main/onnx/onnx.proto), since the server does not
carry the onnx library.
"""

from __future__ import annotations

from collections.abc import Iterator

from everloop.core.errors import PackageRefused

# For each kind of message, the fields that lead to further messages.
_CHILDREN = {
    "model": {7: "graph", 25: "function", 20: "training"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MOST_NESTED = 64


def refuse_external_data(model: bytes, name: str) -> None:
    """Refuses a model in which a tensor is kept in another file.

    Args:
        model: The ONNX file's content.
        name: Its name, for the message.

    Raises:
        PackageRefused: When a tensor is kept elsewhere or the content is no ONNX model.
    """
    # A tensor can be elsewhere only by an entry with this key, so most models need no walk.
    if b"location" not in model:
        return
    waiting = [("model", memoryview(model), 0)]
    while waiting:
        kind, message, depth = waiting.pop()
        if depth > _MOST_NESTED:
            raise PackageRefused(f"{name} nests deeper than {_MOST_NESTED} levels.")
        children = _CHILDREN.get(kind, {})
        for field, content in _fields(message, name):
            if kind == "tensor" and _is_external(field, content):
                raise PackageRefused(f"{name} keeps a tensor in another file; a package's graph is one file.")
            if field in children and isinstance(content, memoryview):
                waiting.append((children[field], content, depth + 1))


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
