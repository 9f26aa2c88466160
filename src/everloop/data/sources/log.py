"""Logs: lines of text, read by a pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.digest import digest_value
from everloop.core.errors import SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.data.duck import closed_duckdb
from everloop.data.sources.bad_rows import BadRow, BadRows
from everloop.data.sources.csv_file import MISSING, NOT_UTF8_HINT
from everloop.data.sources.landed_text import TextParts, land_text
from everloop.data.sources.log_patterns import NOTHING, LogPattern, read_pattern, time_reader
from everloop.data.sources.protocol import Capabilities, Reading, Surroundings
from everloop.data.sources.source_files import SourceFiles, called
from everloop.data.sources.text_file import FoundFile, as_utf8, opened

if TYPE_CHECKING:
    from everloop.spec import LogSource

BATCH = 50_000
LINE = "\u0000line"
_ABSENT = frozenset((*MISSING, NOTHING))

Read = Callable[[str], datetime | None]


@dataclass(frozen=True, slots=True)
class _Line:
    """A line that is not empty.

    Attributes:
        number: From 1 on.
        text: The line.
        fields: Its fields; None where it cannot be used.
        moment: Its time, where lines are chosen by it.
        reason: Why it cannot be used.
    """

    number: int
    text: str
    fields: dict[str, str | None] | None
    moment: datetime | None = None
    reason: str = ""


@dataclass(frozen=True)
class Logs:
    """Log files whose lines are rows, in the order of the files' names.

    A pattern's groups are columns. Times are read as logs write them and are UTC; numbers are
    numbers; ``-`` is missing. Lines that do not match are kept aside with file and line, unless
    `bad_rows` says to refuse them. With `within`, lines older than that before the snapshot's time
    are left out; their time is the field `time`, or the one that the source's `time` names.
    """

    spec: LogSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="log",
        reads="log files by a pattern (combined, syslog, a regular expression); gzip, zstd, glob patterns; "
        "local, or any URL of fsspec",
        cheap_fingerprint=True,
        keeps_order=True,
        needs_network=False,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the digests of the files, and how many lines `within` leaves out."""
        files = self._files()
        digests = files.digests()
        if self.spec.within is None:
            return self._fingerprint(digests, 0)
        with files.fetched() as (found, _, scratch):
            old = sum(self._is_old(line) for file in found for line in self._lines(file, scratch))
        return self._fingerprint(digests, old)

    def read(self, scratch: Path) -> Reading:
        """Reads the lines as Parquet.

        Raises:
            SourceUnreachable: When no file is there.
            SourceUnreadable: When too many lines do not match, or any where they are refused.
            SpecFault: When the pattern is none, or `within` has no time to go by.
        """
        bad = BadRows(kept=self.spec.bad_rows == "quarantine", most=self.spec.most_bad_rows)
        pattern = read_pattern(self.spec.pattern)
        with self._files().fetched(scratch) as (found, digests, work):
            landed: list[tuple[FoundFile, Path]] = []
            rows = old = 0
            for position, file in enumerate(found):
                part = work / f"text.{position:06d}.parquet"
                try:
                    taken, left_out = self._land(file, part, pattern, bad, work)
                except SourceUnreadable as error:
                    bad.lose_file(file.name, error)
                    continue
                landed.append((file, part))
                rows, old = rows + taken, old + left_out
            if not landed:
                bad.settle(0, len(found), work)
                raise SourceUnreadable(f"None of the files of {self.spec.log} can be read.")
            target = work / "landed.parquet"
            with closed_duckdb(work, []) as connection:
                parts = land_text(connection, _parts(landed, pattern.columns), target, bad)
            quarantine = bad.settle(rows + old, len(found), work)
        return Reading(
            (target,), self._fingerprint(digests, old), quarantine, tuple(bad.notes), called(parts)
        )

    def _files(self) -> SourceFiles:
        return SourceFiles(self.spec.log, self.spec.options, self.surroundings)

    def _fingerprint(self, digests: Sequence[str], old: int) -> dict[str, Any]:
        asked = digest_value([self.spec.pattern, self.spec.encoding])
        found: dict[str, Any] = {"kind": "log", "pattern": asked[:16], "digests": list(digests)}
        if self.spec.within is not None:
            found["left_out"] = old
        return found

    def _land(
        self, file: FoundFile, target: Path, pattern: LogPattern, bad: BadRows, scratch: Path
    ) -> tuple[int, int]:
        """Writes a file's rows as text; gives how many, and how many were too old."""
        arrow = require("pyarrow", extra="train")
        parquet = require("pyarrow.parquet", extra="train")
        schema = arrow.schema([*((name, arrow.string()) for name in pattern.columns), (LINE, arrow.int64())])
        rows = old = 0
        read = time_reader(self.surroundings.now)
        with parquet.ParquetWriter(target, schema) as writer:
            batch: list[dict[str, Any]] = []
            for line in self._lines(file, scratch):
                if line.fields is None:
                    hint = NOT_UTF8_HINT if "UTF-8" in line.reason else None
                    bad.add(BadRow(file.name, line.number, line.reason, line.text), hint=hint)
                elif self._is_old(line):
                    old += 1
                else:
                    row = {name: _repaired(value, read) for name, value in line.fields.items()}
                    batch.append({**row, LINE: line.number})
                if len(batch) == BATCH:
                    writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
                    rows, batch = rows + len(batch), []
            writer.write_table(arrow.Table.from_pylist(batch, schema=schema))
        return rows + len(batch), old

    def _is_old(self, line: _Line) -> bool:
        within = self.spec.within
        return within is not None and line.moment is not None and line.moment < self.surroundings.now - within

    def _lines(self, file: FoundFile, scratch: Path) -> Iterator[_Line]:
        pattern = read_pattern(self.spec.pattern)
        column = self._time_column(pattern)
        read = time_reader(self.surroundings.now)
        with opened(as_utf8(file, self.spec.encoding, scratch)) as stream:
            for number, content in enumerate(stream, start=1):
                text, reason = _decoded(content, number)
                if not text:
                    continue
                fields = None if reason else pattern.fields(text)
                moment = None
                if not reason and fields is None:
                    reason = f"it does not match the pattern {_short(pattern.name)}"
                if fields is not None and column is not None:
                    stated = fields[column] or ""
                    moment = read(stated)
                    if moment is None:
                        fields, reason = None, f"{column} is no time: {_short(stated)!r}"
                yield _Line(number, text, fields, moment, reason)

    def _time_column(self, pattern: LogPattern) -> str | None:
        if self.spec.within is None:
            return None
        column = self.spec.time or "time"
        if column not in pattern.columns:
            raise SpecFault(
                f"within needs the time of a line, and the pattern has no group {column}.",
                hint=r"call it time: (?P<time>\S+), or name it beside the log: {log: ..., time: GROUP}",
                place="within",
            )
        return column


def _decoded(content: bytes, number: int) -> tuple[str, str]:
    """Gives a line's text, and what is wrong with it."""
    try:
        text = content.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        return content.decode("utf-8", errors="backslashreplace").rstrip("\r\n"), "not UTF-8 text"
    if "\0" in text:
        return text.replace("\0", "\\x00"), "it holds a NUL byte"
    return text, ""


def _repaired(value: str | None, read: Read) -> str | None:
    if value is None or value in _ABSENT:
        return None
    moment = read(value)
    return value if moment is None else moment.isoformat()


def _parts(landed: Sequence[tuple[FoundFile, Path]], columns: tuple[str, ...]) -> TextParts:
    import polars as pl

    def locate(part: int, rows: Sequence[int]) -> dict[int, tuple[int, str]]:
        table = pl.read_parquet(landed[part][1])[list(rows)]
        texts = table.select(pl.concat_str(columns, separator=" ", ignore_nulls=True)).to_series()
        return dict(zip(rows, zip(table[LINE].to_list(), texts.to_list(), strict=True), strict=True))

    return TextParts(
        tuple(path for _, path in landed), tuple(file.name for file, _ in landed), columns, locate
    )


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
