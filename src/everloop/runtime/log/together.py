"""Several lines of the prediction log as one payload: the names of columns, then the lines."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from everloop.runtime.log.lines import Line
from everloop.runtime.log.short_lines import NO_NAMES, ShortLine

_DECODER = msgspec.msgpack.Decoder(list[dict[int, list[str]] | Line | ShortLine])
_APART_DECODER = msgspec.msgpack.Decoder(list[msgspec.Raw])
_ARRAY = struct.Struct(">BI")
_ARRAY_32 = 0xDD  # MessagePack's array with its length in four bytes, however many there are


def together(payloads: Sequence[bytes], names: bytes = NO_NAMES) -> bytes:
    """Gives encoded lines as one payload: a MessagePack array of the names of columns and of the lines.

    Args:
        payloads: The lines.
        names: What `short_lines.ColumnNames` encoded, once the numbers in the lines were given.
    """
    return b"".join((_ARRAY.pack(_ARRAY_32, 1 + len(payloads)), names, *payloads))


def count_together(payload: bytes | memoryview) -> int:
    """Tells how many lines `together` put into a payload."""
    return int(_ARRAY.unpack_from(payload)[1]) - 1


def decode_together(payload: bytes | memoryview) -> list[Line]:
    """Reads the lines that `together` put into a payload.

    Raises:
        ValueError: When the payload is none of lines; `msgspec.DecodeError` is one.
        KeyError: When it does not say a line's names.
    """
    found: list[Any] = _DECODER.decode(payload)
    names, *lines = found
    if not isinstance(names, dict):
        raise ValueError("a payload does not begin with the names of columns")
    return [line.whole(names) if isinstance(line, ShortLine) else line for line in lines]


def apart(payload: bytes | memoryview) -> list[bytes]:
    """Gives each line that `together` put into a payload, as it was encoded.

    Raises:
        msgspec.DecodeError: When the payload is no MessagePack array.
    """
    return [bytes(line) for line in _APART_DECODER.decode(payload)[1:]]
