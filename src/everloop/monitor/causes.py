"""Why the mean of something changed between two tables: how much each column's move explains.

Example:
    >>> import polars as pl
    >>> before = pl.DataFrame({"a": [0.0, 1.0] * 50, "b": [0.0, 1.0] * 50})
    >>> after = before.with_columns(pl.col("a") + 1)
    >>> found = explain_change(before, after, lambda rows: (rows["a"] + rows["b"]).to_numpy())
    >>> [(one.column, round(one.amount, 6)) for one in found.columns]
    [('a', 1.0), ('b', 0.0)]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.core.values import to_jsonable
from everloop.monitor.columns import numbers_of
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    import polars as pl

Outcome = Callable[["pl.DataFrame"], NDArray[np.float64]]

_MOST_PAIRS = 500
_MOST_VALUES = 12
_QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class ColumnCause:
    """What the move of one column explains.

    Attributes:
        column: Its name.
        amount: Its share of the change of the mean.
        error: The standard error of that, from the pairs that were drawn.
    """

    column: str
    amount: float
    error: float


@dataclass(frozen=True, slots=True)
class SegmentCause:
    """What the rows of one segment contribute to the change.

    Attributes:
        column: The column that the segment is of.
        value: Its value, or the range of its quarter on the reference.
        amount: What it adds to the mean now, less what it added before: all values of a column add up to
            the change.
        share_before: Its share of the rows before.
        share_after: Its share now.
    """

    column: str
    value: str
    amount: float
    share_before: float
    share_after: float


@dataclass(frozen=True)
class ChangeCauses:
    """A change of a mean, taken apart.

    Attributes:
        change: The mean on the drawn rows now, less before; what the columns add up to.
        measured: The same on all rows.
        columns: Each column's part, the largest first.
        segments: The segments that contribute most.
    """

    change: float
    measured: float
    columns: tuple[ColumnCause, ...]
    segments: tuple[SegmentCause, ...]

    def to_dict(self) -> dict[str, Any]:
        """Gives the causes as what JSON can carry."""
        return dict(to_jsonable(vars(self)))


def explain_change(
    reference: Any,
    current: Any,
    outcome: Outcome,
    *,
    columns: tuple[str, ...] | None = None,
    by: tuple[str, ...] = (),
    pairs: int = _MOST_PAIRS,
    seed: int = 0,
) -> ChangeCauses:
    """Says which columns' moves changed the mean of an outcome, such as the value of a model's decisions.

    Rows of both tables are paired at random; on the way from a row of the reference to one of the current
    table one column after the other takes its new value, in random orders and their reverse, and each gets
    what the outcome changed. So the parts add up to the change, exactly; a column that the outcome does
    not depend on gets nothing. What columns only do together is shared between them.

    Args:
        reference: The rows before: Polars, pandas, Arrow, DuckDB or a path.
        current: The rows now.
        outcome: From rows to a number each, shape (n,): a score, or the expected value of the decision.
        columns: The columns that may be causes; all that both tables have when left out. Others stay as
            they are on the reference, and what they changed is not explained.
        by: Columns whose segments stand first, whether they may be causes or not.
        pairs: How many pairs of rows are drawn.
        seed: Of the pairs and the orders.

    Raises:
        DataFault: When a table has no row, or they share no column.

    Source:
        Shapley values of distribution shifts: Zhang et al., arXiv 2210.10769; orders and their reverse:
        Mitchell et al., Journal of Machine Learning Research 23 (2022).
    """
    before, after = as_frame(reference), as_frame(current)
    named = columns or tuple(name for name in before.columns if name in after.columns)
    if not named or not before.height or not after.height:
        raise DataFault("There is nothing to compare: each table needs a row, and both a common column.")
    random = np.random.default_rng(seed)
    steps = _walks(before, after, named, outcome, pairs, random)
    told = (outcome(before), outcome(after))
    errors = (
        steps.std(axis=0, ddof=1) / np.sqrt(len(steps)) if len(steps) > 1 else np.full(len(named), np.nan)
    )
    amounts = steps.mean(axis=0)
    parts = [ColumnCause(*each) for each in zip(named, amounts.tolist(), errors.tolist(), strict=True)]
    return ChangeCauses(
        change=float(amounts.sum()),
        measured=float(told[1].mean() - told[0].mean()),
        columns=tuple(sorted(parts, key=lambda one: -abs(one.amount))),
        segments=_segments(before, after, named, told, by),
    )


def _walks(
    before: pl.DataFrame,
    after: pl.DataFrame,
    names: tuple[str, ...],
    outcome: Outcome,
    pairs: int,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """What the outcome changes as each column takes its new value, shape (pairs, columns)."""
    import polars as pl

    old = before[_drawn(before.height, pairs, random)]
    new = after[_drawn(after.height, pairs, random)].select(
        pl.col(name).cast(before.schema[name], strict=False) for name in names
    )
    orders = np.argsort(random.random((pairs, len(names))), axis=1)
    steps = np.zeros((pairs, len(names)))
    rows = np.arange(pairs)
    for way in (orders, orders[:, ::-1]):
        taken = np.zeros((pairs, len(names)), dtype=bool)
        told = outcome(old)
        for turn in way.T:
            taken[rows, turn] = True
            mixed = old.with_columns(
                pl.when(pl.Series(taken[:, place])).then(new[name]).otherwise(old[name]).alias(name)
                for place, name in enumerate(names)
            )
            reached = outcome(mixed)
            steps[rows, turn] += (reached - told) / 2
            told = reached
    return steps


def _drawn(height: int, pairs: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draws rows, each as often as the next where there are fewer than asked."""
    rounds = -(-pairs // height)
    return np.concatenate([random.permutation(height) for _ in range(rounds)])[:pairs].astype(np.int64)


def _segments(
    before: pl.DataFrame,
    after: pl.DataFrame,
    names: tuple[str, ...],
    told: tuple[NDArray[np.float64], NDArray[np.float64]],
    by: tuple[str, ...],
) -> tuple[SegmentCause, ...]:
    found = []
    for name in dict.fromkeys((*by, *names)):
        labels = _labelled(before[name], after[name])
        if labels is None:
            continue
        for value in sorted(set(labels[0]) | set(labels[1])):
            inside = [side == value for side in labels]
            shares = [float(part.mean()) for part in inside]
            added = [float((part * each).mean()) for part, each in zip(inside, told, strict=True)]
            found.append(SegmentCause(name, value, added[1] - added[0], shares[0], shares[1]))
    return tuple(sorted(found, key=lambda one: (one.column not in by, -abs(one.amount)))[:_MOST_VALUES])


def _labelled(before: pl.Series, after: pl.Series) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Names the segment of each row: its value, or its quarter of the reference; None for free texts."""
    import polars as pl

    if before.dtype.is_temporal() or before.dtype.is_nested():
        return None
    if before.dtype.is_numeric() and before.n_unique() > _MOST_VALUES:
        return _quarters(before, after)
    texts = [side.cast(pl.String).fill_null("missing") for side in (before, after)]
    if texts[0].n_unique() > 4 * _MOST_VALUES:
        return None
    return texts[0].to_numpy(), texts[1].to_numpy()


def _quarters(before: pl.Series, after: pl.Series) -> tuple[NDArray[Any], NDArray[Any]]:
    sides = [numbers_of(side) for side in (before, after)]
    known = sides[0][np.isfinite(sides[0])]
    edges = np.unique(np.quantile(known, _QUARTILES)) if known.size else np.zeros(0)
    ends = ["", *(f"{edge:.4g}" for edge in edges), ""]
    names = [f"{low or '...'} to {high or '...'}" for low, high in pairwise(ends)]
    labels = np.array([*names, "missing"], dtype=object)
    # NaN, which is missing, sorts behind the last edge.
    places = [
        np.where(np.isnan(side), len(names), np.searchsorted(edges, side, side="right")) for side in sides
    ]
    return labels[places[0]], labels[places[1]]
