"""How much the reference varies by itself: the distances that windows without any shift have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.measure.cells import Scratch
from everloop.measure.distances import BATCHED, Pairs
from everloop.measure.histogram import Histogram, count
from everloop.measure.joint import MOST_ROWS, JointShift, fit_joint
from everloop.monitor.chance import Chance
from everloop.monitor.columns import bins_of_numbers, bins_of_rows, count_column, for_each
from everloop.monitor.segments import FEWEST_ROWS, Segment, count_within, scores_within, within
from everloop.monitor.state import ACTUAL, SCORE
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec

if TYPE_CHECKING:
    import polars as pl

_FEWEST_WINDOWS = 8
_FEWEST_SCORED = 4
_FEW_UNSCORED = 0.1
_USUAL = 0.1
_FEWEST_DRAWS = 199
_MOST_DRAWS = 2000

Watched = tuple[tuple[str, str], ...]
Table = NDArray[np.float64]
Tables = dict[int, Table]


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
        segments: Columns by whose values the others are watched, too, each value apart.
    """

    window: WindowSpec = field(default_factory=lambda: WindowSpec(time=timedelta(days=1), predictions=None))
    alarm: AlarmBudget = field(default_factory=lambda: AlarmBudget(1, 100))
    window_rows: int = 1000
    smaller: bool = True
    seed: int = 0
    segments: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceRows:
    """The rows that a reference is made of.

    Attributes:
        inputs: The rows, a column for each input.
        scores: The score of each, NaN where not known, shape (n,), or None.
        actuals: The actual of each, NaN where not known, shape (n,), or None.
        times: When each was decided, or None.
        segments: The segments within which columns are watched, too.
    """

    inputs: pl.DataFrame
    scores: NDArray[np.float64] | None = None
    actuals: NDArray[np.float64] | None = None
    times: pl.Series | None = None
    segments: tuple[Segment, ...] = ()

    def count(self, whole: Mapping[str, Histogram], rows: NDArray[np.int64]) -> dict[str, Histogram]:
        """Counts some rows in the reference's bins."""
        part = self.inputs[rows]
        found = {name: count_column(whole[name].bins, part[name]) for name in part.columns if name in whole}
        for name, values in ((SCORE, self.scores), (ACTUAL, self.actuals)):
            if name in whole and values is not None:
                known = values[rows]
                found[name] = count(whole[name].bins, known[~np.isnan(known)])
        found |= count_within(part, self.segments, whole, {})
        if self.scores is not None and SCORE in whole:
            found |= scores_within(part, self.segments, whole[SCORE], SCORE, self.scores[rows])
        return found

    def joint(self, whole: Mapping[str, Histogram], random: np.random.Generator) -> tuple[JointShift, ...]:
        """Learns how columns and scores hang together: those of classes, and the others.

        Scores that are known of some rows only are left out.
        """
        rows = np.sort(sampled(np.arange(self.inputs.height), MOST_ROWS, random))
        part = self.inputs[rows]
        places = for_each(
            lambda name, _scratch: bins_of_rows(whole[name].bins, part[name]),
            [name for name in part.columns if name in whole],
        )
        if self.scores is not None and SCORE in whole and not self.unscored.any():
            places[SCORE] = bins_of_numbers(whole[SCORE].bins, self.scores[rows])
        found = [fit_joint(whole, places, classes=classes) for classes in (True, False)]
        return tuple(each for each in found if each is not None)

    @property
    def unscored(self) -> NDArray[np.bool_]:
        """Which rows have no score, shape (n,)."""
        return np.zeros(self.inputs.height, bool) if self.scores is None else np.isnan(self.scores)

    @property
    def within(self) -> dict[str, Segment]:
        """The segment of each column within one, by its name."""
        found = within(self.segments, (*self.inputs.columns, SCORE))
        return {name: segment for name, (_, segment) in found.items()}

    @property
    def of_scores(self) -> set[str]:
        """The names of the score and of the score within each segment."""
        return {SCORE, *within(self.segments, (SCORE,))}


def variation(
    rows: ReferenceRows,
    histograms: Mapping[str, Histogram],
    watched: Watched,
    joint: tuple[JointShift, ...],
    rules: ReferenceRules,
) -> tuple[str, Tables]:
    """Measures windows of the reference against it, for windows of several sizes.

    Returns:
        How they were cut: ``time`` or ``count``, in time order; or ``resampled`` where rows have no times
        or make fewer than 8 windows, so that neither season nor autocorrelation is in them. And for each
        size the statistics, (windows, watched and joint).
    """
    if rows.times is not None:
        cut, spans = _spans(rows.inputs.height, rows.times, rules.window)
        # A tenth of the windows may be smaller than the largest size that is judged.
        usual = int(np.quantile([len(span) for span in spans], _USUAL)) if spans else 0
        random = np.random.default_rng(rules.seed)
        sizes = _sizes(min(rules.window_rows, usual), rules)
        chosen = {
            size: [sampled(span, size, random) for span in spans if len(span) >= size] for size in sizes
        }
        if chosen and min(map(len, chosen.values())) >= _FEWEST_WINDOWS:
            return cut, {
                size: _of_spans(rows, histograms, watched, joint, replace(rules, window_rows=size), parts)
                for size, parts in chosen.items()
            }
    return "resampled", resampled(histograms, watched, rules, rows.within, joint)


