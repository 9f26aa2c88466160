"""What is kept of a window instead of its rows: counts that add up, whoever counted them and when.

Example:
    >>> import polars as pl
    >>> from everloop.monitor import count_window, reference
    >>> before = reference(pl.DataFrame({"age": [20 + i % 40 for i in range(400)]}))
    >>> monday, tuesday = pl.DataFrame({"age": [21, 22]}), pl.DataFrame({"age": [50]})
    >>> parts = count_window(monday, before).merge(count_window(tuesday, before))
    >>> parts == count_window(pl.concat([monday, tuesday]), before)
    True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.histogram import Histogram, count, merge
from everloop.monitor.columns import count_column, for_each
from everloop.monitor.facets import with_facets
from everloop.monitor.segments import count_within
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    from everloop.monitor.references import Reference

SCORE = "(score)"
"""The score's name among the watched columns."""

ACTUAL = "(actual)"
"""The name of the actuals among them."""

_MOST_EXACT = 10**9
_SCORE_STEPS = 2.0**13


@dataclass(frozen=True)
class WindowState:
    """A window, or a part of one, counted in the bins of its reference.

    Its size depends on the reference's columns and not on how many rows were counted. Merging is exact,
    and neither order nor grouping of the parts matters: counts and extremes are those of the whole, the
    sums behind mean and deviation are equal to it to rounding.

    Attributes:
        rows: How many rows were counted.
        histograms: By column; `SCORE` and `ACTUAL` where they were given. Actuals that are not known yet
            are not counted.
    """

    rows: int
    histograms: Mapping[str, Histogram]

    def merge(self, *others: WindowState) -> WindowState:
        """Adds other parts of the same window.

        Raises:
            UsageFault: When they were counted in other bins, or not all of them have the same columns.
        """
        parts = (self, *others)
        if any(part.histograms.keys() != self.histograms.keys() for part in parts):
            different = sorted(set.union(*[set(self.histograms) ^ set(part.histograms) for part in others]))
            raise UsageFault(f"The parts do not all have the columns {', '.join(different)}; all must.")
        return WindowState(
            sum(part.rows for part in parts),
            {name: merge(*[part.histograms[name] for part in parts]) for name in self.histograms},
        )

    def to_dict(self) -> dict[str, Any]:
        """Gives the state as what JSON can carry."""
        return {"rows": self.rows, "histograms": {name: h.to_dict() for name, h in self.histograms.items()}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WindowState:
        """Reads what `to_dict` gave.

        Raises:
            DataFault: When it is damaged.
        """
        try:
            found = {name: Histogram.from_dict(each) for name, each in data["histograms"].items()}
            return cls(int(data["rows"]), found)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataFault(f"The state of a window is damaged: {error!r}.") from None


def count_window(
    table: Any,
    reference: Reference,
    *,
    scores: ArrayLike | None = None,
    actuals: ArrayLike | None = None,
) -> WindowState:
    """Counts rows in the bins of a reference.

    Args:
        table: The rows: Polars, pandas, Arrow, DuckDB or a path. Columns that the reference lacks are left.
        reference: What they will be compared with.
        scores: The score of each row, shape (n,).
        actuals: The actual of each row, as the reference has them, NaN where not known, shape (n,).

    Returns:
        The state, to be merged with others and judged by `judge_state`.

    Raises:
        DataFault: When scores or actuals do not fit the rows.
    """
    rows = with_facets(as_frame(table), reference.facets)
    histograms = reference.histograms
    found = for_each(
        lambda name, scratch: count_column(histograms[name].bins, rows[name], scratch),
        [name for name in histograms if name in rows.columns],
    )
    marked = None if scores is None else as_watched(_fitting(scores, rows.height, SCORE))
    if marked is not None and SCORE in histograms:
        found[SCORE] = count(histograms[SCORE].bins, marked)
    if actuals is not None and ACTUAL in histograms:
        values = _fitting(actuals, rows.height, ACTUAL)
        found[ACTUAL] = count(histograms[ACTUAL].bins, values[~np.isnan(values)])
    found |= count_within(rows, reference.segments, histograms, {SCORE: marked})
    return WindowState(rows.height, found)


def as_watched(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rounds scores to four digits, as they are counted.

    The model that serves and the one that was trained may differ in the last digits (its certificate says
    by how much), and a mean of grown trees takes few values: each would be another one.
    """
    mantissa, exponent = np.frexp(scores)
    rounded: NDArray[np.float64] = np.ldexp(np.round(mantissa * _SCORE_STEPS) / _SCORE_STEPS, exponent)
    return rounded


def thinned(whole: Histogram, size: int, random: np.random.Generator) -> Histogram:
    """Draws so many of a histogram's rows, without putting back."""
    if whole.rows <= size:
        return whole
    counts = np.array([*whole.counts, whole.missing], dtype=np.int64)
    if counts.sum() < _MOST_EXACT:
        drawn = random.multivariate_hypergeometric(counts, size, method="marginals")
    else:
        drawn = random.multinomial(size, counts / counts.sum())
    return replace(whole, counts=tuple(drawn[:-1].tolist()), missing=int(drawn[-1]))


def _fitting(values: ArrayLike, rows: int, name: str) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (rows,):
        raise DataFault(f"There are {name} of shape {array.shape} for {rows} rows; one each was expected.")
    return array
