"""What was found in a window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from everloop.core.values import to_jsonable
from everloop.measure.budget import beyond
from everloop.measure.intervals import Interval
from everloop.monitor.telling_apart import ToldApart
from everloop.table.contract.report import ContractReport


@dataclass(frozen=True, slots=True)
class ColumnDrift:
    """How far one column is from the reference, by one distance.

    Attributes:
        column: Its name; ``(score)`` is the model's score.
        statistic: The distance's name in `everloop.measure.drift.DISTANCES`.
        distance: The distance.
        standardised: How rare so large a distance is among windows of the reference, in powers of ten: 2
            is one window in a hundred. Rarer than those that were seen it is extrapolated, so a large one
            says how far it moved rather than how often that happens. NaN without a budget.
    """

    column: str
    statistic: str
    distance: float
    standardised: float


@dataclass(frozen=True, slots=True)
class JointDrift:
    """How far several columns moved together.

    Attributes:
        columns: Those that make up half of it, the most moved first.
        distance: `everloop.measure.joint`'s distance, about 1 by chance.
        standardised: As that of `ColumnDrift`.
        weight: How many columns' distances it counts as.
    """

    columns: tuple[str, ...]
    distance: float
    standardised: float
    weight: float


@dataclass(frozen=True, slots=True)
class DriftFinding:
    """Whether the inputs or the score moved more than the alarm budget allows.

    Attributes:
        status: ``drift``, ``none``, ``too few`` (rows) or ``no budget`` (the reference was too small).
        statistic: The evidence of all columns together, in powers of ten.
        threshold: What it was compared with.
        columns: Every watched distance, the most moved first.
        reason: The same in a sentence.
        distances: Every distance of every column that was there, watched or not.
        absent: Columns of the reference that the window does not have.
        joint: How far the columns moved together, those of classes and the others.
    """

    status: str
    statistic: float
    threshold: float
    columns: tuple[ColumnDrift, ...]
    reason: str
    distances: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()
    joint: tuple[JointDrift, ...] = ()

    @property
    def exceeded(self) -> bool:
        """Whether it is an alarm."""
        return self.status == "drift"

    def moved(self) -> tuple[str, ...]:
        """The columns that make the alarm, the most moved first, each once; none where there is no alarm.

        Those are the ones beyond the threshold; where none is so alone, the fewest that are together; where
        they are not even so, those that moved most where all are looked at together.
        """
        if not self.exceeded:
            return ()
        count = beyond([each.standardised for each in self.columns], self.threshold)
        named = [each.column for each in self.columns[:count]]
        joint = max(self.joint, key=lambda each: each.standardised, default=None)
        return tuple(dict.fromkeys(named or (joint.columns if joint else ())))


@dataclass(frozen=True, slots=True)
class Measured:
    """A number of the window, measured from actuals or estimated without.

    Attributes:
        status: ``known``, ``too early`` or ``estimated``; ``silent`` for an estimate that was wrong too
            often to be told; ``none`` where it cannot be said at all.
        interval: The number, with its interval; NaN where it is not known.
        actuals: How many actuals are behind it.
        note: What it rests on.
    """

    status: str
    interval: Interval
    actuals: int = 0
    note: str = ""


@dataclass(frozen=True)
class WindowFinding:
    """All that was found in a window.

    Attributes:
        since: The window's start.
        until: Its end, not in it.
        version: The version that answered.
        predictions: How many.
        actuals: How many of them have their actual.
        maturity: The share of actuals that can be expected to be known by now.
        drift: Whether inputs or score moved.
        score_mean: The mean score; NaN with no prediction.
        score_shift: It less the reference's mean score.
        violation_share: The share of requests that broke a rule of the contract, those that were refused
            among them; None without a contract and where refusals were not counted.
        contract: What the window's rows broke, as `everloop.table.contract.check` says it.
        performance: Each metric from the actuals that are known.
        estimated: Each metric estimated without actuals; it supposes that no concept has drifted.
        value: Value per decision from the known actuals; None without prices.
        against_today: The same less what today's rule would have earned on the same rows.
        estimated_value: Value per decision, estimated without actuals.
        apart: How well a learner tells its rows from the reference's; None where that was not asked.
        sampled: On how many of the rows metrics, estimates and `apart` rest, where there are too many to be
            held; None where they rest on all. All the rest is of all rows.
    """

    since: datetime
    until: datetime
    version: str | None
    predictions: int
    actuals: int
    maturity: float
    drift: DriftFinding
    score_mean: float
    score_shift: float
    violation_share: float | None = None
    contract: ContractReport | None = None
    performance: Mapping[str, Measured] = field(default_factory=dict)
    estimated: Mapping[str, Measured] = field(default_factory=dict)
    value: Measured | None = None
    against_today: Measured | None = None
    estimated_value: Measured | None = None
    apart: ToldApart | None = None
    sampled: int | None = None

    @property
    def drifted(self) -> bool:
        """Whether a column moved further than the reference does, or the rows can be told apart."""
        return self.drift.exceeded or (self.apart is not None and self.apart.exceeded)

    def said_of_drift(self) -> str:
        """Says in a line what drifted; empty where nothing did."""
        said, drift, apart = [], self.drift, self.apart
        if drift.exceeded:
            moved = ", ".join(drift.moved()[:3])
            said.append(f"{moved} moved: {drift.statistic:.1f} against {drift.threshold:.1f} allowed")
        if apart is not None and apart.exceeded:
            by = ", ".join(list(apart.columns)[:3])
            said.append(
                f"rows are told apart by {by}: area {apart.area:.2f} against {apart.threshold:.2f} allowed"
            )
        return "; ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """Gives the finding as what JSON can carry."""
        return dict(to_jsonable(vars(self)))
