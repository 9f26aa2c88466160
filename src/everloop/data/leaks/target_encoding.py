"""Columns that encode a category by the target, computed with the rows' own targets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.encoding_traces import FEWEST_VALUES, MOST_MISSES, Grouped, group_targets, trace_of
from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.target_sums import TargetSums, target_sums
from everloop.data.leaks.values import numbers_of

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats
    from everloop.table.stored import ColumnTable

KIND = "target encoding"
FEWEST_ROWS = 50
ROWS_PER_VALUE = 2
ROWS_PER_CATEGORY = 4
EXACT = 1e-6
FEWEST_LEFT_OUT = 6
CELLS_TOGETHER = 1 << 18
DRAWN_ROWS = 2_000
DRAWN_MISSES, DRAWN_EXACT = 0.5, 1e-4
"""A column that is further away in more of the rows that are drawn is not looked at on all: what is near in
all but `MOST_MISSES` of the rows is nearer, and in more of these."""

APART_PAIRS = 0.75
"""Of rows that share a category and a class, so many neighbours may be given different numbers: a pair is
right where both of its rows are."""


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds numbers that are means of the target over rows that they are given with."""
    numbers = {name: numbers_of(parts.judged[name]) for name in parts.candidates}
    fractions = {name: x for name, x in numbers.items() if x is not None and _is_fraction(x)}
    scopes = _scopes(parts) if fractions else {}
    found = {name: _grouped_by_itself(parts, name, scopes) for name, x in fractions.items() if _repeats(x)}
    left = {name: x for name, x in fractions.items() if found.get(name) is None}
    found |= _left_out(parts, left, scopes)
    for name, evidence in found.items():
        if evidence is not None:
            yield LeakFinding(
                KIND,
                name,
                "error",
                f"{name} is a mean of {parts.frame.target} over {evidence['over']} rows of a category, "
                "without "
                f"folds ({evidence['trace']}): it tells each of these rows part of its answer.",
                evidence,
            )


def _scopes(parts: Parts) -> dict[str, tuple[ColumnTable, ...]]:
    """Gives the rows over which the mean may have been taken: the training ones, or all."""
    labelled = tuple(table for table in parts.tables.values() if parts.frame.target in table.columns)
    scopes: dict[str, tuple[ColumnTable, ...]] = {"training": (parts.train,), "all": labelled}
    if parts.whole is not None:
        # Rows that were left out may have been averaged as well.
        scopes["all, before any was left out,"] = (parts.whole,)
    return scopes


def _is_fraction(numbers: Floats) -> bool:
    present = numbers[~np.isnan(numbers)]
    return len(present) >= FEWEST_ROWS and not np.array_equal(present, np.round(present))


def _repeats(numbers: Floats) -> bool:
    present = numbers[~np.isnan(numbers)]
    return FEWEST_VALUES <= len(np.unique(present)) <= len(present) / ROWS_PER_VALUE


def _summed(parts: Parts, tables: tuple[ColumnTable, ...], name: str) -> Iterator[tuple[str, TargetSums]]:
    frame = parts.frame
    # A whole number: differences of whole numbers stay exact.
    centre = float(np.round(parts.target.numbers.mean())) if frame.task == "regression" else 0.0
    return target_sums(tables, name, frame.target, frame.task, centre)


def _grouped_by_itself(
    parts: Parts, name: str, scopes: dict[str, tuple[ColumnTable, ...]]
) -> dict[str, Any] | None:
    for over, tables in scopes.items():
        for label, summed in _summed(parts, tables, name):
            numbers = numbers_of(summed.values)
            if numbers is None:
                break
            grouped = group_targets(numbers, summed)
            found = trace_of(grouped)
            if found is not None:
                return {"over": over, "of": label, **found, "examples": _examples(grouped)}
    return None


def _own(parts: Parts) -> dict[str, Floats]:
    """Gives the judged rows' own numbers, and the indicator of each class by its name."""
    import polars as pl

    column, found = parts.judged[parts.frame.target], parts.target
    if not found.names:
        return {"": found.numbers}
    own = {name: found.matrix[:, place] for place, name in enumerate(found.names)}
    if len(found.names) > 2 and column.dtype.is_numeric():
        own[""] = column.cast(pl.Float64).to_numpy()
    return own


