"""How much the reference varies by itself: the distances that windows without any shift have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.measure.histogram import Histogram, count
from everloop.monitor.columns import count_column, distances_of
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec

if TYPE_CHECKING:
    import polars as pl

SCORE = "(score)"
"""The score's name among the watched columns."""

FEWEST_ROWS = 30
"""Rows below which no window is judged."""

_FEWEST_WINDOWS = 8
_USUAL = 0.1
_FEWEST_DRAWS = 199
_MOST_DRAWS = 2000

Watched = tuple[tuple[str, str], ...]
Tables = dict[int, list[list[float]]]


@dataclass(frozen=True)
class ReferenceRules:
    """How the reference's own variation is measured.

    Attributes:
        window: The live window. Where rows have times the reference is cut into windows of its duration
            (or of its number of predictions) in time order, so that season is in the alarm's threshold.
        alarm: How many false alarms in how many windows.
        window_rows: A window of more rows is sampled down to so many, here and live.
        smaller: Whether windows of fewer rows shall be judged too, by thresholds of their own.
        seed: Of the sampling.
    """

    window: WindowSpec = field(default_factory=lambda: WindowSpec(time=timedelta(days=1), predictions=None))
    alarm: AlarmBudget = field(default_factory=lambda: AlarmBudget(1, 100))
    window_rows: int = 1000
    smaller: bool = True
    seed: int = 0


def variation(
    rows: pl.DataFrame,
    histograms: Mapping[str, Histogram],
    watched: Watched,
    scores: NDArray[np.float64] | None,
    times: pl.Series | None,
    rules: ReferenceRules,
) -> tuple[str, Tables]:
    """Measures windows of the reference against it, for windows of several sizes.

    Returns:
        How they were cut: ``time`` or ``count``, in time order; or ``resampled`` where rows have no times
        or make fewer than 8 windows, so that neither season nor autocorrelation is in them. And for each
        size the statistics, (windows, watched).
    """
    if times is not None:
        cut, spans = _spans(rows.height, times, rules.window)
        # A tenth of the windows may be smaller than the largest size that is judged.
        usual = int(np.quantile([len(span) for span in spans], _USUAL)) if spans else 0
        random = np.random.default_rng(rules.seed)
        tables = {
            size: [
                _of_span(histograms, watched, rows[span], None if scores is None else scores[span])
                for span in (sampled(span, size, random) for span in spans if len(span) >= size)
            ]
            for size in _sizes(min(rules.window_rows, usual), rules)
        }
        if tables and min(len(table) for table in tables.values()) >= _FEWEST_WINDOWS:
            return cut, tables
    sizes = _sizes(rules.window_rows, rules)
    return "resampled", {size: _resampled(histograms, watched, size, rules) for size in sizes}


def _of_span(
    histograms: Mapping[str, Histogram],
    watched: Watched,
    rows: pl.DataFrame,
    scores: NDArray[np.float64] | None,
) -> list[float]:
    """Measures a window of the reference against the rest of it, as a new window will be."""
    parts = _counted(histograms, rows, scores)
    rest = {name: _without(histograms[name], part) for name, part in parts.items()}
    return _distances(rest, parts, watched)


def statistics_of(
    histograms: Mapping[str, Histogram],
    watched: Watched,
    rows: pl.DataFrame,
    scores: NDArray[np.float64] | None,
) -> list[float]:
    """Measures every watched pair of column and distance; NaN where a column is not there.

    Args:
        histograms: The reference's.
        watched: Pairs of column and distance.
        rows: A window's rows.
        scores: Their scores, shape (n,).
    """
    return _distances(histograms, _counted(histograms, rows, scores), watched)


def _counted(
    histograms: Mapping[str, Histogram], rows: pl.DataFrame, scores: NDArray[np.float64] | None
) -> dict[str, Histogram]:
    """Counts the columns that are there in the reference's bins."""
    found = {
        name: count_column(whole.bins, rows[name])
        for name, whole in histograms.items()
        if name != SCORE and name in rows.columns
    }
    if SCORE in histograms and scores is not None:
        found[SCORE] = count(histograms[SCORE].bins, scores)
    return found


def _distances(
    before: Mapping[str, Histogram], after: Mapping[str, Histogram], watched: Watched
) -> list[float]:
    found = {name: distances_of(before[name], part) for name, part in after.items()}
    return [found.get(column, {}).get(statistic, float("nan")) for column, statistic in watched]


def _without(whole: Histogram, part: Histogram) -> Histogram:
    """Takes a part's counts and sums out of the whole's; the extremes stay."""
    return replace(
        whole,
        counts=tuple(all_ - some for all_, some in zip(whole.counts, part.counts, strict=True)),
        missing=whole.missing - part.missing,
        infinite=whole.infinite - part.infinite,
        total=whole.total - part.total,
        square=whole.square - part.square,
    )


def _sizes(largest: int, rules: ReferenceRules) -> list[int]:
    """How many rows the windows have that a threshold is fitted for, the largest first."""
    sizes = [largest] if largest >= FEWEST_ROWS else []
    while rules.smaller and sizes and sizes[-1] // 3 >= FEWEST_ROWS:
        sizes.append(sizes[-1] // 3)
    return sizes


def _resampled(
    histograms: Mapping[str, Histogram],
    watched: Watched,
    size: int,
    rules: ReferenceRules,
) -> list[list[float]]:
    """Measures what chance alone does: both a reference and a window drawn again from the histograms.

    Columns are drawn one by one, as if independent; where they hang together alarms are a little rarer
    than asked.
    """
    random = np.random.default_rng(rules.seed)
    draws = int(min(_MOST_DRAWS, max(_FEWEST_DRAWS, 2 * rules.alarm.windows / rules.alarm.alarms)))
    found = []
    for _ in range(draws):
        distances = {
            name: distances_of(_drawn(whole, whole.rows, random), _drawn(whole, size, random))
            for name, whole in histograms.items()
        }
        found.append([distances[column][statistic] for column, statistic in watched])
    return found


def _drawn(whole: Histogram, rows: int, random: np.random.Generator) -> Histogram:
    """Draws a sample of so many rows from a histogram, with replacement."""
    counts = np.array([*whole.counts, whole.missing])
    drawn = random.multinomial(rows, counts / counts.sum()).tolist()
    return replace(whole, counts=tuple(drawn[:-1]), missing=drawn[-1])


def _spans(rows: int, times: pl.Series, window: WindowSpec) -> tuple[str, list[NDArray[np.int64]]]:
    """Cuts the rows into windows, by time or by count in time order."""
    if len(times) != rows or times.null_count():
        raise DataFault(
            f"There are {len(times) - times.null_count()} times for {rows} rows; one each was expected."
        )
    seconds = times.dt.epoch("ms").to_numpy() / 1000
    order = np.argsort(seconds, kind="stable")
    if window.predictions is not None:
        starts = range(0, rows - window.predictions + 1, window.predictions)
        return "count", [order[start : start + window.predictions] for start in starts]
    length = (window.time or timedelta(days=1)).total_seconds()
    number = ((seconds[order] - seconds[order[0]]) // length).astype(np.int64)
    return "time", np.split(order, np.flatnonzero(np.diff(number)) + 1)


def sampled(span: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draws so many of the rows, all where there are no more."""
    return random.choice(span, size, replace=False) if len(span) > size else span
