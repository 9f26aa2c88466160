"""What it costs when an input is missing, noisy or unknown: measured on held-out rows, not assumed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.intervals import UNKNOWN, Interval, paired_interval
from everloop.measure.metrics import METRICS, OF_ROWS
from everloop.model.explanation import Robustness

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.judged import Judged

ROWS = 1_000
MOST_COLUMNS = 15
NOISE = 0.5
"""In standard deviations of the column."""

MISSING = 0.1
UNKNOWN_TEXT = "\N{REPLACEMENT CHARACTER} never seen"


@dataclass(frozen=True, slots=True)
class Disturbed:
    """What is disturbed.

    Attributes:
        judged: The rows with their actuals.
        scores: The model.
        table: The columns that the model reads.
        columns: By falling strength.
    """

    judged: Judged
    scores: Callable[[pl.DataFrame], NDArray[np.float64]]
    table: pl.DataFrame
    columns: tuple[str, ...]


def robustness_of(given: Disturbed) -> tuple[Robustness, ...]:
    """Measures what each disturbance costs in the metric and in value, the costliest first."""
    random = np.random.default_rng(given.judged.seed + 3)
    size = given.table.height
    rows = np.sort(random.choice(size, min(ROWS, size), replace=False))
    part, table = given.judged.only(rows), given.table[rows]
    found = [
        _cost(
            part, replace(part, scores=given.scores(changed), table=_with(part.table, changed)), column, kind
        )
        for column, kind, changed in _disturbances(given, table, random)
    ]
    return tuple(
        sorted(found, key=lambda one: (bool(one.column), -np.nan_to_num(one.loss.estimate), one.column))
    )


def _with(table: pl.DataFrame, changed: pl.DataFrame) -> pl.DataFrame:
    return table.with_columns(changed.get_columns())


def _disturbances(
    given: Disturbed, table: pl.DataFrame, random: np.random.Generator
) -> Iterator[tuple[str, str, pl.DataFrame]]:
    import polars as pl

    gaps = [
        pl.when(pl.Series(random.random(table.height) < MISSING))
        .then(None)
        .otherwise(pl.col(name))
        .alias(name)
        for name in table.columns
    ]
    yield "", "missing", table.with_columns(gaps)
    noisy = [
        one for name in table.columns if (one := _noisy(table[name], given.table[name], random)) is not None
    ]
    if noisy:
        yield "", "noise", table.with_columns(noisy)
    for name in given.columns[:MOST_COLUMNS]:
        yield name, "missing", table.with_columns(pl.lit(None, dtype=table[name].dtype).alias(name))
        one = _noisy(table[name], given.table[name], random)
        if one is not None:
            yield name, "noise", table.with_columns(one)
        elif table[name].dtype == pl.String:
            yield name, "unknown", table.with_columns(pl.lit(UNKNOWN_TEXT).alias(name))


def _noisy(column: pl.Series, whole: pl.Series, random: np.random.Generator) -> pl.Series | None:
    """Adds noise to a number; a whole one stays whole, and none leaves the range that was seen."""
    import polars as pl

    if not column.dtype.is_numeric() or whole.drop_nulls().is_empty():
        return None
    numbers = whole.cast(pl.Float64).to_numpy()
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size or numbers.std() == 0:
        return None
    moved = column.cast(pl.Float64).to_numpy() + random.normal(0, NOISE * numbers.std(), len(column))
    moved = np.clip(moved, numbers.min(), numbers.max())
    if column.dtype.is_integer():
        moved = np.round(moved)
    return pl.Series(column.name, moved, nan_to_null=True).cast(column.dtype)


def _cost(before: Judged, after: Judged, column: str, kind: str) -> Robustness:
    metric = before.frame.metric
    gain = UNKNOWN
    if METRICS[metric].needs in OF_ROWS and not np.isnan(before.actual).any():
        gain = before.difference_to(after, metric)
    value = None
    if before.worth is not None:
        worths = (before.worth.values(one.actual, one.decisions) for one in (after, before))
        value = paired_interval(*worths, weights=before.counts)
    changes = before.decisions != after.decisions
    if before.frame.task == "regression":
        changes = np.abs(before.decisions - after.decisions)
    loss = gain.scaled(-1) if METRICS[metric].greater_is_better else gain
    return Robustness(
        column, kind, Interval(loss.low, loss.estimate, loss.high), value, float(changes.mean())
    )
