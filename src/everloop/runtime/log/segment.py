"""The form of a segment: a header, then frames of a few lines; each is length, CRC-32C and payload.

An actual is a line about a prediction and shares its segment, so one commit makes both durable.
What a crash left at the end (a frame that is cut off or whose checksum differs) was never
acknowledged as durable and holds no line. Bytes that a disk damaged further ahead cost the lines of the
frames that they are of, `MOST_TOGETHER` of each at most, and no others.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import google_crc32c
import msgspec

from everloop.core.errors import DataFault
from everloop.runtime.log.lines import SCHEMA, Line
from everloop.runtime.log.short_lines import NO_NAMES, TAG, ShortLine
from everloop.runtime.log.together import count_together, decode_together, together

SEGMENT_FORMAT = 3
MOST_TOGETHER = 32
"""So many lines share a frame at most: what a damaged byte may cost."""
MAGIC = b"EVERLOG\n"
_FRAME = struct.Struct("<II")
_checksum: Callable[[bytes], int] = google_crc32c.value
# A payload's first bytes: an array; no names, then a line, which is an array whose first element is the tag;
# or a map of names, each list an array.
_LINES = re.compile(
    rb"\xdd.{4}(?:\x80[\x90-\x9f](?:\xaaprediction|\xa6actual|\xa7refusal)|[\x81-\x8f]\x00[\x90-\x9f\xdc])",
    re.DOTALL,
)
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


@dataclass(frozen=True)
class SegmentLines:
    """The lines of the whole frames of a segment behind a position.

    Attributes:
        lines: The lines.
        end: The position behind the last of those frames.
        gaps: Where damaged bytes between whole frames begin and end.
        left: How many bytes behind the last frame are no whole one (yet).
        more: Whether there is more behind what was read.
    """

    lines: list[Line]
    end: int
    gaps: tuple[tuple[int, int], ...] = ()
    left: int = 0
    more: bool = False


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
        """Where its refusals are once it is sealed."""
        return folder / f"refusals-{self.worker}-{self.number:08d}.parquet"

    def sealed(self, folder: Path) -> tuple[Path, Path, Path]:
        """Where its predictions, actuals and refusals are once it is sealed."""
        return self.sealed_predictions(folder), self.sealed_actuals(folder), self.sealed_refusals(folder)


def frame(payload: bytes) -> bytes:
    """Puts length and checksum before a payload."""
    return _FRAME.pack(len(payload), _checksum(payload)) + payload


def framed(payloads: Sequence[bytes], names: bytes = NO_NAMES) -> bytes:
    """Gives encoded lines, `MOST_TOGETHER` at most, as one frame; the names are those of `together`."""
    return frame(together(payloads, names))


def header(worker: str) -> bytes:
    """Gives the first bytes of a segment: what it is, its form, the fields of its lines."""
    schema = {**SCHEMA, TAG: ShortLine.__struct_fields__}
    about = {"format": SEGMENT_FORMAT, "worker": worker, "schema": schema}
    return MAGIC + frame(msgspec.json.encode(about))


def pieces(content: bytes, position: int) -> Iterator[tuple[memoryview | None, int, int]]:
    """Gives each whole payload with where its frame begins and ends; None for damaged bytes between two.

    What is behind the last whole one is not given: it may still be written.
    """
    while position < len(content):
        for payload, end in frames(content, position):
            yield payload, position, end
            position = end
        found = _next_frame(content, position)
        if found is None:
            return
        yield None, position, found
        position = found


def _next_frame(content: bytes, position: int) -> int | None:
    """Finds the next whole frame behind damaged bytes: by the damaged one's own length, else by its looks."""
    if position + _FRAME.size <= len(content):
        behind = position + _FRAME.size + int(_FRAME.unpack_from(content, position)[0])
        if behind < len(content) and next(frames(content, behind), None):
            return behind
    for found in _LINES.finditer(content, position + _FRAME.size):
        begin = found.start() - _FRAME.size
        if begin > position and next(frames(content, begin), None):
            return begin
    return None


