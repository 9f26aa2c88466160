"""What moves a model's scores, as data that pictures are made from."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from everloop.measure.intervals import Interval


@dataclass(frozen=True, slots=True)
class Effects:
    """What one column does to the scores.

    Attributes:
        column: The column.
        size: The mean size of its Shapley values over rows, with its interval.
        effects: Its Shapley value in each of the rows that were explained.
        places: Where its value lies among the rows' (0 the lowest, 1 the highest); None for no number.
    """

    column: str
    size: Interval
    effects: tuple[float, ...] = ()
    places: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependence:
    """The scores over one column, all other columns as they are.

    Attributes:
        column: The column.
        at: The values that all rows were given: numbers, or texts.
        mean: The mean score.
        low: The 10 % quantile of the rows' scores.
        high: The 90 % quantile.
    """

    column: str
    at: tuple[Any, ...]
    mean: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Permuted:
    """What is lost when a column is shuffled.

    Attributes:
        column: The column.
        loss: What the metric loses, with its interval: more is worse, whatever the metric.
    """

    column: str
    loss: Interval


@dataclass(frozen=True, slots=True)
class Robustness:
    """What a disturbed input costs.

    Attributes:
        column: The column; empty for all of them.
        kind: ``missing``, ``noise`` or ``unknown`` (a category that was never seen).
        loss: What the metric loses, with its interval: more is worse, whatever the metric.
        value: What a decision loses in money, where decisions have prices.
        changed: The share of rows whose decision changes; for a number the mean change.
    """

    column: str
    kind: str
    loss: Interval
    value: Interval | None
    changed: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is known of how a model comes to its scores, from rows that it did not learn from.

    Attributes:
        output: What is explained: ``the chance of yes``, ``the chance of the decided class``, the target.
        metric: The metric of `Permuted.loss` and `Robustness.loss`.
        rows: How many rows were explained.
        orders: How many orders of columns were drawn for each.
        effects: By falling size; columns that the model does not read are not among them.
        dependence: For the strongest columns.
        permuted: What the metric loses when a column is shuffled, the costliest first.
        robustness: For the strongest columns and for all together, the costliest first.
        noise: How strong the noise is, in standard deviations of the column.
        missing: The share of fields that are missing where all columns are disturbed.
    """

    output: str
    metric: str
    rows: int
    orders: int
    effects: tuple[Effects, ...] = ()
    dependence: tuple[Dependence, ...] = ()
    permuted: tuple[Permuted, ...] = ()
    robustness: tuple[Robustness, ...] = ()
    noise: float = 0.0
    missing: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Gives the explanation as what JSON can carry."""
        from everloop.core.values import to_jsonable

        return dict(to_jsonable(asdict(self)))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Explanation:
        """Reads what `to_dict` gave."""
        known = dict(data)
        known["effects"] = tuple(
            Effects(one["column"], _interval(one["size"]), tuple(one["effects"]), tuple(one["places"]))
            for one in data["effects"]
        )
        known["dependence"] = tuple(
            Dependence(one["column"], *(tuple(one[name]) for name in ("at", "mean", "low", "high")))
            for one in data["dependence"]
        )
        known["permuted"] = tuple(
            Permuted(one["column"], _interval(one["loss"])) for one in data.get("permuted", ())
        )
        known["robustness"] = tuple(
            Robustness(
                one["column"],
                one["kind"],
                _interval(one["loss"]),
                _interval(one["value"]) if one["value"] is not None else None,
                float("nan") if one["changed"] is None else one["changed"],
            )
            for one in data["robustness"]
        )
        return cls(**known)


def _interval(data: dict[str, float | None]) -> Interval:
    ends = (data["low"], data["estimate"], data["high"])
    return Interval(*(float("nan") if end is None else float(end) for end in ends))
