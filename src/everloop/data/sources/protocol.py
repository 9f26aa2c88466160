"""What a source is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from everloop.core.clock import Clock, SystemClock
from everloop.core.progress import Progress, silent
from everloop.data.sources.bad_rows import BadRow
from everloop.data.sources.digest_memo import DigestMemo


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a kind of source can do, as data; the support table in the docs is made from it.

    Attributes:
        kind: The name of the kind, such as ``file``.
        reads: What it reads, in words.
        cheap_fingerprint: Whether `fingerprint` costs no reading when nothing changed.
        keeps_order: Whether two readings of equal content give rows in the same order.
        needs_network: Whether reading can fail because something outside does not answer.
        incremental: Whether it can continue where it was (`IncrementalSource`).
        retries_itself: Whether an `IncrementalSource` repeats what failed by itself; otherwise its
            reading is started again, after the last increment.
        knows_columns: Whether a table without rows has its columns all the same.
        repeats: Whether a later reading, or one by another process, finds the same rows again.
    """

    kind: str
    reads: str
    cheap_fingerprint: bool
    keeps_order: bool
    needs_network: bool
    incremental: bool = False
    retries_itself: bool = False
    knows_columns: bool = True
    repeats: bool = True


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a source is given beside its part of the lifecycle file.

    Attributes:
        folder: The lifecycle file's folder; relative paths start there.
        clock: Waits between attempts.
        memo: Remembers the digests of files that have not changed.
        progress: Who is told.
        kept: A folder where incremental sources keep what they have read; None keeps nothing, so that
            every reading starts from the beginning.
        known: Fingerprints of sources by their names: what is kept of such a source is taken as it was
            then, and the source is not reached.
        as_of: The time of the snapshot that is taken; None means the clock's.
    """

    folder: Path = field(default_factory=Path)
    clock: Clock = field(default_factory=SystemClock)
    memo: DigestMemo = field(default_factory=DigestMemo)
    progress: Progress = silent
    kept: Path | None = None
    known: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    as_of: datetime | None = None

    @property
    def now(self) -> datetime:
        """The time at which the source is read: the snapshot's, else the clock's."""
        return self.as_of or self.clock.now()


@dataclass(frozen=True, slots=True)
class SourcePart:
    """A stretch of a source's rows that came together: a file, or an increment.

    Attributes:
        name: What its user calls it.
        rows: How many rows it has.
        sized: Whether that number says anything: an increment has the rows since the last reading.
    """

    name: str
    rows: int
    sized: bool = True


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source gave.

    Attributes:
        files: Parquet files that together, in this order, hold the table.
        fingerprint: The identity of exactly the content that was read.
        bad_rows: A Parquet file with the rows that could not be read (`bad_rows.BadRow`); None for none.
        notes: What a user should know of the content, in sentences.
        parts: The parts that the rows came in, in the rows' order; empty where that is not known.
    """

    files: tuple[Path, ...]
    fingerprint: dict[str, Any]
    bad_rows: Path | None = None
    notes: tuple[str, ...] = ()
    parts: tuple[SourcePart, ...] = ()


@runtime_checkable
class Source(Protocol):
    """Where raw data comes from.

    A source is made from its part of the lifecycle file and its `Surroundings`; making it reads
    nothing and reaches nothing. It never changes what it reads.

    - `read(scratch)` gives the whole table as Parquet files: the source's own, in place, or ones
      that it writes into `scratch`, an empty folder that belongs to this reading and may be removed
      when the caller is done. Types are kept. Rows stream: memory does not grow with the table.
      Two readings of equal content give equal schemas and equal rows (in the same order where the
      capabilities say so). A reading either has every row once or raises.
    - `fingerprint()` gives the identity of the content as JSON-able data: equal content, equal
      fingerprint, whatever the time, the path's modification time or the process; any changed row
      changes it. It goes into step keys and the record, so no secret is in it.
    - Errors: `SourceUnreachable` when the source does not answer or is not there, after the retries
      that make sense for its kind; `SourceUnreadable` when what it gives cannot be read, naming the
      file, and the line where there is one; `SpecFault` when its part of the lifecycle file asks
      for what cannot be. No message, cause or repr carries a secret.
    - A source may be used by one thread at a time; two sources share nothing but the memo.
    """

    capabilities: ClassVar[Capabilities]

    def read(self, scratch: Path) -> Reading:
        """Reads the whole table."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Gives the identity of the content."""
        ...


@dataclass(frozen=True, slots=True)
class Increment:
    """What an incremental source gave at once: rows that are kept together, with the place after them.

    Attributes:
        files: Parquet files with the rows, all of one schema, in the reading's scratch folder.
        position: Where a later reading continues, as JSON-able data; None where the source cannot
            continue, so that what was read takes the place of all that was kept.
        cursor: The column whose last value may have been read before: rows are compared with the
            kept ones from the first value that both have, and those that are kept already are left
            out. None where `position` is exact, such as an offset.
        bad_rows: What could not be read; kept with the rows.
    """

    files: tuple[Path, ...]
    position: dict[str, Any] | None
    cursor: str | None = None
    bad_rows: tuple[BadRow, ...] = ()


@runtime_checkable
class IncrementalSource(Protocol):
    """A source that can continue where it was.

    It is not a `Source` by itself: `open_source` wraps it into one (`keeping.KeptSource`), which
    keeps what was read as content-addressed parts with their positions, and makes the whole table
    of them. What holds for errors, secrets, types and threads of a `Source` holds here.

    - `identity()` says whose rows these are, as JSON-able data without a secret: address, query or
      topic, cursor. Kept rows belong to an identity; with another one a reading starts anew.
    - `read_after(position, scratch)` gives what is newer than a position, from the beginning for
      None: one increment or several in their order. Each is kept as soon as it is given, so a
      reading that is killed continues after its last increment. An increment without rows is fine;
      no increment means that nothing is new.
    - With a `cursor` the source gives every row at or after the position, those *at* it again: rows
      with an equal value may have come since. Equal rows count as often as they are there: where two
      are kept and the source has three, one is added.
    - Where rows may be bad, the source's `most_bad_rows` is the greatest share of all that was read.
    - Rows are only ever added. A row that changes without a new cursor value, or vanishes, is not
      noticed.
    """

    capabilities: ClassVar[Capabilities]

    def identity(self) -> dict[str, Any]:
        """Says whose rows these are."""
        ...

    def read_after(self, position: dict[str, Any] | None, scratch: Path) -> Iterator[Increment]:
        """Gives what is newer than a position; from the beginning where there is none."""
        ...