def frames(content: bytes, position: int) -> Iterator[tuple[memoryview, int]]:
    """Gives each whole payload from a position on and the position behind it, up to the first not whole."""
    view, end = memoryview(content), len(content)
    while position + _FRAME.size <= end:
        size, checksum = _FRAME.unpack_from(content, position)
        start = position + _FRAME.size
        position = start + size
        # A file system may leave zeros behind a crash: no payload is empty, though its checksum would fit.
        if size == 0 or position > end or _checksum(bytes(view[start:position])) != checksum:
            return
        yield view[start:position], position


def read_segment(path: Path) -> list[Line]:
    """Reads the lines of a segment's whole frames; a torn end is left aside, so it may be written meanwhile.

    Raises:
        DataFault: When the segment is of another form, or what has a right checksum is no line.
    """
    return read_lines(path, 0).lines


def read_lines(path: Path, begin: int, most: int = -1) -> SegmentLines:
    """Reads a segment's whole frames behind a position, those around damaged bytes among them.

    Args:
        path: The segment.
        begin: Where an earlier reading ended; 0 from the start.
        most: So many bytes are read; all where it is negative.

    Raises:
        DataFault: When the segment is of another form, or what has a right checksum is no line.
    """
    with path.open("rb") as file:
        file.seek(begin)
        content = file.read(most)
        more = bool(file.read(1))
    found = list(pieces(content, 0 if begin else _header_begin(content)))
    if not found:
        return SegmentLines([], begin, left=len(content), more=more)
    try:
        if begin == 0 and _is_header(found[0]):
            _check_form(path, found[0][0])
        return SegmentLines(
            [
                line
                for piece in found
                if piece[0] is not None and not (begin == 0 and _is_header(piece))
                for line in decode_together(piece[0])
            ],
            begin + found[-1][2],
            tuple((begin + first, begin + end) for payload, first, end in found if payload is None),
            len(content) - found[-1][2],
            more,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataFault(f"The segment {path} cannot be read: {error}.", place=str(path)) from None


def _header_begin(content: bytes) -> int:
    return len(MAGIC) if content.startswith(MAGIC) else 0


def _is_header(piece: tuple[memoryview | None, int, int]) -> bool:
    return piece[1] == len(MAGIC) and piece[0] is not None


def _check_form(path: Path, about: bytes | memoryview | None) -> None:
    """Refuses a segment whose header says another form."""
    form = msgspec.json.decode(about or b"")["format"]
    if form != SEGMENT_FORMAT:
        newer = form > SEGMENT_FORMAT
        raise DataFault(
            f"The segment {path} has {'a newer' if newer else 'an older'} form than this Everloop reads.",
            hint="pip install -U everloop" if newer else "read it with the Everloop that wrote it",
        )


def recover(path: Path) -> Recovery:
    """Cuts a segment off behind its last whole frame, durably; one without any is removed.

    Raises:
        DataFault: When the segment is of another form; it is left as it is.
    """
    content = path.read_bytes()
    found = list(pieces(content, _header_begin(content)))
    if not found:
        path.unlink()
        return Recovery(path, 0, len(content))
    if _is_header(found[0]):
        _check_form(path, found[0][0])
    end = found[-1][2]
    if end < len(content):
        with path.open("r+b") as file:
            file.truncate(end)
            os.fsync(file.fileno())
    lines = sum(count_together(piece[0]) for piece in found if piece[0] is not None and not _is_header(piece))
    return Recovery(path, lines, len(content) - end)


def segment_names(folder: Path) -> list[SegmentName]:
    """Gives the names of all segments in a folder, sealed or not, in order."""
    with os.scandir(folder) as entries:
        files = [Path(entry.path) for entry in entries if entry.is_file()]
    return sorted({name for path in files if (name := SegmentName.of(path))})
