"""The reference: the distribution that windows are compared with, and how much it varies by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.clock import as_utc, parse_time
from everloop.core.errors import DataFault, PackageRefused
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.measure.budget import Budget, fit_budget
from everloop.measure.histogram import Histogram, build_bins, count
from everloop.monitor.columns import (
    STATISTICS,
    bins_of,
    count_column,
    distances_of,
    watched_columns,
)
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    import polars as pl

REFERENCE_FILE = "reference.json"
FORMAT = 1
SCORE = "(score)"
"""The score's name among the watched columns."""

FEWEST_ROWS = 30
"""Rows below which no window is judged."""

_CALIBRATION_ROWS = 5000
_USUAL = 0.1
"""The share of windows of the reference that may be smaller than the largest size that is judged."""

_FEWEST_DRAWS = 199
_MOST_DRAWS = 2000


@dataclass(frozen=True)
class Reference:
    """What windows are compared with.

    Attributes:
        rows: How many rows it was made from.
        since: The time of its first row, where rows have times.
        until: The time of its last row.
        histograms: Each watched column's histogram; the score's under `SCORE`.
        watched: The pairs of column and distance that the budget holds, in its order.
        budgets: The threshold of alarms for windows of so many rows, the largest first; none where the
            reference was too small for one.
        cut: How its windows were cut: ``time``, ``count`` or ``resampled``.
        scores: Scores with known actuals, for estimating performance; at most 5,000.
        actuals: 0/1 for each of them.
        facts: What its maker wants to keep beside, such as metrics and value per decision.
    """

    rows: int
    since: datetime | None
    until: datetime | None
    histograms: Mapping[str, Histogram]
    watched: tuple[tuple[str, str], ...]
    budgets: Mapping[int, Budget]
    cut: str
    scores: tuple[float, ...] = ()
    actuals: tuple[int, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Gives the reference as what JSON can carry."""
        return {
            "format": FORMAT,
            "rows": self.rows,
            "since": to_jsonable(self.since),
            "until": to_jsonable(self.until),
            "histograms": {name: found.to_dict() for name, found in self.histograms.items()},
            "watched": [list(pair) for pair in self.watched],
            "budgets": {str(size): to_jsonable(budget.to_dict()) for size, budget in self.budgets.items()},
            "cut": self.cut,
            "scores": list(self.scores),
            "actuals": list(self.actuals),
            "facts": to_jsonable(self.facts),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        """Reads what `to_dict` gave.

        Raises:
            PackageRefused: When it is damaged or of a later format.
        """
        if data.get("format") != FORMAT:
            raise PackageRefused(f"The reference has format {data.get('format')}; {FORMAT} was expected.")
        try:
            return cls(
                rows=int(data["rows"]),
                since=parse_time(data["since"]) if data["since"] else None,
                until=parse_time(data["until"]) if data["until"] else None,
                histograms={name: Histogram.from_dict(found) for name, found in data["histograms"].items()},
                watched=tuple((column, statistic) for column, statistic in data["watched"]),
                budgets={int(size): Budget.from_dict(budget) for size, budget in data["budgets"].items()},
                cut=data["cut"],
                scores=tuple(data["scores"]),
                actuals=tuple(data["actuals"]),
                facts=data["facts"],
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PackageRefused(f"The reference is damaged: {error!r}.") from None

    def save(self, folder: Path) -> Path:
        """Writes `reference.json` into a folder."""
        path = Path(folder) / REFERENCE_FILE
        write_file(path, json.dumps(self.to_dict(), allow_nan=False).encode())
        return path

    @classmethod
    def load(cls, folder: Path) -> Reference:
        """Reads `reference.json` from a folder.

        Raises:
            PackageRefused: When it is not there, damaged or of a later format.
        """
        path = Path(folder) / REFERENCE_FILE
        try:
            data = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise PackageRefused(f"There is no {REFERENCE_FILE} in {folder}.") from None
        except ValueError:
            raise PackageRefused(f"{path} is not JSON; it is damaged.") from None
        if not isinstance(data, dict):
            raise PackageRefused(f"{path} holds no reference.")
        return cls.from_dict(data)


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


def reference(
    table: Any,
    inputs: tuple[str, ...] | None = None,
    *,
    scores: ArrayLike | None = None,
    actuals: ArrayLike | None = None,
    times: pl.Series | None = None,
    rules: ReferenceRules | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Reference:
    """Makes the reference of a version, from rows that it did not learn from.

    Args:
        table: The rows as they are served: Polars, pandas, Arrow, DuckDB or a path.
        inputs: The columns that are watched; all that can be when left out. Times are not watched.
        scores: The version's score of each row, shape (n,).
        actuals: 0/1 where binary, NaN where not known, shape (n,).
        times: When each row's decision was made, shape (n,). Without times, windows are random samples.
        rules: How its own variation is measured; windows of a day and 1 false alarm in 100 by default.
        facts: What shall be kept beside, as JSON can carry it.

    Returns:
        The reference.

    Raises:
        DataFault: When the table has no row, or the arrays do not fit it.
    """
    rules = rules or ReferenceRules()
    frame = as_frame(table)
    if frame.height == 0:
        raise DataFault("The reference has no row; give rows that the model did not learn from.")
    score = _score(scores, frame.height)
    random = np.random.default_rng(rules.seed)
    histograms = {
        name: count_column(bins_of(frame[name]), frame[name]) for name in watched_columns(frame, inputs)
    }
    if score is not None:
        histograms[SCORE] = count(build_bins(score), score)
    watched = tuple(
        (name, statistic) for name, found in histograms.items() for statistic in STATISTICS[found.bins.kind]
    )
    if times is None:
        cut = "resampled"
        tables = {
            size: _resampled(histograms, watched, size, rules) for size in _sizes(rules.window_rows, rules)
        }
    else:
        cut, spans = _spans(frame.height, times, rules.window)
        usual = int(np.quantile([len(span) for span in spans], _USUAL)) if spans else 0
        tables = {
            size: [
                _of_span(histograms, watched, frame[span], _part(score, span))
                for span in (_sampled(span, size, random) for span in spans if len(span) >= size)
            ]
            for size in _sizes(min(rules.window_rows, usual), rules)
        }
    known = _known(score, actuals, random)
    return Reference(
        rows=frame.height,
        since=_time(times, first=True),
        until=_time(times, first=False),
        histograms=histograms,
        watched=watched,
        budgets={
            size: fit_budget(np.array(table), rules.alarm.alarms, rules.alarm.windows)
            for size, table in tables.items()
            if len(table) > 1 and watched
        },
        cut=cut,
        scores=known[0],
        actuals=known[1],
        facts=dict(facts or {}),
    )


def _of_span(
    histograms: Mapping[str, Histogram],
    watched: tuple[tuple[str, str], ...],
    rows: pl.DataFrame,
    scores: NDArray[np.float64] | None,
) -> list[float]:
    """Measures a window of the reference against the rest of it, as a new window will be."""
    parts = _counted(histograms, rows, scores)
    rest = {name: _without(histograms[name], part) for name, part in parts.items()}
    return _distances(rest, parts, watched)


def statistics_of(
    histograms: Mapping[str, Histogram],
    watched: tuple[tuple[str, str], ...],
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
    before: Mapping[str, Histogram], after: Mapping[str, Histogram], watched: tuple[tuple[str, str], ...]
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


def _part(scores: NDArray[np.float64] | None, span: NDArray[np.int64]) -> NDArray[np.float64] | None:
    return None if scores is None else scores[span]


def _score(scores: ArrayLike | None, rows: int) -> NDArray[np.float64] | None:
    if scores is None:
        return None
    array = np.asarray(scores, dtype=np.float64)
    if array.shape != (rows,):
        raise DataFault(
            f"There are scores of shape {array.shape} for {rows} rows; one for each was expected."
        )
    return array


def _sizes(largest: int, rules: ReferenceRules) -> list[int]:
    """How many rows the windows have that a threshold is fitted for, the largest first."""
    sizes = [largest] if largest >= FEWEST_ROWS else []
    while rules.smaller and sizes and sizes[-1] // 3 >= FEWEST_ROWS:
        sizes.append(sizes[-1] // 3)
    return sizes


def _resampled(
    histograms: Mapping[str, Histogram],
    watched: tuple[tuple[str, str], ...],
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


def _sampled(span: NDArray[np.int64], size: int, random: np.random.Generator) -> NDArray[np.int64]:
    return random.choice(span, size, replace=False) if len(span) > size else span


def _known(
    scores: NDArray[np.float64] | None, actuals: ArrayLike | None, random: np.random.Generator
) -> tuple[tuple[float, ...], tuple[int, ...]]:
    """Scores with known 0/1 actuals; none where the task is another."""
    if scores is None or actuals is None:
        return (), ()
    truth = np.asarray(actuals, dtype=np.float64)
    if truth.shape != scores.shape:
        raise DataFault(
            f"There are actuals of shape {truth.shape} for {scores.size} scores; one each was expected."
        )
    rows = np.flatnonzero(~np.isnan(truth))
    if not np.isin(truth[rows], (0, 1)).all():
        return (), ()
    rows = np.sort(_sampled(rows, _CALIBRATION_ROWS, random))
    return tuple(scores[rows].tolist()), tuple(int(value) for value in truth[rows])


def _time(times: pl.Series | None, *, first: bool) -> datetime | None:
    if times is None:
        return None
    found = times.min() if first else times.max()
    if not isinstance(found, datetime):
        raise DataFault("The times of the reference are no times; a column of times was expected.")
    return as_utc(found)
