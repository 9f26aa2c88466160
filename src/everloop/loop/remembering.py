"""Which lines of the prediction log the loop still reads, and what it remembers of those before them.

Lines are read from the oldest window on that may still be judged. Of older ones it is remembered how many
have an actual, day by day. So the time and the memory that a tick takes follow the window and the delay of
labels, not the age of the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.clock import parse_time
from everloop.core.values import to_jsonable
from everloop.deploy.versions import open_rollout
from everloop.loop.after_release import watched_since
from everloop.loop.detecting import read_from
from everloop.loop.watching import JUDGED_UNTIL
from everloop.record.rows import WindowRow

if TYPE_CHECKING:
    import polars as pl

    from everloop.loop.workspace import Workspace

    Parts = Callable[..., Iterable[pl.DataFrame]]

REPEATS = timedelta(hours=1)
"""So long a client may ask again under the same id: lines this much older are read, too, to know it."""

UNSTATED = timedelta(days=30)
"""Where nothing says how late actuals come, they are counted up to so long after their predictions."""

_STATE = "labels_before"


def needed_since(workspace: Workspace) -> datetime | None:
    """Gives the time from which on the log is still needed; None while all of it is.

    That is from the oldest of these: the last window that was judged (it may wait for its decision), the
    windows that wait for their actuals, the rollout under way, the watch over a new
    champion, the events that detectors have not read.
    """
    record, name = workspace.record, workspace.name
    judged = record.find(WindowRow, lifecycle=name, order="-until", limit=1)
    if not judged or record.state(name, JUDGED_UNTIL) is None:
        return None
    waiting = record.find(WindowRow, lifecycle=name, status="open", order="since", limit=1)
    rollout = open_rollout(record, name)
    last = judged[0]
    moments = [last.since, *(row.since for row in waiting), rollout.at if rollout else None]
    moments += [read_from(workspace), watched_since(workspace)]
    if last.until is not None and last.facts.get("delay_seconds") is None:
        moments.append(last.until - UNSTATED)
    return min(moment for moment in moments if moment is not None)


@dataclass(frozen=True)
class Memory:
    """What is remembered of the lines that are read no more.

    Attributes:
        until: Up to when they were; None where there are none.
        labels: How many of them have an actual, by the day (UTC) of the prediction; days add up.
    """

    until: datetime | None = None
    labels: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, workspace: Workspace) -> Memory:
        """Reads what the record keeps."""
        kept: dict[str, Any] | None = workspace.record.state(workspace.name, _STATE)
        return cls(parse_time(kept["until"]), kept["labels"]) if kept else cls()

    def read_from(self, needed: datetime | None) -> datetime | None:
        """Gives the time from which on the log is read; None for all of it.

        Args:
            needed: From when on it is needed: earlier than before, where the file was changed.
        """
        return None if self.until is None or needed is None else min(self.until, needed) - REPEATS

    def labels_since(self, moment: datetime, answered: Parts) -> int:
        """Counts the predictions since a time whose actual is known.

        Of those that are read no more, the days count that began at that time or later.

        Args:
            moment: The time.
            answered: Gives the answers of a time and later, with their actuals, in parts.
        """
        whole = sum(n for day, n in self.labels.items() if parse_time(day) >= moment)
        since = moment if self.until is None else max(moment, self.until)
        return whole + sum(int(part["actual"].count()) for part in answered(since))

    def moved(self, needed: datetime | None, answered: Parts) -> Memory:
        """Remembers the lines that will be read no more.

        Args:
            needed: From when on lines are needed.
            answered: Gives the answers of a time and later, and before another, in parts.
        """
        import polars as pl

        if needed is None or (self.until is not None and needed <= self.until):
            return self
        counts = Counter(self.labels)
        for part in answered(self.until, needed):
            gone = part.filter(pl.col("actual").is_not_null())["time"].dt.truncate("1d")
            counts.update({to_jsonable(day): n for day, n in gone.value_counts().iter_rows()})
        return Memory(needed, dict(counts))

    def keep(self, workspace: Workspace) -> None:
        """Writes it to the record."""
        kept = {"until": to_jsonable(self.until), "labels": dict(self.labels)}
        workspace.record.set_state(workspace.name, _STATE, kept)
