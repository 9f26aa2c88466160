"""How a model does on rows that it never saw, as data that pages and pictures are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from everloop.measure.intervals import Interval


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows that share a value.

    Attributes:
        column: The column.
        value: Its value, or the range of a number.
        rows: How many rows.
        score: The metric on them, with its interval.
        rest: The metric on all other rows.
    """

    column: str
    value: str
    rows: int
    score: Interval
    rest: float


@dataclass(frozen=True, slots=True)
class GroupFairness:
    """How the groups of a sensitive column fare.

    Attributes:
        column: The sensitive column.
        groups: Group -> its rows, its metric and, for binary, its share of positive decisions and its rates
            of right answers among actual positives and of wrong ones among actual negatives.
        differences: The largest difference between groups: ``demographic_parity_difference``,
            ``equal_opportunity_difference``, ``equalized_odds_difference``, ``metric_difference``.
    """

    column: str
    groups: dict[str, dict[str, float]]
    differences: dict[str, float]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that the goal or the problem requires, and whether it holds.

    Attributes:
        name: The measure.
        bound: Such as ``>= 0.6``.
        number: What was measured; NaN where it is not known.
        holds: Whether it holds.
    """

    name: str
    bound: str
    number: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What is known of a model from held-out rows.

    Attributes:
        part: Which rows: ``test``, or ``folds`` where there is no test part.
        rows: How many.
        metric: The metric that the search optimised.
        metrics: Every metric of the task with its 95 % interval.
        threshold: For binary: what a decision was made by.
        value: Value per decision, where decisions have prices.
        value_today: The same of what is decided today.
        gain: Value over today's on the same rows (paired).
        best_possible: Value per decision of a model that knows every actual.
        confusion: Row: actual class, column: decision; counts.
        classes: The classes, in the order of the confusion.
        reliability: Mean score, rate of positives and rows, per bin of scores.
        value_curve: Thresholds, values, positive rates, allowed: from `choose_threshold` on these rows.
        roc_curve: False positive rate and true positive rate.
        predicted: For regression: pairs of predicted and actual for a picture, at most 500.
        importance: What the metric loses when a column is shuffled, by column.
        fairness: For each sensitive column.
        slices: The worst slices first.
        requirements: What is required, and whether it holds.
    """

    part: str
    rows: int
    metric: str
    metrics: dict[str, Interval]
    threshold: float | None = None
    value: Interval | None = None
    value_today: Interval | None = None
    gain: Interval | None = None
    best_possible: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[str, ...] = ()
    reliability: dict[str, list[float]] = field(default_factory=dict)
    value_curve: dict[str, list[Any]] = field(default_factory=dict)
    roc_curve: dict[str, list[float]] = field(default_factory=dict)
    predicted: dict[str, list[float]] = field(default_factory=dict)
    importance: dict[str, float] = field(default_factory=dict)
    fairness: tuple[GroupFairness, ...] = ()
    slices: tuple[Slice, ...] = ()
    requirements: tuple[Requirement, ...] = ()

    @property
    def score(self) -> Interval:
        """The metric that the search optimised, on these rows."""
        return self.metrics[self.metric]

    def to_dict(self) -> dict[str, Any]:
        """Gives the evaluation as what JSON can carry."""
        from everloop.core.values import to_jsonable

        return dict(to_jsonable(asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Evaluation:
        """Reads what `to_dict` gave; a number that JSON had no form for is NaN again."""
        known = dict(data)
        for name in ("value", "value_today", "gain"):
            known[name] = _interval(data[name]) if data[name] is not None else None
        known["metrics"] = {name: _interval(interval) for name, interval in data["metrics"].items()}
        known["confusion"] = tuple(tuple(row) for row in data["confusion"])
        known["classes"] = tuple(data["classes"])
        known["fairness"] = tuple(_fairness(item) for item in data["fairness"])
        known["slices"] = tuple(
            Slice(**{**item, "score": _interval(item["score"]), "rest": _number(item["rest"])})
            for item in data["slices"]
        )
        known["requirements"] = tuple(
            Requirement(**{**item, "number": _number(item["number"])}) for item in data["requirements"]
        )
        return cls(**known)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _interval(data: dict[str, float | None]) -> Interval:
    return Interval(_number(data["low"]), _number(data["estimate"]), _number(data["high"]))


def _fairness(data: dict[str, Any]) -> GroupFairness:
    return GroupFairness(
        data["column"],
        {
            group: {name: _number(v) for name, v in numbers.items()}
            for group, numbers in data["groups"].items()
        },
        {name: _number(v) for name, v in data["differences"].items()},
    )
