"""Batches of a stream, gathered into increments that are worth a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from everloop.core.errors import SourceUnreadable
from everloop.data.sources.bad_rows import BadRow
from everloop.data.sources.protocol import Increment
from everloop.data.sources.streams import BATCH_MESSAGES, StreamBatch, land


@dataclass
class _Gathered:
    """What has come since the last increment."""

    rows: list[Mapping[str, Any]] = field(default_factory=list)
    bad: list[BadRow] = field(default_factory=list)
    position: dict[str, Any] | None = None
    taken: list[Callable[[], None]] = field(default_factory=list)

    def add(self, batch: StreamBatch) -> None:
        self.rows += batch.rows
        self.bad += batch.bad
        self.position = batch.position
        if batch.taken is not None:
            self.taken.append(batch.taken)

    @property
    def is_large(self) -> bool:
        return len(self.rows) + len(self.bad) >= BATCH_MESSAGES


def increments(
    batches: Iterable[StreamBatch], scratch: Path, *, refuses: bool = False
) -> Iterator[Increment]:
    """Gives what a bounded reading of a stream gave, as increments.

    The other side is told that messages are taken once their increment is kept.

    Args:
        batches: What came.
        scratch: Where rows are written.
        refuses: Whether a message that cannot be read ends the reading.

    Raises:
        SourceUnreadable: When it does; it names the message.
    """
    gathered, number = _Gathered(), 0
    for batch in batches:
        if batch.bad and refuses:
            raise SourceUnreadable(
                batch.bad[0].sentence, hint="keep such messages aside: add bad_rows: quarantine to the source"
            )
        gathered.add(batch)
        if gathered.is_large:
            yield _increment(gathered, scratch / f"messages-{number:06d}")
            _tell(gathered)
            gathered, number = _Gathered(), number + 1
    if gathered.position is not None:
        yield _increment(gathered, scratch / f"messages-{number:06d}")
        _tell(gathered)


def _increment(gathered: _Gathered, folder: Path) -> Increment:
    return Increment(land(gathered.rows, folder), gathered.position, bad_rows=tuple(gathered.bad))


def _tell(gathered: _Gathered) -> None:
    for taken in gathered.taken:
        taken()
