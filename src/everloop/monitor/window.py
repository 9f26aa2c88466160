"""Which windows are due, and the rows of one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from everloop.measure.arrays import Integers
from everloop.measure.maturity import DelayCurve, delay_curve
from everloop.measure.selection import values_at

if TYPE_CHECKING:
    import polars as pl

    from everloop.measure.worth import Worth
    from everloop.spec.monitor import WindowSpec
    from everloop.table.contract import Contract

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Window:
    """The rows of one window of the prediction log, and what is known of them.

    Attributes:
        since: The window's start; it is in the window.
        until: Its end; it is not.
        inputs: The rows as served.
        scores: Shape (n,): the chance of the positive class where binary, of the chosen one where
            multiclass, the number where regression.
        decisions: Shape (n,): 0/1 where binary, class indices where multiclass, the number where
            regression.
        actuals: Shape (n,): NaN where not known yet.
        ages: Shape (n,): seconds since each prediction.
        worth: What each decision on each row is worth, or None.
        today: What would be decided without a model, as `decisions`, shape (n,), or None.
        violations: How many requests were refused as they broke the contract, where it was counted.
        contract: What each row must satisfy, or None.
        version: The version that answered.
        probabilities: Of all classes where multiclass, shape (n, classes).
    """

    since: datetime
    until: datetime
    inputs: pl.DataFrame
    scores: NDArray[np.float64]
    decisions: NDArray[np.float64]
    actuals: NDArray[np.float64]
    ages: NDArray[np.float64]
    worth: Worth | None = None
    today: NDArray[np.float64] | None = None
    violations: int | None = None
    contract: Contract | None = None
    version: str | None = None
    probabilities: NDArray[np.float64] | None = None


def windows_due(
    times: pl.Series | Callable[[], Iterable[pl.Series]],
    spec: WindowSpec,
    *,
    now: datetime,
    since: datetime | None = None,
) -> list[tuple[datetime, datetime]]:
    """Gives the windows that are over and not judged yet.

    Args:
        times: When the predictions were made, in any time zone; UTC where they have none. Or what gives them
            in parts, the same ones each time it is asked: no more than a part is held then.
        spec: How windows are cut. By time they follow each other from the first prediction on (or from
            ``since``); a span without predictions is skipped. By count a window ends before the first
            prediction of the next one.
        now: The time of asking; a window that is not over is not due.
        since: Where the last judged window ended.

    Returns:
        Start and end of each, the end not in it.
    """
    whole = times if callable(times) else lambda: (times,)

    def moments() -> Iterator[Integers]:
        for part in whole():
            found = _microseconds(part, now, since)
            if found.size:
                yield found

    ends = [(int(part.min()), int(part.max()), part.size) for part in moments()]
    if not ends:
        return []
    first, last, count = min(one[0] for one in ends), max(one[1] for one in ends), sum(one[2] for one in ends)
    if spec.predictions is not None:
        edges = values_at(np.arange(0, count, spec.predictions), moments, ends=(first, last)).tolist()
        # Predictions of the same moment stay together.
        return [(_moment(start), _moment(end)) for start, end in pairwise(edges) if start < end]
    length = spec.time or timedelta(days=1)
    origin = since or _moment(first)
    begin, step = _micros(origin), length // _MICROSECOND
    numbers = {int(number) for part in moments() for number in np.unique((part - begin) // step)}
    starts = [origin + length * number for number in sorted(numbers)]
    return [(start, start + length) for start in starts if start + length <= now]


def _microseconds(times: pl.Series, now: datetime, since: datetime | None) -> Integers:
    """Gives the moments before now (and from a time on) in microseconds."""
    import polars as pl

    zone = times.dtype.time_zone if isinstance(times.dtype, pl.Datetime) else None
    times = times.dt.convert_time_zone("UTC") if zone else times.dt.replace_time_zone("UTC")
    within = times.filter((times < now) & (times >= since)) if since else times.filter(times < now)
    found: Integers = within.drop_nulls().dt.epoch("us").to_numpy()
    return found


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> datetime:
    return _EPOCH + microseconds * _MICROSECOND


def delay_of(joined: pl.DataFrame, *, now: datetime) -> DelayCurve | None:
    """Learns when actuals come from the prediction log.

    Args:
        joined: Predictions, or a sample of them, with `time` and `known_at` (null while waiting), as
            `LogTables.joined` gives it.
        now: The age of a prediction that waits is counted until now.

    Returns:
        The curve, or None with no prediction.
    """
    import polars as pl

    if joined.is_empty():
        return None
    waits = joined["known_at"].is_null()
    until = joined.select(pl.col("known_at").fill_null(now))["known_at"]
    seconds = (until - joined["time"]).dt.total_microseconds().to_numpy() / 1e6
    return delay_curve(np.maximum(seconds, 0.0), waits.to_numpy())


def ages_of(times: pl.Series, *, now: datetime) -> NDArray[np.float64]:
    """Gives the seconds since each prediction, shape (n,)."""
    import polars as pl

    ages = times.to_frame("time").select((pl.lit(now) - pl.col("time")).dt.total_microseconds())["literal"]
    seconds: NDArray[np.float64] = np.maximum(ages.to_numpy() / 1e6, 0.0)
    return seconds
