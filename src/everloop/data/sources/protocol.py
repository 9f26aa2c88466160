"""What a source is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from everloop.core.clock import Clock, SystemClock
from everloop.core.progress import Progress, silent
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
    """

    kind: str
    reads: str
    cheap_fingerprint: bool
    keeps_order: bool
    needs_network: bool


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a source is given beside its part of the lifecycle file.

    Attributes:
        folder: The lifecycle file's folder; relative paths start there.
        clock: Waits between attempts.
        memo: Remembers the digests of files that have not changed.
        progress: Who is told.
    """

    folder: Path = field(default_factory=Path)
    clock: Clock = field(default_factory=SystemClock)
    memo: DigestMemo = field(default_factory=DigestMemo)
    progress: Progress = silent


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source gave.

    Attributes:
        files: Parquet files that together, in this order, hold the table.
        fingerprint: The identity of exactly the content that was read.
    """

    files: tuple[Path, ...]
    fingerprint: dict[str, Any]


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