def _of_spans(
    rows: ReferenceRows,
    histograms: Mapping[str, Histogram],
    watched: Watched,
    joint: tuple[JointShift, ...],
    rules: ReferenceRules,
    parts: list[NDArray[np.int64]],
) -> Table:
    """Measures windows of one size; those whose rows have no scores are lent how far others' moved."""
    counted = [rows.count(histograms, part) for part in parts]
    fewest = {name: segment.fewest(rules.window_rows) for name, segment in rows.within.items()}
    table = _of_parts(histograms, watched, joint, counted, fewest)
    unscored, names = rows.unscored, rows.of_scores
    lacking = np.array([unscored[part].mean() > _FEW_UNSCORED for part in parts])
    places = [place for place, (name, _) in enumerate(watched) if name in names]
    if not lacking.any() or not places:
        return table
    given = table[~lacking][:, places]
    if len(given) < _FEWEST_SCORED:  # what chance alone does is all that is known
        scores = {name: found for name, found in histograms.items() if name in names}
        asked = tuple(watched[place] for place in places)
        given = resampled(scores, asked, replace(rules, smaller=False), rows.within)[rules.window_rows]
    # Left open, these windows would look less rare than new ones will be.
    drawn = np.random.default_rng(rules.seed).integers(len(given), size=np.count_nonzero(lacking))
    table[np.ix_(np.flatnonzero(lacking), np.array(places))] = given[drawn]
    return table


def statistics_of(
    reference: Mapping[str, Histogram],
    window: Mapping[str, Histogram],
    watched: Watched,
    measured: Mapping[str, Mapping[str, float]] = MappingProxyType({}),
) -> list[float]:
    """Measures every watched pair of column and distance; NaN where a column is not there.

    Args:
        reference: The reference's columns.
        window: Those of the window that are measured.
        watched: The pairs.
        measured: The distances of columns that were measured before.
    """
    pairs = {name: Pairs.of(reference[name], part) for name, part in window.items()}
    return [
        float(BATCHED[statistic](pairs[column])[0])
        if column in pairs
        else measured.get(column, {}).get(statistic, float("nan"))
        for column, statistic in watched
    ]


def _of_parts(
    whole: Mapping[str, Histogram],
    watched: Watched,
    joint: tuple[JointShift, ...],
    parts: list[dict[str, Histogram]],
    fewest: Mapping[str, float],
) -> Table:
    """Measures each part of the reference against the rest of it, as a new window will be.

    A column within a segment that a part has fewer rows of than the fewest is not known there.
    """
    pairs = {}
    sides: tuple[dict[str, Table], dict[str, Table]] = ({}, {})
    for name, histogram in whole.items():
        after = np.array([part[name].counts for part in parts], dtype=np.float64)
        missing = np.array([part[name].missing for part in parts], dtype=np.float64)
        pairs[name] = Pairs.parted(histogram, after, missing)
        sides[1][name] = np.column_stack((after, missing))
        sides[0][name] = np.append(histogram.counts, histogram.missing) - sides[1][name]
    return np.column_stack(
        [
            *(
                _judged(BATCHED[each](pairs[name]), pairs[name], fewest.get(name, 0))
                for name, each in watched
            ),
            *(each.distances(each.moves(whole, *sides)) for each in joint),
        ]
    )


def _judged(distances: Table, pairs: Pairs, fewest: float) -> Table:
    return np.where(pairs.present[1] + pairs.after_missing < fewest, np.nan, distances)


def resampled(
    histograms: Mapping[str, Histogram],
    watched: Watched,
    rules: ReferenceRules,
    within: Mapping[str, Segment] = MappingProxyType({}),
    joint: tuple[JointShift, ...] = (),
) -> Tables:
    """Measures what chance alone does: both a reference and a window drawn again from the histograms.

    Columns are drawn one by one, as if independent; where they hang together alarms are a little rarer
    than asked.
    """
    sizes = _sizes(rules.window_rows, rules)
    draws = int(min(_MOST_DRAWS, max(_FEWEST_DRAWS, 2 * rules.alarm.windows / rules.alarm.alarms)))
    asked: dict[str, list[str]] = {name: [] for name in histograms}
    for column, statistic in watched:
        asked[column].append(statistic)
    chances = dict(zip(histograms, np.random.default_rng(rules.seed).spawn(len(histograms)), strict=True))

    def measured(name: str, scratch: Scratch) -> dict[int, dict[str, Table]]:
        segment = within.get(name)
        part = segment.share if segment else 1.0
        chance = Chance(histograms[name], draws, chances[name], scratch, part)
        return {
            size: {
                statistic: _judged(BATCHED[statistic](pairs), pairs, segment.fewest(size) if segment else 0)
                for statistic in asked[name]
            }
            for size, pairs in chance.windows(sizes)
        }

    columns = for_each(measured, histograms)
    random = np.random.default_rng((rules.seed, len(joint)))
    together = [each.of_chance(draws, random) for each in joint]
    return {
        size: np.column_stack(
            [*(columns[column][size][statistic] for column, statistic in watched), *together]
        )
        for size in sizes
    }


def _sizes(largest: int, rules: ReferenceRules) -> list[int]:
    """How many rows the windows have that a threshold is fitted for, the largest first."""
    sizes = [largest] if largest >= FEWEST_ROWS else []
    while rules.smaller and sizes and sizes[-1] // 3 >= FEWEST_ROWS:
        sizes.append(sizes[-1] // 3)
    return sizes


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
    length = window.length.total_seconds()
    number = ((seconds[order] - seconds[order[0]]) // length).astype(np.int64)
    return "time", np.split(order, np.flatnonzero(np.diff(number)) + 1)


def sampled(span: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Draws so many of the rows, all where there are no more."""
    return random.choice(span, size, replace=False) if len(span) > size else span
