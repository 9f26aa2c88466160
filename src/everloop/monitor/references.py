"""The reference: the distribution that windows are compared with, and how much it varies by itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
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
from everloop.measure.joint import JointShift
from everloop.monitor.columns import STATISTICS, count_reference, for_each, watched_columns
from everloop.monitor.facets import Facet, facets_of, with_facets
from everloop.monitor.segments import Segment, count_within, scores_within, segments_of, within
from everloop.monitor.state import ACTUAL, SCORE, as_watched
from everloop.monitor.variation import ReferenceRows, ReferenceRules, sampled, variation
from everloop.table.tables import as_frame

__all__ = ["REFERENCE_FILE", "Reference", "ReferenceRules", "reference"]

if TYPE_CHECKING:
    import polars as pl

REFERENCE_FILE = "reference.json"
FORMAT = 2
_CALIBRATION_ROWS = 5000


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
        actuals: The actual of each of them: 0/1 where binary, class indices or numbers.
        facts: What its maker wants to keep beside, such as metrics and value per decision.
        facets: The columns that are watched by what they carry: prose, images and sounds.
        segments: The segments within which columns are watched, too, as columns of their own.
        joint: How columns hang together, those of classes and the others; the last columns of budgets.
    """

    rows: int
    since: datetime | None
    until: datetime | None
    histograms: Mapping[str, Histogram]
    watched: tuple[tuple[str, str], ...]
    budgets: Mapping[int, Budget]
    cut: str
    scores: tuple[float, ...] = ()
    actuals: tuple[float, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    facets: tuple[Facet, ...] = ()
    segments: tuple[Segment, ...] = ()
    joint: tuple[JointShift, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of a row that are watched, by their values or by what they carry."""
        made = {name for facet in self.facets for name in facet.names} | {SCORE, ACTUAL} | self.within.keys()
        return (*(name for name in self.histograms if name not in made), *(one.column for one in self.facets))

    @cached_property
    def within(self) -> dict[str, tuple[str, Segment]]:
        """The column and the segment of each column within a segment, by its name."""
        found = within(self.segments, self.histograms)
        return {name: each for name, each in found.items() if name in self.histograms}

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
            "facets": [facet.to_dict() for facet in self.facets],
            "segments": [segment.to_dict() for segment in self.segments],
            "joint": [joint.to_dict() for joint in self.joint],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Reference:
        """Reads what `to_dict` gave.

        Raises:
            PackageRefused: When it is damaged or of a later format.
        """
        if data.get("format") != FORMAT:
            raise PackageRefused(
                f"The reference has format {data.get('format')}; {FORMAT} was expected.",
                hint="make the version again with this release: everloop run",
            )
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
                facets=tuple(map(Facet.from_dict, data.get("facets", ()))),
                segments=tuple(Segment(**each) for each in data.get("segments", ())),
                joint=tuple(map(JointShift.from_dict, data.get("joint", ()))),
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
        inputs: The columns that are watched; all that can be when left out. Times are not watched; of
            prose, images and sounds `everloop.monitor.facets` are.
        scores: The version's score of each row, shape (n,); NaN where it is not known, or where the version
            learned from the row.
        actuals: 0/1 where binary, class indices or numbers otherwise; NaN where not known, shape (n,).
        times: When each row's decision was made, shape (n,). Without times, windows are random samples.
        rules: How its own variation is measured; windows of a day and 1 false alarm in 100 by default.
        facts: What shall be kept beside, as JSON can carry it.

    Returns:
        The reference.

    Raises:
        DataFault: When the table has no row, or the arrays do not fit it.
    """
    rules = rules or ReferenceRules()
    times = None if times is None else _moments(times)
    frame = as_frame(table)
    if frame.height == 0:
        raise DataFault("The reference has no row; give rows that the model did not learn from.")
    score = _for_each_row(scores, frame.height, "scores")
    truth = _for_each_row(actuals, frame.height, "actuals")
    facets = facets_of(frame, inputs)
    names = (*watched_columns(frame, inputs), *(name for facet in facets for name in facet.names))
    frame = with_facets(frame, facets, own=True)
    histograms = for_each(lambda name, scratch: count_reference(frame[name], scratch), names)
    marked = None if score is None else as_watched(score)
    for name, values in ((SCORE, marked), (ACTUAL, truth)):
        known = None if values is None else values[~np.isnan(values)]
        if known is not None and known.size:
            histograms[name] = count(build_bins(known), known)
    segments = segments_of(frame, _known_columns(rules.segments, frame))
    histograms |= count_within(frame, segments, histograms, {})
    if marked is not None and SCORE in histograms:
        histograms |= scores_within(frame, segments, histograms[SCORE], SCORE, marked)
    watched = tuple(
        (name, statistic) for name, found in histograms.items() for statistic in STATISTICS[found.bins.kind]
    )
    rows = ReferenceRows(frame, marked, truth, times, segments)
    random = np.random.default_rng(rules.seed)
    joint = rows.joint(histograms, random)
    cut, tables = variation(rows, histograms, watched, joint, rules)
    pairs = _known(score, truth, random)
    # The columns each for themselves, the classes together and the numbers together count alike.
    weight = (*[1.0] * len(watched), *[float(len(watched))] * len(joint))
    return Reference(
        rows=frame.height,
        since=_time(times, first=True),
        until=_time(times, first=False),
        histograms=histograms,
        watched=watched,
        budgets={
            size: fit_budget(table, rules.alarm.alarms, rules.alarm.windows, weight)
            for size, table in tables.items()
            if watched
        },
        cut=cut,
        scores=pairs[0],
        actuals=pairs[1],
        facts=dict(facts or {}),
        facets=facets,
        segments=segments,
        joint=joint,
    )


def _known_columns(names: tuple[str, ...], table: pl.DataFrame) -> tuple[str, ...]:
    """Refuses segments of a column that the rows do not have."""
    for name in names:
        if name not in table.columns:
            raise DataFault(
                f"Segments are asked for by {name}, which the rows do not have.",
                hint="name columns of a row in monitor.drift.segments",
            )
    return names


def _for_each_row(values: ArrayLike | None, rows: int, name: str) -> NDArray[np.float64] | None:
    if values is None:
        return None
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (rows,):
        raise DataFault(
            f"There are {name} of shape {array.shape} for {rows} rows; one for each was expected."
        )
    return array


def _known(
    scores: NDArray[np.float64] | None, actuals: NDArray[np.float64] | None, random: np.random.Generator
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scores with known actuals."""
    if scores is None or actuals is None:
        return (), ()
    rows = np.flatnonzero(~np.isnan(actuals) & ~np.isnan(scores))
    rows = np.sort(sampled(rows, _CALIBRATION_ROWS, random))
    return tuple(scores[rows].tolist()), tuple(actuals[rows].tolist())


def _moments(times: pl.Series) -> pl.Series:
    import polars as pl

    if not times.dtype.is_temporal() or times.dtype in (pl.Time, pl.Duration):
        raise DataFault(f"The times of the reference are {times.dtype}; a column of times was expected.")
    return times.cast(pl.Datetime("us")) if times.dtype == pl.Date else times


def _time(times: pl.Series | None, *, first: bool) -> datetime | None:
    found = None if times is None else times.min() if first else times.max()
    return as_utc(found) if isinstance(found, datetime) else None
