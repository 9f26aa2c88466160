"""Segments: columns within the rows of one value of another, watched as columns of their own.

What drifts in one segment alone is thin in the whole; within its segment it is as thick as any drift. Each
such column is held to the one threshold that all columns share, so that segments cost no false alarms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.measure.histogram import Histogram, count
from everloop.monitor.columns import count_column, numbers_of
from everloop.table.labels import label_counts, label_texts

if TYPE_CHECKING:
    import polars as pl

MOST_SEGMENTS = 8
"""Values of a column that are segments: its most frequent ones."""
FEWEST_ROWS = 30
"""Rows below which neither a window is judged, nor a segment in it."""
LEAST_SHARE = 0.02
"""A segment holds at least this share of the reference."""

_QUARTERS = (0.25, 0.5, 0.75)
_DEVIATIONS = 3.0


@dataclass(frozen=True)
class Segment:
    """The rows of one value of a column, or of one quarter of a number.

    Attributes:
        column: The column.
        value: The value as a text; of a quarter its range.
        share: The share of the reference's rows.
        low: Where a quarter begins; None for a value, and for the first quarter.
        high: Where it ends, not in it; None for a value, and for the last one.
        is_range: Whether it is a quarter of a number.
    """

    column: str
    value: str
    share: float
    low: float | None = None
    high: float | None = None
    is_range: bool = False

    def inside(self, table: pl.DataFrame) -> NDArray[np.bool_]:
        """Says which rows are in the segment, (n,)."""
        if not self.is_range:
            return (label_texts(table[self.column]) == self.value).fill_null(value=False).to_numpy()
        numbers = numbers_of(table[self.column])
        low = -np.inf if self.low is None else self.low
        high = np.inf if self.high is None else self.high
        return np.asarray((numbers >= low) & (numbers < high))

    def name_of(self, column: str) -> str:
        """Names a column within the segment, as windows and alerts name it."""
        return f"{column} where {self.column} is {self.value}"

    def expected(self, rows: int) -> int:
        """How many of so many rows are in the segment on the reference."""
        return round(rows * self.share)

    def fewest(self, rows: int) -> float:
        """How many of so many rows must be in it to be judged: what chance leaves; infinite where thin."""
        expected = rows * self.share
        if expected < FEWEST_ROWS:
            return np.inf
        return float(expected - _DEVIATIONS * np.sqrt(expected * (1 - self.share)))

    def to_dict(self) -> dict[str, Any]:
        """Gives the segment as what JSON can carry."""
        return asdict(self)


def segments_of(table: pl.DataFrame, names: Iterable[str]) -> tuple[Segment, ...]:
    """Cuts a reference into segments; a number with many values is cut at its quartiles."""
    found: list[Segment] = []
    for name in names:
        column = table[name]
        if column.dtype.is_numeric() and column.n_unique() > MOST_SEGMENTS:
            found += _quarters(name, numbers_of(column))
        else:
            counts = list(label_counts(column).items())[:MOST_SEGMENTS]
            found += [Segment(name, str(text), rows / table.height) for text, rows in counts]
    return tuple(each for each in found if LEAST_SHARE <= each.share < 1)


def within(segments: Iterable[Segment], columns: Iterable[str]) -> dict[str, tuple[str, Segment]]:
    """Gives the column and the segment of each column within a segment, by its name."""
    listed = tuple(columns)
    return {segment.name_of(name): (name, segment) for segment in segments for name in listed}


def count_within(
    table: pl.DataFrame,
    segments: Iterable[Segment],
    histograms: Mapping[str, Histogram],
    numbers: Mapping[str, NDArray[np.float64] | None],
) -> dict[str, Histogram]:
    """Counts every column, and further numbers, within each segment, in the bins of the whole column.

    Args:
        table: The rows.
        segments: The segments; those of a column that the rows do not have are left out.
        histograms: The columns that are counted, with their bins.
        numbers: What stands beside the rows, such as their scores, each (n,).
    """
    found = {}
    columns = [name for name in table.columns if name in histograms]
    for segment in segments:
        if segment.column not in table.columns:
            continue
        inside = segment.inside(table)
        part = table.filter(inside)
        for name in columns:
            if name != segment.column:
                found[segment.name_of(name)] = count_column(histograms[name].bins, part[name])
        for name, values in numbers.items():
            if values is not None and name in histograms:
                found[segment.name_of(name)] = count(histograms[name].bins, values[inside])
    return found


def scores_within(
    table: pl.DataFrame,
    segments: Iterable[Segment],
    histogram: Histogram,
    name: str,
    scores: NDArray[np.float64],
) -> dict[str, Histogram]:
    """Counts a reference's scores within each segment; a row without one is left out.

    Args:
        table: The rows.
        segments: The segments.
        histogram: The score's, with its bins.
        name: The score's.
        scores: The score of each row, NaN where not known, shape (n,).
    """
    known = ~np.isnan(scores)
    return count_within(table.filter(known), segments, {name: histogram}, {name: scores[known]})


def _quarters(name: str, numbers: NDArray[np.float64]) -> list[Segment]:
    known = numbers[np.isfinite(numbers)]
    if not known.size:
        return []
    cuts: list[float | None] = [None, *np.unique(np.quantile(known, _QUARTERS)).tolist(), None]
    found = []
    for low, high in pairwise(cuts):
        above = known >= (-np.inf if low is None else low)
        share = float((above & (known < (np.inf if high is None else high))).sum() / len(numbers))
        text = " to ".join("..." if end is None else f"{end:.4g}" for end in (low, high))
        found.append(Segment(name, text, share, low, high, is_range=True))
    return found
