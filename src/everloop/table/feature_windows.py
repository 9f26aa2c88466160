"""The aggregates for whole tables: for each decision, what `Aggregate.of` gives of the rows that it counts.

No decision is looked at by itself. A row counts for a run of decisions, so it adds what it has where its
run begins and takes it away where it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.table.feature_aggregates import AGGREGATES
from everloop.table.feature_sums import Limbs, cut, rounded
from everloop.table.feature_timeline import Reach, spread_greatest

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

# Below it the difference of two sums has lost too much; what double-double leaves is 2**-100.
_LOST = 2.0**-60
_SPLITTER = 2.0**27 + 1


@dataclass(frozen=True)
class Column:
    """A feature's value of each row, beside who counts it.

    Attributes:
        reach: Which decisions count which rows.
        values: The values, in the order of the source's table; a time is in microseconds.
    """

    reach: Reach
    values: pl.Series

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Which rows have a value."""
        return self.values.is_not_null().to_numpy()[self.reach.rows.order]

    @cached_property
    def numbers(self) -> NDArray[Any]:
        """The values as numbers, 0 where there is none."""
        return self.values.fill_null(0).to_numpy()[self.reach.rows.order]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """For each decision, how many of the rows that it counts have a value."""
        return self.reach.running(self.present.astype(np.int64))

    @cached_property
    def total(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """For each decision the sum of the values, and what rounding it left over."""
        return self.exact(self.numbers)

    def exact(self, amounts: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Gives for each decision the sum of an amount of each row, and what rounding it left over."""
        limbs = cut(amounts, amounts.size)
        parts = tuple(self.reach.running(part) for part in limbs.parts)
        return rounded(Limbs(parts, limbs.exponents, limbs.bits), self.reach.decisions.at.size)


def window_values(aggregate: str, column: Column) -> pl.Series:
    """Gives a feature's value for each decision.

    Args:
        aggregate: The name of one of `AGGREGATES`, other than ``latest``, which `Reach.latest` gives.
        column: The values of the rows; for `count_rows` any that are not missing.

    Returns:
        The values in the order of the decisions; a time is in microseconds.
    """
    return _FORMS[aggregate](column)


def _series(values: NDArray[Any], present: NDArray[np.bool_]) -> pl.Series:
    import polars as pl

    return pl.select(pl.when(pl.Series(present)).then(pl.Series(values))).to_series()


def _count(column: Column) -> pl.Series:
    import polars as pl

    return pl.Series(column.counts)


def _sum(column: Column) -> pl.Series:
    total, _ = column.total
    return _series(total, (column.counts > 0) & np.isfinite(total))


def _mean(column: Column) -> pl.Series:
    total, _ = column.total
    return _series(total / np.maximum(column.counts, 1), (column.counts > 0) & np.isfinite(total))


def _greatest(column: Column) -> pl.Series:
    return _series(_extreme(column, column.numbers), column.counts > 0)


def _least(column: Column) -> pl.Series:
    return _series(-_extreme(column, -column.numbers), column.counts > 0)


def _extreme(column: Column, numbers: NDArray[Any]) -> NDArray[Any]:
    nothing = -np.inf if numbers.dtype.kind == "f" else np.iinfo(numbers.dtype).min + 1
    return spread_greatest(column.reach, numbers, column.present, nothing)


def _distinct(column: Column) -> pl.Series:
    """Counts for each decision the values that some row which it counts has.

    The runs of one value are joined where they overlap, so that each value is there at most once.
    """
    import polars as pl

    reach, size = column.reach, column.reach.decisions.at.size
    live = column.present & (reach.begin < reach.end)
    held = column.values.gather(reach.rows.order[live])
    codes = held.rank("dense").cast(pl.Int64).to_numpy() * (size + 1)
    begin, end = codes + reach.begin[live], codes + reach.end[live]
    order = np.argsort(begin, kind="stable")
    begin, end, codes = begin[order], end[order], codes[order]
    covered = np.concatenate([[-1], np.maximum.accumulate(end)[:-1]]) if end.size else end
    first = np.maximum(begin, covered)
    new = first < end
    change = np.bincount((first - codes)[new], minlength=size + 1).astype(np.int64)
    change -= np.bincount((end - codes)[new], minlength=size + 1)
    return pl.Series(np.cumsum(change)[:size])


def _std(column: Column) -> pl.Series:
    """Gives the deviation from exact sums of values and squares; where too little is left, by hand."""
    numbers, counts = column.numbers, column.counts
    scale = int(np.frexp(np.abs(numbers).max())[1]) if numbers.size else 0
    scaled = np.ldexp(numbers, -scale)
    if np.isfinite(column.total[0]).all():
        total, total_low = (np.ldexp(part, -scale) for part in column.total)
    else:
        total, total_low = column.exact(scaled)
    square, square_error = _product(scaled, scaled)
    squares, squares_low = column.exact(square)
    squares_low = squares_low + column.exact(square_error)[0]
    n = np.maximum(counts, 2).astype(np.float64)
    left, left_low = _product(n, squares)
    right, right_low = _product(total, total)
    spread = (left - right) + (left_low - right_low + n * squares_low - 2 * total * total_low)
    deviation = np.ldexp(np.sqrt(np.maximum(spread, 0.0) / (n * (n - 1))), scale)
    several = counts > 1
    lost = (
        several & (spread <= _LOST * left) & ((_extreme(column, numbers) + _extreme(column, -numbers)) != 0)
    )
    deviation[several & (spread <= _LOST * left)] = 0.0
    order = column.reach.rows.order
    for decision in np.flatnonzero(lost):
        values = column.values.gather(order[column.reach.counted_by(int(decision))]).to_list()
        by_hand = AGGREGATES["std"].of(values)
        deviation[decision] = np.inf if by_hand is None else by_hand
    return _series(deviation, several & np.isfinite(deviation))


def _product(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Multiplies without loss: the rounded product and what rounding left over (Dekker 1971)."""
    product = a * b
    (a_high, a_low), (b_high, b_low) = _halves(a), _halves(b)
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _halves(a: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    wide = _SPLITTER * a
    high = wide - (wide - a)
    return high, a - high


_FORMS: dict[str, Callable[[Column], pl.Series]] = {
    "count_rows": _count,
    "count": _count,
    "count_distinct": _distinct,
    "sum": _sum,
    "mean": _mean,
    "std": _std,
    "min": _least,
    "max": _greatest,
}
