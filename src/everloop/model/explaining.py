"""Explains a model from rows that it did not learn from: effects, dependence, permutation, robustness.

Everything is asked of the model as a whole, through the raw columns that it reads, so it holds for every
learner and every ensemble.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.tasks import TASKS
from everloop.measure.intervals import Interval, mean_interval
from everloop.measure.metrics import METRICS
from everloop.model.explanation import Dependence, Effects, Explanation
from everloop.model.permuting import permutation_of
from everloop.model.robustness import MISSING, NOISE, Disturbed, robustness_of
from everloop.model.shapley import ShapleyValues, shapley_values

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.judged import Judged

EXPLAINED = 64
BACKGROUND = 200
SCORED = 40_000
"""About so many rows are scored for the Shapley values, however many columns there are."""

CELLS = 100_000_000
"""Rows x columns that are put together for them: a walk over thousands of columns has their square."""

MOST_ORDERS = 16
DEPENDENT = 6
DEPENDENCE_ROWS = 200
GRID = 15
SWARM = 12
TEXTS = 8


def explain(
    judged: Judged,
    scores: Callable[[pl.DataFrame], NDArray[np.float64]],
    columns: tuple[str, ...],
) -> Explanation:
    """Explains a model.

    Args:
        judged: Rows that the model did not learn from, with what it says of them.
        scores: The model, from a table with ``columns`` to scores.
        columns: The raw columns that the model reads.

    Returns:
        The explanation; the same for the same rows and seed.
    """
    size = explained_rows(judged.table.height, len(columns))
    if not size or not columns or not TASKS[judged.frame.task].alone:
        return Explanation(_output(judged), judged.frame.metric, 0, 0)
    random = np.random.default_rng(judged.seed)
    table = judged.table.select(columns)
    rows = np.sort(random.choice(table.height, size, replace=False))
    walks = 2 * size * (len(columns) + 1)
    orders = int(np.clip(min(SCORED // walks, CELLS // (walks * len(columns))), 1, MOST_ORDERS))
    found = _shapley(judged, scores, table, rows, orders)
    effects = _effects(table[rows], columns, found)
    strongest = [one.column for one in effects]
    disturbed = Disturbed(judged, scores, table, tuple(strongest))
    return Explanation(
        output=_output(judged),
        metric=judged.frame.metric,
        rows=size,
        orders=orders,
        effects=effects,
        dependence=tuple(_dependence(judged, scores, table, name) for name in strongest[:DEPENDENT]),
        permuted=permutation_of(disturbed),
        robustness=robustness_of(disturbed) if judged.frame.metric in METRICS else (),
        noise=NOISE,
        missing=MISSING,
    )


def explained_rows(rows: int, columns: int) -> int:
    """Gives how many rows are explained: fewer, at least one, where there are very many columns."""
    return min(EXPLAINED, rows, max(1, CELLS // (2 * (columns + 1) * max(columns, 1))))


def _output(judged: Judged) -> str:
    frame = judged.frame
    said = {
        "binary": f"the chance of {frame.positive}",
        "regression": frame.target,
        "anomaly": "how unusual a row is",
        "clustering": "the chance of the decided cluster",
    }
    return said.get(frame.task, "the chance of the decided class")


def _shapley(
    judged: Judged,
    scores: Callable[[pl.DataFrame], NDArray[np.float64]],
    table: pl.DataFrame,
    rows: NDArray[np.int64],
    orders: int,
) -> ShapleyValues:
    random = np.random.default_rng(judged.seed + 1)
    background = random.choice(table.height, min(BACKGROUND, table.height), replace=False)
    walk = 2 * orders * (table.width + 1)
    decided = judged.scores[rows].argmax(axis=1) if judged.scores.ndim == 2 else None
    done = 0

    def score(places: NDArray[np.int64]) -> NDArray[np.float64]:
        nonlocal done
        found = scores(gathered(table, places))
        if found.ndim == 2 and decided is not None:
            explained = decided[(done + np.arange(len(places))) // walk]
            found = found[np.arange(len(places)), explained]
        done += len(places)
        return found

    return shapley_values(score, rows, background, table.width, orders=orders, seed=judged.seed)


def gathered(table: pl.DataFrame, places: NDArray[np.int64]) -> pl.DataFrame:
    """Puts rows together from others: column k of row i is that of the row ``places[i, k]``."""
    import polars as pl

    columns = [column.gather(places[:, k]) for k, column in enumerate(table.get_columns())]
    return pl.DataFrame(columns)


def _effects(table: pl.DataFrame, columns: tuple[str, ...], found: ShapleyValues) -> tuple[Effects, ...]:
    made = []
    for place, name in enumerate(columns):
        values = found.values[:, place]
        size = mean_interval(np.abs(values))
        made.append(Effects(name, Interval(max(0.0, size.low), size.estimate, size.high)))
    made.sort(key=lambda one: (-one.size.estimate, one.column))
    shown = {one.column for one in made[:SWARM]}
    return tuple(
        Effects(
            one.column,
            one.size,
            tuple(float(f"{value:.6g}") for value in found.values[:, columns.index(one.column)]),
            _places(table[one.column]),
        )
        if one.column in shown
        else one
        for one in made
    )


def _places(column: pl.Series) -> tuple[float | None, ...]:
    if not (column.dtype.is_numeric() or column.dtype.is_temporal()):
        return (None,) * len(column)
    ranks = column.rank("average").to_list()
    most = max((rank for rank in ranks if rank is not None), default=1.0)
    return tuple(None if rank is None else round((rank - 1) / max(1.0, most - 1), 3) for rank in ranks)


def _dependence(
    judged: Judged,
    scores: Callable[[pl.DataFrame], NDArray[np.float64]],
    table: pl.DataFrame,
    name: str,
) -> Dependence:
    import polars as pl

    random = np.random.default_rng(judged.seed + 2)
    picked = np.sort(random.choice(table.height, min(DEPENDENCE_ROWS, table.height), replace=False))
    rows, values = table[picked], grid_of(table[name])
    parts = [rows.with_columns(pl.lit(value, dtype=table[name].dtype).alias(name)) for value in values]
    if not parts:
        return Dependence(name, (), (), (), ())
    found = scores(pl.concat(parts))
    if found.ndim == 2:
        classes = judged.scores[picked].argmax(axis=1)
        found = found[np.arange(len(found)), np.tile(classes, len(parts))]
    found = found.reshape(len(parts), len(picked))
    low, high = np.quantile(found, (0.1, 0.9), axis=1)
    return Dependence(
        name,
        tuple(_shown(value) for value in values),
        *(tuple(each.tolist()) for each in (found.mean(axis=1), low, high)),
    )


def grid_of(column: pl.Series) -> list[Any]:
    """Gives values of a column to try: quantiles of numbers and times, the most frequent of all others."""
    known = column.drop_nulls()
    if known.dtype.is_float():
        known = known.filter(known.is_finite())
    if known.is_empty():
        return []
    if known.dtype.is_numeric() or known.dtype.is_temporal():
        ordered = known.sort()
        places = np.linspace(0.02, 0.98, GRID) * (len(ordered) - 1)
        return ordered.gather(np.unique(places.round().astype(int))).unique(maintain_order=True).to_list()
    counts = known.alias("value").value_counts(name="rows").sort(["rows", "value"], descending=[True, False])
    return counts["value"].head(TEXTS).to_list()


def _shown(value: Any) -> Any:
    return value if isinstance(value, (int, float, str)) else str(value)
