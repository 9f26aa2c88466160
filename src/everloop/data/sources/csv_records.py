"""The records of a CSV file one by one, each with its line, and with what is wrong with it.

DuckDB reads a CSV file that is right, and says of one that is wrong little more than that. Then this
slower reader finds every record that cannot be used and where it stands, and goes on after it.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from everloop.data.sources.text_file import FoundFile, opened

# A quote that stays open for longer than this is a fault of its own line, not a field of the table.
MOST_LINES = 1_000


@dataclass(frozen=True, slots=True)
class Record:
    """One record.

    Attributes:
        line: The line where it begins, from 1 on.
        fields: Its fields, where it is right.
        reason: What is wrong with it, otherwise.
        text: What stands there, where it is wrong.
    """

    line: int
    fields: list[str] | None
    reason: str = ""
    text: str | None = None


class _WrongLine(Exception):
    """A line that cannot be part of a record."""


class _Lines:
    """The lines of a file, of which those after a wrong one are given again."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._again: deque[bytes] = deque()
        self.taken: list[bytes] = []
        self.number = 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._stream.readline()
        if not line:
            raise StopIteration
        self.taken.append(line)
        if len(self.taken) > MOST_LINES:
            raise _WrongLine("a quote is opened and not closed")
        if b"\0" in line:
            raise _WrongLine("it holds a NUL byte")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise _WrongLine("not UTF-8 text") from None

    def finish(self, *, lines: int | None = None) -> tuple[int, bytes]:
        """Ends a record that took these lines (None: all that were taken); gives its line and bytes."""
        count = len(self.taken) if lines is None else lines
        self._again.extendleft(reversed(self.taken[count:]))
        begun, content = self.number, b"".join(self.taken[:count])
        self.number += count
        self.taken = []
        return begun, content


def read_records(file: FoundFile, delimiter: str, width: int) -> Iterator[Record]:
    """Gives the records after the header.

    Args:
        file: A file in UTF-8 with a header.
        delimiter: What divides fields.
        width: How many fields a record has.

    Raises:
        SourceUnreadable: When the file's packing is damaged.
    """
    with opened(file) as stream:
        lines = _Lines(stream)
        _next_fields(lines, delimiter)
        lines.finish()
        while True:
            record = _read(lines, delimiter, width)
            if record is None:
                return
            if record.fields != []:
                yield record


def _read(lines: _Lines, delimiter: str, width: int) -> Record | None:
    try:
        fields = _next_fields(lines, delimiter)
    except (csv.Error, _WrongLine) as error:
        # Only the first line is given up: the rest may be records of their own.
        begun, content = lines.finish(lines=1)
        return Record(begun, None, _reason(error), _shown(content))
    if fields is None:
        return None
    begun, content = lines.finish()
    if not fields and width == 1:
        fields = [""]
    if fields and len(fields) != width:
        reason = f"{len(fields)} fields where the first line has {width}"
        return Record(begun, None, reason, _shown(content))
    return Record(begun, fields)


def _next_fields(lines: _Lines, delimiter: str) -> list[str] | None:
    return next(csv.reader(lines, delimiter=delimiter, strict=True), None)


def _reason(error: Exception) -> str:
    text = str(error)
    return "a quote is opened and not closed" if "unexpected end of data" in text else text


def _shown(content: bytes) -> str:
    return content.rstrip(b"\r\n").decode("utf-8", errors="backslashreplace").replace("\0", "\\x00")
