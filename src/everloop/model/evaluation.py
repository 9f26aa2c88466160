"""How a model does on rows that it never saw, as data that pages and pictures are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from everloop.measure.intervals import Interval


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the rows that share one value, or two.

    Attributes:
        conditions: Pairs of a column and its value (or the range of a number), which all hold.
        rows: How many rows it was measured on.
        score: The metric on them, with its interval.
        rest: The metric on all other rows.
        chance: How likely so large a difference is by chance, corrected for the number of slices tried.
    """

    conditions: tuple[tuple[str, str], ...]
    rows: int
    score: Interval
    rest: float
    chance: float

    @property
    def name(self) -> str:
        """The conditions in words."""
        return " and ".join(f"{column} is {value}" for column, value in self.conditions)


@dataclass(frozen=True, slots=True)
class Group:
    """One group of people or things.

    Attributes:
        name: The value, or the values of a pair of columns.
        rows: How many rows.
        enough: Whether they are enough to give numbers.
        rates: The problem's metric and, for binary, ``positive_rate``, ``true_positive_rate``,
            ``false_positive_rate``, ``precision`` and, where decisions have prices, ``value``.
    """

    name: str
    rows: int
    enough: bool
    rates: dict[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupFairness:
    """How the groups of a sensitive column, or of a pair of them, fare.

    Attributes:
        columns: The column, or both.
        groups: The groups by name; those too small are named without numbers.
        differences: Measures over the groups that are large enough: those of
            `everloop.measure.fairness.FAIRNESS` for binary, and ``metric_difference``.
    """

    columns: tuple[str, ...]
    groups: tuple[Group, ...]
    differences: dict[str, Interval]

    @property
    def name(self) -> str:
        """The columns in words."""
        return " and ".join(self.columns)


@dataclass(frozen=True, slots=True)
class Mitigation:
    """What it costs that groups are treated alike: the model against itself without.

    Attributes:
        method: As `model.mitigate` names it.
        value_without: Value per decision without it, where decisions have prices.
        price: What a decision earns less with it, on the same rows (paired).
        changes: Metrics of decisions: with it, less without it.
        without: By sensitive column, or pair of them: the differences between groups without it.
    """

    method: str
    value_without: Interval | None = None
    price: Interval | None = None
    changes: dict[str, Interval] = field(default_factory=dict)
    without: dict[str, dict[str, Interval]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that the goal or the problem requires, and whether it holds.

    Attributes:
        name: The measure.
        bound: Such as ``>= 0.6``.
        limit: The number in it.
        number: What was measured; NaN where it is not known.
        holds: Whether it holds.
    """

    name: str
    bound: str
    limit: float
    number: float
    holds: bool


@dataclass(frozen=True, slots=True)
class Trait:
    """A column in which a cluster differs from all rows.

    Attributes:
        column: The column.
        value: The category that is more, or less, frequent; None where the column holds numbers.
        inside: The median in the cluster, or the category's share there.
        overall: The same of all rows.
        distance: How far the cluster is away, in standard deviations of all rows; negative below.
    """

    column: str
    value: str | None
    inside: float
    overall: float
    distance: float

    def sentence(self) -> str:
        """Says it in words."""
        way = "high" if self.distance > 0 else "low"
        if self.value is None:
            from everloop.report.writing import number

            return f"{self.column} {way} (median {number(self.inside)}, all rows {number(self.overall)})"
        rarer = "often" if self.distance > 0 else "seldom"
        return f"{self.column} {rarer} {self.value} ({self.inside:.0%}, all rows {self.overall:.0%})"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, and what sets it apart.

    Attributes:
        name: Its name among the classes.
        rows: How many rows that were learned from it has.
        share: Of all of them.
        traits: The columns in which it differs most, the strongest first.
        worth: What acting on one of its held-out rows is worth, where that has a price.
        acted: Whether it is acted on.
    """

    name: str
    rows: int
    share: float
    traits: tuple[Trait, ...]
    worth: Interval | None = None
    acted: bool = False


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
        against_today: Metrics of decisions: the model's less that of today's decisions on the same rows.
        best_possible: Value per decision of a model that knows every actual.
        confusion: Row: actual class, column: decision; counts.
        classes: The classes, in the order of the confusion.
        reliability: Mean score, rate of positives and rows, per bin of scores; of many classes the mean
            chance of the likeliest one and how often it came.
        value_curve: Thresholds, values, positive rates, allowed: from `choose_threshold` on these rows.
        roc_curve: False positive rate and true positive rate.
        precision_curve: Recall and precision.
        gain_curve: The share of rows taken from the top, the share of positives found, and the lift.
        predicted: For regression: pairs of predicted and actual for a picture, at most 500.
        residuals: For regression: see `evaluation_curves.residual_facts`.
        importance: What the metric loses when a column is shuffled, by column.
        fairness: For each sensitive column, then for each pair of them.
        mitigation: What it costs that they are treated alike, where that was asked for.
        slices: The worst slices first; each was found on one half of the rows and holds on the other.
        slices_looked_at: How many were compared to find them.
        requirements: What is required, and whether it holds.
        clusters: For a clustering: its clusters, the largest first.
    """

    part: str
    rows: int
    metric: str
    metrics: dict[str, Interval]
    threshold: float | None = None
    value: Interval | None = None
    value_today: Interval | None = None
    gain: Interval | None = None
    against_today: dict[str, Interval] = field(default_factory=dict)
    best_possible: float | None = None
    confusion: tuple[tuple[int, ...], ...] = ()
    classes: tuple[str, ...] = ()
    reliability: dict[str, list[float]] = field(default_factory=dict)
    value_curve: dict[str, list[Any]] = field(default_factory=dict)
    roc_curve: dict[str, list[float]] = field(default_factory=dict)
    precision_curve: dict[str, list[float]] = field(default_factory=dict)
    gain_curve: dict[str, list[float]] = field(default_factory=dict)
    predicted: dict[str, list[float]] = field(default_factory=dict)
    residuals: dict[str, Any] = field(default_factory=dict)
    importance: dict[str, float] = field(default_factory=dict)
    fairness: tuple[GroupFairness, ...] = ()
    mitigation: Mitigation | None = None
    slices: tuple[Slice, ...] = ()
    slices_looked_at: int = 0
    requirements: tuple[Requirement, ...] = ()
    clusters: tuple[Cluster, ...] = ()

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
        for name in ("metrics", "against_today"):
            known[name] = _intervals(data[name])
        known["confusion"] = tuple(tuple(row) for row in data["confusion"])
        known["classes"] = tuple(data["classes"])
        known["fairness"] = tuple(_fairness(item) for item in data["fairness"])
        known["mitigation"] = _mitigation(data.get("mitigation"))
        known["slices"] = tuple(_slice(item) for item in data["slices"])
        known["requirements"] = tuple(
            Requirement(**{**item, "number": _number(item["number"])}) for item in data["requirements"]
        )
        known["clusters"] = tuple(
            Cluster(
                **{
                    **item,
                    "traits": tuple(Trait(**trait) for trait in item["traits"]),
                    "worth": _interval(item["worth"]) if item.get("worth") else None,
                }
            )
            for item in data.get("clusters", ())
        )
        return cls(**known)


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _interval(data: dict[str, float | None]) -> Interval:
    return Interval(_number(data["low"]), _number(data["estimate"]), _number(data["high"]))


def _intervals(data: dict[str, Any]) -> dict[str, Interval]:
    return {name: _interval(interval) for name, interval in data.items()}


def _slice(data: dict[str, Any]) -> Slice:
    conditions = tuple((column, value) for column, value in data["conditions"])
    return Slice(conditions, data["rows"], _interval(data["score"]), _number(data["rest"]), data["chance"])


def _fairness(data: dict[str, Any]) -> GroupFairness:
    groups = tuple(Group(**{**group, "rates": _intervals(group["rates"])}) for group in data["groups"])
    return GroupFairness(tuple(data["columns"]), groups, _intervals(data["differences"]))


def _mitigation(data: dict[str, Any] | None) -> Mitigation | None:
    if data is None:
        return None
    money = {
        name: None if data[name] is None else _interval(data[name]) for name in ("value_without", "price")
    }
    without = {name: _intervals(differences) for name, differences in data["without"].items()}
    return Mitigation(data["method"], **money, changes=_intervals(data["changes"]), without=without)
