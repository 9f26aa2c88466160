"""The form of a segment: a header, then framed lines; each frame is length, CRC-32C and payload.

An actual is a line about a prediction and shares its segment, so one commit makes both durable.
What a crash left at the end (a frame that is cut off or whose checksum differs) was never
acknowledged as durable and is no line.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import msgspec

from everloop.core.errors import DataFault
from everloop.runtime.log.lines import SCHEMA, Line, decode_line

SEGMENT_FORMAT = 1
MAGIC = b"EVERLOG\n"
_FRAME = struct.Struct("<II")
_WORKER = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}"
_NAME = re.compile(rf"predictions-({_WORKER})-(\d{{8}})\.(seg|parquet)")
WORKER_NAME = re.compile(_WORKER)
"""A worker's name: also that of a pod, with its hyphens."""


@dataclass(frozen=True)
class Recovery:
    """What a writer found at the end of the segment that was left open before it.

    Attributes:
        segment: The file, or None where there was none.
        lines: How many whole lines it holds.
        bytes_dropped: How many bytes behind them were cut off.
    """

    segment: Path | None
    lines: int
    bytes_dropped: int


@dataclass(frozen=True, order=True)
class SegmentName:
    """Whose segment a file is, and the how-manieth."""

    worker: str
    number: int

    @staticmethod
    def of(path: Path) -> SegmentName | None:
        """Reads the name of a segment or of its sealed form; None for other files."""
        found = _NAME.fullmatch(path.name)
        return SegmentName(found[1], int(found[2])) if found else None

    def segment(self, folder: Path) -> Path:
        """Where the segment is."""
        return folder / f"predictions-{self.worker}-{self.number:08d}.seg"

    def sealed_predictions(self, folder: Path) -> Path:
        """Where its predictions are once it is sealed; this file says that it is."""
        return folder / f"predictions-{self.worker}-{self.number:08d}.parquet"

    def sealed_actuals(self, folder: Path) -> Path:
        """Where its actuals are once it is sealed."""
        return folder / f"actuals-{self.worker}-{self.number:08d}.parquet"

    def sealed_refusals(self, folder: Path) -> Path:
        """Where its refusals are once it is sealed; what an older release sealed has none."""
        return folder / f"refusals-{self.worker}-{self.number:08d}.parquet"


def frame(payload: bytes) -> bytes:
    """Puts length and checksum before a payload."""
    return _FRAME.pack(len(payload), google_crc32c.value(payload)) + payload


def header(worker: str) -> bytes:
    """Gives the first bytes of a segment: what it is, its form, the fields of its lines."""
    about = {"format": SEGMENT_FORMAT, "worker": worker, "schema": SCHEMA}
    return MAGIC + frame(msgspec.json.encode(about))


def payloads(content: bytes) -> Iterator[tuple[memoryview, int]]:
    """Gives each whole payload and the position behind it, up to the first that is not whole.

    The header's payload comes first; content that does not begin with a whole header gives nothing.
    """
    if content[: len(MAGIC)] != MAGIC:
        return
    yield from frames(content, len(MAGIC))


def frames(content: bytes, position: int) -> Iterator[tuple[memoryview, int]]:
    """Gives each whole payload from a position on and the position behind it, up to the first not whole."""
    view, end = memoryview(content), len(content)
    while position + _FRAME.size <= end:
        size, checksum = _FRAME.unpack_from(content, position)
        start = position + _FRAME.size
        position = start + size
        # A file system may leave zeros behind a crash: no line is empty, though its checksum would fit.
        if size == 0 or position > end or google_crc32c.value(bytes(view[start:position])) != checksum:
            return
        yield view[start:position], position


def read_segment(path: Path) -> list[Line]:
    """Reads a segment's whole lines; a torn end is left aside, so it may be written meanwhile.

    Raises:
        DataFault: When the segment is of a newer form, or a line with a right checksum is none.
    """
    return read_lines(path, 0)[0]


def read_lines(path: Path, begin: int) -> tuple[list[Line], int]:
    """Reads the whole lines of a segment behind a position, and the position behind the last of them.

    Args:
        path: The segment.
        begin: Where an earlier reading ended; 0 from the start.

    Raises:
        DataFault: When the segment is of a newer form, or a line with a right checksum is none.
    """
    with path.open("rb") as file:
        file.seek(begin)
        content = file.read()
    whole = list(payloads(content) if begin == 0 else payloads(MAGIC + content))
    if not whole:
        return [], begin
    end = whole[-1][1] + (begin - len(MAGIC) if begin else 0)
    try:
        if begin == 0:
            about = msgspec.json.decode(whole[0][0])
            if about["format"] > SEGMENT_FORMAT:
                raise DataFault(
                    f"The segment {path} has a newer form than this Everloop reads.",
                    hint="pip install -U everloop",
                )
            whole = whole[1:]
        return [decode_line(payload) for payload, _ in whole], end
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise DataFault(f"The segment {path} cannot be read: {error}.", place=str(path)) from None


def recover(path: Path) -> Recovery:
    """Cuts a segment off behind its last whole line, durably; one without a whole header is removed."""
    content = path.read_bytes()
    ends = [end for _, end in payloads(content)]
    if not ends:
        path.unlink()
        return Recovery(path, 0, len(content))
    if ends[-1] < len(content):
        with path.open("r+b") as file:
            file.truncate(ends[-1])
            os.fsync(file.fileno())
    return Recovery(path, len(ends) - 1, len(content) - ends[-1])


def segment_names(folder: Path) -> list[SegmentName]:
    """Gives the names of all segments in a folder, sealed or not, in order."""
    return sorted({name for path in folder.iterdir() if (name := SegmentName.of(path))})
