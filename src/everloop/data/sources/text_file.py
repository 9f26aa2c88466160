"""Text files as UTF-8, whatever they were packed and encoded with."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require

CHUNK = 1 << 20
# A byte order mark says the encoding for certain; the longer marks are looked for first.
MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
PACKINGS = (".gz", ".zst")


@dataclass(frozen=True, slots=True)
class FoundFile:
    """One file of a source.

    Attributes:
        name: What its user calls it: a path or an address. Messages name this.
        path: Where its content lies here.
    """

    name: str
    path: Path

    @property
    def suffixes(self) -> list[str]:
        """The endings of its name in small letters, without that of a packing."""
        suffixes = [suffix.lower() for suffix in self.path.suffixes]
        return suffixes[:-1] if suffixes and suffixes[-1] in PACKINGS else suffixes

    def moved(self, path: Path) -> FoundFile:
        """Gives the file with its content elsewhere."""
        return FoundFile(self.name, path)


@contextmanager
def opened(file: FoundFile) -> Iterator[BinaryIO]:
    """Opens a file's unpacked bytes.

    Raises:
        SourceUnreachable: When it may not be read.
        SourceUnreadable: When its packing is damaged, at whatever place.
    """
    packing = file.path.suffix.lower()
    try:
        with _unpacked(file.path, packing) as stream:
            yield stream
    except PermissionError as error:
        raise SourceUnreachable(f"{file.name} may not be read.", hint=f"ls -l {file.path}") from error
    except (EOFError, zlib.error, OSError) as error:
        if packing not in PACKINGS:
            raise
        what = "gzip" if packing == ".gz" else "zstd"
        raise SourceUnreadable(
            f"{file.name} is not a whole {what} file: {str(error).rstrip('.')}.",
            hint="pack or copy the file again",
        ) from error


def _unpacked(path: Path, packing: str) -> BinaryIO:
    if packing == ".gz":
        return cast("BinaryIO", gzip.open(path))
    if packing == ".zst":
        arrow = require("pyarrow", extra="train")
        stream = arrow.input_stream(str(path), compression="zstd")
        return cast("BinaryIO", io.BufferedReader(stream, CHUNK))
    return path.open("rb")


def as_utf8(file: FoundFile, encoding: str | None, scratch: Path) -> FoundFile:
    """Gives a file in UTF-8: itself, or a copy where it is in another encoding.

    A byte order mark tells UTF-16 and UTF-32; other encodings cannot be told from the bytes and
    are stated.

    Args:
        file: The file.
        encoding: What the lifecycle file states; None where it states nothing.
        scratch: Where the copy is written.

    Raises:
        SpecFault: When there is no such encoding.
        SourceUnreadable: When the file is not in the encoding.
    """
    with opened(file) as stream:
        head = stream.read(4)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    stated = _known(encoding) if encoding else None
    wanted = marked or stated
    if wanted in (None, "utf-8"):
        return file
    target = scratch / f"utf8-{len(list(scratch.iterdir())):06d}{''.join(file.suffixes[-1:])}"
    try:
        with opened(file) as stream, target.open("w", encoding="utf-8", newline="") as copy:
            decoder = codecs.getincrementaldecoder(str(wanted))()
            while chunk := stream.read(CHUNK):
                copy.write(decoder.decode(chunk))
            copy.write(decoder.decode(b"", final=True))
    except UnicodeDecodeError as error:
        raise SourceUnreadable(f"{file.name} is not {wanted} text: {error.reason}.") from error
    return file.moved(target)


def has_null_byte(file: FoundFile) -> bool:
    """Tells whether a file holds a NUL byte, which no text does."""
    with opened(file) as stream:
        return any(b"\0" in chunk for chunk in iter(lambda: stream.read(CHUNK), b""))


def has_content(file: FoundFile) -> bool:
    """Tells whether there is anything but white space at the start of a file."""
    with opened(file) as stream:
        return bool(stream.read(CHUNK).removeprefix(codecs.BOM_UTF8).strip())


def _known(encoding: str) -> str:
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise SpecFault(
            f"There is no encoding {encoding!r}.",
            hint="utf-8, utf-16, latin-1, cp1252 and cp1250 are frequent ones",
        ) from None