def _left_out(
    parts: Parts, numbers: dict[str, Floats], scopes: dict[str, tuple[ColumnTable, ...]]
) -> dict[str, dict[str, Any] | None]:
    """Finds means that leave out the row's own target: with its category each gives the target away."""
    if not numbers:
        return {}
    own = _own(parts)
    spans = {label: float(np.nanmax(x) - np.nanmin(x)) for label, x in own.items()}
    drawn = _drawn(parts.judged.height)
    seen = {name: x[drawn] for name, x in numbers.items()}
    target = parts.judged[parts.frame.target][drawn] if parts.target.names else None
    found: dict[str, dict[str, Any] | None] = {}
    for category in parts.train.columns:
        if category == parts.frame.target or parts.schema[category].is_temporal():
            continue
        groups = parts.judged[category].n_unique()
        if not 2 <= groups <= parts.judged.height / ROWS_PER_CATEGORY:
            continue
        few = seen
        if target is not None:
            apart = DRAWN_EXACT * max(spans.values())
            few = dict(_told_by_both(seen, parts.judged[category][drawn], target, apart))
        for over, tables in scopes.items() if few else ():
            for label, summed in _summed(parts, tables, category):
                if label not in own:
                    continue
                others = _of_the_others(parts.judged[category][drawn], own[label][drawn], summed)
                likely = list(_near(few, others, DRAWN_EXACT * spans[label], DRAWN_MISSES))
                if not likely:
                    continue
                others = _of_the_others(parts.judged[category], own[label], summed)
                for name in likely:
                    if name != category and found.get(name) is None and _is(numbers[name], others):
                        trace = f"of the other rows of the same {category}: the rest is the row's own target"
                        found[name] = {"over": over, "of": label, "trace": trace, "category": category}
    return found


def _drawn(rows: int) -> NDArray[np.intp]:
    """Draws some of the judged rows, or takes all."""
    if rows <= DRAWN_ROWS:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, DRAWN_ROWS, replace=False))


def _told_by_both(
    numbers: dict[str, Floats], category: pl.Series, target: pl.Series, widest: float
) -> Iterator[tuple[str, Floats]]:
    """Gives the columns that a category and a class together tell, as they tell the mean of the others.

    Whichever rows were averaged, rows of one category and one class are given the same number. A column of
    which too few rows can be compared may be told as well.
    """
    import polars as pl

    both = pl.DataFrame({"x": category, "y": target}).with_row_index("row").group_by("x", "y").agg("row")
    order = both["row"].explode().to_numpy()
    group = np.repeat(np.arange(both.height), both["row"].list.len().to_numpy())
    alike = group[1:] == group[:-1]
    before, after = order[:-1][alike], order[1:][alike]
    for name, x in numbers.items():
        off = np.abs(x[before] - x[after])
        compared = int((~np.isnan(off)).sum())
        if compared < FEWEST_ROWS or (off < widest).sum() >= (1 - APART_PAIRS) * compared:
            yield name, x


def _of_the_others(judged: pl.Series, own: Floats, summed: TargetSums) -> Floats:
    """Gives the judged rows' mean target over the other rows of their category."""
    import polars as pl

    sums = pl.DataFrame({"x": summed.values, "rows": summed.rows, "sums": summed.sums})
    asked = judged.alias("x").to_frame()
    joined = asked.join(sums, on="x", how="left", maintain_order="left", nulls_equal=True)
    several = joined["rows"].fill_null(0).to_numpy()
    total = joined["sums"].fill_null(float("nan")).to_numpy()
    mean = (total - (own - summed.centre)) / np.maximum(several - 1, 1) + summed.centre
    return np.where(several > 1, mean, np.nan)


def _near(numbers: dict[str, Floats], others: Floats, widest: float, misses: float) -> Iterator[str]:
    """Gives the columns that may be the others' means, many looked at together: most are nowhere near.

    Args:
        numbers: The columns.
        others: The means.
        widest: So far apart they may be.
        misses: In this share of the rows they may be further apart.
    """
    names, together = list(numbers), max(1, CELLS_TOGETHER // len(others))
    for start in range(0, len(names), together):
        some = names[start : start + together]
        off = np.abs(np.stack([numbers[name] for name in some]) - others)
        near, both = (off < widest).sum(axis=1), (~np.isnan(off)).sum(axis=1)
        yield from (some[place] for place in np.flatnonzero(near >= (1 - misses) * both))


def _is(numbers: Floats, others: Floats) -> bool:
    known = ~np.isnan(numbers) & ~np.isnan(others)
    if known.sum() < FEWEST_ROWS or np.ptp(others[known]) == 0:
        return False
    off = np.abs(numbers[known] - others[known]) / (float(others[known].std()) or 1.0)
    same = off < EXACT
    # Where a category is the target, the others' mean is 0 and 1, as many columns mostly are.
    return bool(same.mean() >= 1 - MOST_MISSES) and len(np.unique(others[known][same])) >= FEWEST_LEFT_OUT


def _examples(grouped: Grouped) -> list[dict[str, float]]:
    order = np.argsort(-grouped.counts, kind="stable")[:5]
    return [
        {"value": float(grouped.values[i]), "rows": int(grouped.counts[i]), "mean": float(grouped.means[i])}
        for i in order
    ]
