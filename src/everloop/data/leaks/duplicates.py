"""Rows of one part that are in another, whole or in all columns but one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.parts import drawn
from everloop.table.stored import row_hashes
from everloop.table.twins import equal_by_chance

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.data.leaks.parts import Parts

KIND = "duplicates"
MOST_ROWS = 500_000
JUDGED_ROWS = 20_000
"""Near duplicates are looked for among so many rows of the earlier, and of the later part."""

RARE = 3
RARE_VALUES = 2
"""Two rows that agree in this many values which at most `RARE` rows have are one thing told twice."""

MORE_OFTEN, MORE = 2.0, 0.02
"""Or rows of two parts that are alike so much more often than rows of one part are, and are diverse."""

DIVERSE = 0.5

_BITS = 20

NEAR_SHARE = 0.005
FEWEST_NEAR = 5


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds rows that another part has as well, so that a model is judged on what it learned by heart."""
    columns = [name for name in parts.frame.inputs if name in parts.train.columns]
    by_chance = equal_by_chance(parts.train, columns) if parts.by_chance is None else parts.by_chance
    if not columns or by_chance:
        return
    hashed = {part: row_hashes(table, columns) for part, table in parts.tables.items() if table.height}
    for earlier, later in parts.pairs():
        same = hashed[later].is_in(hashed[earlier].unique().implode()).to_numpy()
        if same.any():
            yield _whole(earlier, later, np.flatnonzero(same), len(same))
        yield from _near(parts, earlier, later, columns, same)


def _whole(earlier: str, later: str, rows: NDArray[np.int64], of: int) -> LeakFinding:
    return LeakFinding(
        KIND,
        None,
        "error",
        f"{len(rows):,} of {of:,} rows of the {later} part have the same inputs as a row of the {earlier} "
        "part.",
        {"earlier": earlier, "later": later, "rows": len(rows), "of": of, "positions": rows[:5].tolist()},
    )


def _near(
    parts: Parts, earlier: str, later: str, columns: list[str], same: NDArray[np.bool_]
) -> Iterator[LeakFinding]:
    """Finds rows that differ in one column alone, such as a number that was jittered or a line's number."""
    if len(columns) <= RARE_VALUES or same.all():
        return
    first = drawn(parts.tables[earlier], MOST_ROWS, np.ones(parts.rows(earlier), dtype=bool))
    second = drawn(parts.tables[later], JUDGED_ROWS, ~same)
    hashes = [_hashes(table, columns) for table in (first, second)]
    totals = [np.sum(one, axis=0, dtype=np.uint64) for one in hashes]
    rare: list[NDArray[np.bool_]] | None = None
    least = max(FEWEST_NEAR, NEAR_SHARE * second.height)
    for place, name in enumerate(columns):
        known, sought = (total - one[place] for total, one in zip(totals, hashes, strict=True))
        matched = _found(sought, known)
        if matched.sum() < least:
            continue
        if not _more_often(known, sought[matched], len(sought)):
            rare = rare or [_rare(first[c], second[c]) for c in columns]
            matched &= np.sum([one for i, one in enumerate(rare) if i != place], axis=0) >= RARE_VALUES
        found = second.filter(matched)
        if found.height >= least:
            yield LeakFinding(
                KIND,
                name,
                "error",
                f"{found.height:,} of {second.height:,} rows of the {later} part that were looked at are a "
                "row "
                f"of the {earlier} part but for {name}.",
                {
                    "earlier": earlier,
                    "later": later,
                    "rows": found.height,
                    "of": second.height,
                    "examples": found.select(columns[:5]).head(5).rows(),
                },
            )


def _found(sought: Any, known: Any) -> NDArray[np.bool_]:
    """Tells which of few numbers are among many; a table of their last bits leaves out most of the many."""
    likely = np.zeros(1 << _BITS, dtype=np.bool_)
    last = np.uint64(likely.size - 1)
    likely[sought & last] = True
    return np.isin(sought, known[likely[known & last]])


def _more_often(known: Any, matched: Any, of: int) -> bool:
    _, repeats = np.unique(known, return_counts=True)
    among_themselves = float(repeats[repeats > 1].sum()) / len(known)
    diverse = len(np.unique(matched)) >= DIVERSE * len(matched)
    return diverse and len(matched) / of >= MORE_OFTEN * among_themselves + MORE


def _hashes(table: pl.DataFrame, columns: list[str]) -> list[Any]:
    import polars as pl

    hashed = table.select(pl.col(name).hash(seed=place + 1) for place, name in enumerate(columns))
    return [hashed[name].to_numpy() for name in columns]


def _rare(earlier: pl.Series, later: pl.Series) -> NDArray[np.bool_]:
    """Tells which values of the later rows few rows have."""
    import polars as pl

    counts = pl.concat([earlier, later]).value_counts(name="rows")
    joined = later.to_frame().join(counts, on=later.name, how="left", maintain_order="left", nulls_equal=True)
    return (joined["rows"] <= RARE).fill_null(value=False).to_numpy()
