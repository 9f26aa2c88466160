"""Which different texts a column of a Parquet file can hold, from its dictionary pages alone.

A text column with few different values is written as a dictionary of them, then pages of numbers that
point into it (https://parquet.apache.org/docs/file-format/data-pages/encodings/). Where all pages of a
column point, no row holds another value than those of the dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MOST_VALUES = 2_000
MOST_BYTES = 2**18
"""A dictionary with more values, or more bytes of them, is not looked at."""

_DATA, _INDEX, _DICTIONARY, _DATA_2 = 0, 1, 2, 3
_POINTS = {2, 8}
_PLAIN = {0, 2}
_CODECS = {"SNAPPY": "snappy", "GZIP": "gzip", "BROTLI": "brotli", "ZSTD": "zstd", "LZ4_RAW": "lz4_raw"}

# Fields of the format's PageHeader and of the headers in it, by their numbers.
_TYPE, _UNPACKED, _PACKED = 1, 2, 3
_HEADERS = {_DATA: 5, _DICTIONARY: 7, _DATA_2: 8}
_COUNT, _ENCODING = 1, {_DATA: 2, _DICTIONARY: 2, _DATA_2: 4}


def dictionary_texts(content: Any, chunk: Any) -> tuple[str, ...] | None:
    """Gives all texts that a part of a column can hold, and maybe some that no row has.

    Args:
        content: The bytes of the file.
        chunk: What the file's metadata says of the column in one row group.

    Returns:
        The texts; None where the pages do not tell, or tell something else than the format allows.
    """
    try:
        return _dictionary_texts(content, chunk)
    except (IndexError, ValueError, OSError, RecursionError):
        return None


def _dictionary_texts(content: Any, chunk: Any) -> tuple[str, ...] | None:
    place = chunk.dictionary_page_offset
    if place is None or chunk.physical_type != "BYTE_ARRAY":
        return None
    end = place + chunk.total_compressed_size
    texts: tuple[str, ...] | None = None
    values = 0
    while values < chunk.num_values:
        page = _Page(content, place)
        place = page.start + page.packed
        if place > end:
            return None
        if page.kind == _DICTIONARY and texts is None:
            texts = _read_texts(page, content, chunk.compression)
        elif page.kind in {_DATA, _DATA_2} and texts is not None and page.encoding in _POINTS:
            values += page.count
        elif page.kind != _INDEX:
            return None
        if texts is None:
            return None
    return texts if values == chunk.num_values else None


class _Page:
    """The header of a page, and where its content starts."""

    def __init__(self, content: Any, place: int) -> None:
        header = _Thrift(content, place)
        fields = header.fields()
        self.kind = _number(fields, _TYPE)
        inner = fields.get(_HEADERS.get(self.kind, -1), {})
        self.start = header.place
        self.packed, self.unpacked = _number(fields, _PACKED), _number(fields, _UNPACKED)
        self.count = self.encoding = 0
        if self.kind in _ENCODING:
            self.count, self.encoding = _number(inner, _COUNT), _number(inner, _ENCODING[self.kind])


def _number(fields: Any, field: int) -> int:
    """Gives a number that is not below zero, as all in page headers are."""
    value = fields.get(field) if isinstance(fields, Mapping) else None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"field {field} of a page header is no number")
    return value


def _read_texts(page: _Page, content: Any, compression: str) -> tuple[str, ...] | None:
    import pyarrow as pa

    if page.encoding not in _PLAIN or page.count > MOST_VALUES or page.unpacked > MOST_BYTES:
        return None
    held = bytes(content[page.start : page.start + page.packed])
    if compression in _CODECS:
        held = pa.decompress(held, page.unpacked, codec=_CODECS[compression], asbytes=True)
    elif compression != "UNCOMPRESSED":
        return None
    texts, place = [], 0
    for _ in range(page.count):
        size = int.from_bytes(held[place : place + 4], "little")
        text = held[place + 4 : place + 4 + size]
        place += 4 + size
        if place > len(held):
            return None
        texts.append(text.decode("utf-8"))
    return tuple(texts)


class _Thrift:
    """Reads Thrift's compact protocol, as far as page headers use it.

    https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
    """

    def __init__(self, content: Any, place: int) -> None:
        self.content = content
        self.place = place

    def fields(self) -> dict[int, Any]:
        """Reads a struct: its values by the numbers of their fields."""
        found: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._signed()
            found[number] = self._value(head & 15)
        return found

    def _value(self, kind: int) -> Any:
        if kind in {1, 2}:  # the kind of a boolean is its value
            return kind == 1
        if kind in {4, 5, 6}:
            return self._signed()
        if kind == 8:  # bytes: their number, then they
            size = self._unsigned()
            self.place += size
            return None
        if kind == 12:  # a struct
            return self.fields()
        raise ValueError(f"page headers have no value of kind {kind}")

    def _byte(self) -> int:
        self.place += 1
        return int(self.content[self.place - 1])

    def _unsigned(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:  # the last one
                return value
            shift += 7
            if shift > 63:
                raise ValueError("a number of a page header is too long")

    def _signed(self) -> int:
        value = self._unsigned()
        return (value >> 1) ^ -(value & 1)
