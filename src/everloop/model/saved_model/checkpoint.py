"""The numbers of a SavedModel's variables, read by their keys: `variables.index` and the files of data.

The index is a table of LevelDB's (https://github.com/google/leveldb/blob/main/doc/table_format.md), whose
values say where in the data each array lies. Every block and every array has a checksum, which is held.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import google_crc32c
import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.saved_model.messages import Message, parsed
from everloop.model.saved_model.tensors import from_bytes, kind_of, sizes_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

INDEX = "variables/variables.index"
MOST_INDEX, MOST_DATA = 64 * 2**20, 2**30
"""Bytes of the index, and of all data."""

_FOOTER, _MAGIC = 48, 0xDB4775248B80FB57
_TRAILER = 5
"""After each block: how it is packed, and its checksum."""

_MASK_DELTA = 0xA282EAD8


class Checkpoint:
    """A SavedModel's variables; nothing is read before it is asked for.

    Args:
        folder: The SavedModel.

    Raises:
        ModelFault: When there are no variables, or their index is damaged or of no known form.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[str, NDArray[Any]] = {}
        index = folder / INDEX
        if not index.is_file():
            raise ModelFault(f"There is no {INDEX} beside it, where the numbers of its variables are.")
        if index.stat().st_size > MOST_INDEX:
            raise ModelFault(f"{INDEX} is larger than {MOST_INDEX:,} bytes.")
        try:
            entries = dict(_table(index.read_bytes()))
        except (IndexError, struct.error, ValueError) as error:
            raise ModelFault(f"{INDEX} is damaged: {error}.") from None
        header = parsed("BundleHeader", entries.pop(b"", b""), INDEX)
        if header.endianness:
            raise ModelFault(f"{INDEX} has its numbers in the order of another kind of machine.")
        self._entries = entries
        self._shards = max(1, header.num_shards)
        self._left = self._held()

    def _held(self) -> int:
        """Gives how many bytes the data has; each may be read once."""
        names = [self._data(shard) for shard in range(min(self._shards, len(self._entries)))]
        held = sum((self._folder / name).stat().st_size for name in names if (self._folder / name).is_file())
        if held > MOST_DATA:
            raise ModelFault(f"Its variables have {held:,} bytes; at most {MOST_DATA:,} are read.")
        return held

    def _data(self, shard: int) -> str:
        return f"variables/variables.data-{shard:05d}-of-{self._shards:05d}"

    def array(self, key: str) -> NDArray[Any]:
        """Gives the numbers of a key.

        Raises:
            ModelFault: When there are none, or they are damaged.
        """
        if key not in self._read:
            found = self._entries.get(key.encode())
            if found is None:
                raise ModelFault(f"{INDEX} has no numbers of {key[:100]!r}.")
            self._read[key] = self._array(parsed("BundleEntry", found, INDEX), key[:100])
        return self._read[key]

    def _array(self, entry: Message, key: str) -> NDArray[Any]:
        kind, sizes = kind_of(entry.dtype), sizes_of(entry.shape)
        name = self._data(entry.shard_id)
        if entry.slices:
            raise ModelFault(f"{INDEX} has {key!r} in slices; expected one piece.")
        if not 0 <= entry.size <= self._left or entry.offset < 0:
            raise ModelFault(f"{INDEX} claims {entry.size:,} bytes for {key!r}, more than {name} holds.")
        self._left -= entry.size
        try:
            with (self._folder / name).open("rb") as file:
                file.seek(entry.offset)
                content = file.read(entry.size)
        except OSError as error:
            raise ModelFault(f"{name} cannot be read: {error.strerror}.") from None
        if len(content) != entry.size:
            raise ModelFault(f"{name} ends before the numbers of {key!r} do.")
        if masked_checksum(content) != entry.crc32c:
            raise ModelFault(f"{name} is damaged: the numbers of {key!r} are not those that were written.")
        return from_bytes(content, np.dtype(kind).type, sizes)


def masked_checksum(content: bytes) -> int:
    """Gives the checksum that stands beside blocks and arrays: CRC-32C, masked as LevelDB does."""
    plain: int = google_crc32c.value(content)
    return ((plain >> 15 | plain << 17) + _MASK_DELTA) & 0xFFFFFFFF


def _table(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Gives the keys and values of a table, in order."""
    footer = content[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as an index does")
    at = _handle(footer, 0)[2]  # what comes first leads to notes about the table
    for _, handle in _block(content, *_handle(footer, at)[:2]):
        yield from _block(content, *_handle(handle, 0)[:2])


def _handle(content: bytes, at: int) -> tuple[int, int, int]:
    offset, at = _varint(content, at)
    size, at = _varint(content, at)
    return offset, size, at


def _block(content: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Gives the keys and values of a block; a key says only where it parts from the one before it."""
    whole = content[offset : offset + size + _TRAILER]
    if len(whole) != size + _TRAILER or size < 4:
        raise ValueError("a block ends beyond it")
    if whole[size]:
        raise ValueError("a block is compressed, which TensorFlow does not write")
    if masked_checksum(whole[: size + 1]) != struct.unpack("<I", whole[size + 1 :])[0]:
        raise ValueError("a block is not what was written")
    end = size - 4 - 4 * struct.unpack("<I", whole[size - 4 : size])[0]
    at, key = 0, b""
    while at < end:
        shared, at = _varint(whole, at)
        own, at = _varint(whole, at)
        length, at = _varint(whole, at)
        if shared > len(key) or at + own + length > end:
            raise ValueError("a key ends beyond its block")
        key = key[:shared] + whole[at : at + own]
        yield key, whole[at + own : at + own + length]
        at += own + length


def _varint(content: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift <= 63:
        byte = content[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
    raise ValueError("a number has no end")
