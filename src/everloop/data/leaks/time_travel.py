"""Values from after the decision, and parts that overlap in time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.values import to_jsonable
from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.values import moment_text, times_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts

KIND = "time travel"
SCHEDULE_ROWS = 20
"""A time that was planned lies a round span after the decision: so many rows share each span."""

FEWEST_ROWS = 5
SHARE = 0.001
"""Fewer rows than this part of all are mistakes of a clock."""


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds inputs that lie after the decision, and parts of a split by time that are out of order."""
    time = parts.frame.time
    if time is None or time not in parts.train.columns:
        return
    if parts.split_by == "time":
        yield from _out_of_order(parts, time)
    decided = times_of(parts.train[time])
    if decided is None:
        return
    near = (float(np.nanmin(decided)), float(np.nanmax(decided))) if np.isfinite(decided).any() else None
    for name in parts.candidates:
        if name == time:
            continue
        known = times_of(parts.train[name], near)
        if known is not None:
            yield from _later(parts, name, known, decided)


def _later(parts: Parts, name: str, known: Any, decided: Any) -> Iterator[LeakFinding]:
    rows = np.flatnonzero(known > decided)
    if len(rows) < max(FEWEST_ROWS, SHARE * len(known)):
        return
    spans = known[rows] - decided[rows]
    if len(np.unique(spans)) * SCHEDULE_ROWS <= len(spans):
        return  # as of what was planned: due in 30 days
    time = parts.frame.time
    yield LeakFinding(
        KIND,
        name,
        "error",
        f"{name} is after {time}, when the decision is made, in {len(rows):,} of {len(known):,} training "
        "rows: "
        "it was not known then.",
        {
            "rows": len(rows),
            "median hours after": float(np.median(spans)) / 3.6e9,
            "examples": [(moment_text(decided[row]), moment_text(known[row])) for row in rows[:5]],
        },
    )


def _out_of_order(parts: Parts, time: str) -> Iterator[LeakFinding]:
    for earlier, later in parts.pairs():
        last: Any = parts.tables[earlier][time].max()
        first: Any = parts.tables[later][time].min()
        if last >= first:
            rows = int((parts.tables[earlier][time] >= first).sum())
            yield LeakFinding(
                KIND,
                time,
                "error",
                f"The {earlier} part reaches to {to_jsonable(last)}, after the {later} part begins "
                f"({to_jsonable(first)}): {rows:,} of its rows were decided later than that.",
                {
                    "earlier": earlier,
                    "later": later,
                    "last": to_jsonable(last),
                    "first": to_jsonable(first),
                    "rows": rows,
                },
            )
