"""Phase 1 of the lifecycle file: the business goal."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from everloop.core.errors import SpecFault
from everloop.core.units import Bound, Rate
from everloop.spec.fields import Amount, BoundField, RateField, Sql
from everloop.spec.part import Part


class TodayRule(Part):
    """What is decided without a model: exactly one of the three."""

    always: str | None = Field(None, description="Always decide this class, or predict this number.")
    rule: Sql | None = Field(
        None,
        description="SQL over the row: a condition (true: the positive class), or the class or number.",
    )
    column: str | None = Field(
        None, description="Decide the class that stands in this column, or its number."
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.always, self.rule, self.column)) != 1:
            raise ValueError("expected exactly one of always, rule and column")
        return self


class ValueSpec(Part):
    """Money for each decision: a number or an SQL expression over the row, by the task.

    Two classes: `true_positive` to `true_negative`. Several: `outcomes`. A number: `over_prediction` and
    `under_prediction`. A list of items: `hit` and `shown`. Clusters: `kpi`. Costs are negative.
    """

    currency: str = Field("", description="The currency's name, for display.")
    true_positive: Sql = Field("0", description="Worth of deciding positive where the actual is positive.")
    false_positive: Sql = Field("0", description="Worth of deciding positive where the actual is negative.")
    false_negative: Sql = Field("0", description="Worth of deciding negative where the actual is positive.")
    true_negative: Sql = Field("0", description="Worth of deciding negative where the actual is negative.")
    outcomes: dict[str, dict[str, Sql]] = Field(
        default_factory=dict,
        description="Between classes: the actual class, then the decided, then its worth.",
    )
    otherwise: Sql = Field("0", description="Worth of what `outcomes` does not name.")
    over_prediction: Sql | None = Field(
        None, description="Worth of a number above the actual: SQL over the row, `actual` and `predicted`."
    )
    under_prediction: Sql | None = Field(
        None, description="Worth of a number at the actual or below it; for both, what is left out is 0."
    )

    hit: Sql = Field(
        "0",
        description="Recommendation: worth of a listed item that the entity had later, SQL over that event.",
    )
    shown: Sql = Field("0", description="Recommendation: worth of each item that is shown, one number.")
    kpi: Sql | None = Field(
        None,
        description="Clustering: worth of acting on a row, SQL over it. Clusters in which it is positive on "
        "average are acted on, the best first, as many as `capacity` allows.",
    )

    @model_validator(mode="after")
    def _one_task(self) -> Self:
        if sum(self._priced.values()) > 1:
            raise ValueError(
                "expected prices of one kind: true_positive and its kin, or outcomes, or over_prediction and "
                "under_prediction, or hit and shown, or kpi"
            )
        return self

    @property
    def kind(self) -> str:
        """The task whose decisions are priced."""
        return next((kind for kind, priced in self._priced.items() if priced), "binary")

    @property
    def _priced(self) -> dict[str, bool]:
        four = (self.true_positive, self.false_positive, self.false_negative, self.true_negative)
        return {
            "binary": any(price != "0" for price in four),
            "multiclass": bool(self.outcomes) or self.otherwise != "0",
            "regression": self.over_prediction is not None or self.under_prediction is not None,
            "recommendation": self.hit != "0" or self.shown != "0",
            "clustering": self.kpi is not None,
        }


class CostSpec(Part):
    """What the model costs, in the currency of `value`."""

    label: Amount = Field(0.0, description="One more label.")
    training_hour: Amount = Field(0.0, description="One hour of training.")
    per_1000_predictions: Amount = Field(0.0, description="A thousand predictions.")
    features: dict[str, Amount] = Field(
        default_factory=dict,
        description="What a column, or a feature, costs in each prediction that reads it, such as a score "
        "that is bought. One that earns no more than that is left out.",
    )


class GoalSpec(Part):
    """The business goal."""

    statement: str = Field("", description="The goal in a sentence.")
    today: TodayRule | None = Field(None, description="What is decided without a model.")
    value: ValueSpec | None = Field(None, description="What each outcome is worth.")
    require: dict[str, BoundField] = Field(
        default_factory=dict, description="Bounds that a version must keep, such as `value_per_decision`."
    )
    costs: CostSpec = Field(
        default_factory=CostSpec, description="What labels, training and predictions cost."
    )
    volume: RateField | None = Field(None, description="How many decisions are made.")
    capacity: RateField | None = Field(
        None,
        description="At most so many positive decisions, such as the reviews that can be done; of `volume`, "
        "or of as many as the times of the data show.",
    )
    on_stop: Literal["stop", "continue"] = Field(
        "stop", description="What a run does where the verdict on the goal is *stop*."
    )
    segments: str | None = Field(
        None, description="A column; each of its values gets a threshold of its own where that earns more."
    )

    def with_volume(self, per_day: float | None) -> GoalSpec:
        """Gives the goal with the volume that the data shows, where `capacity` needs it and it is not stated.

        Args:
            per_day: Rows a day, where the data shows it.

        Raises:
            SpecFault: When it does not.
        """
        if self.capacity is None or self.volume is not None:
            return self
        if per_day is None:
            raise SpecFault(
                "goal.capacity limits the decisions of a day; how many there are is neither stated nor seen "
                "in the data, since no column says when they are made.",
                hint='goal: {volume: "1000 / day"}, or problem: {time: COLUMN}',
                place="goal.capacity",
            )
        return self.model_copy(update={"volume": Rate(float(f"{per_day:.6g}"), "day")})

    @property
    def bounds(self) -> dict[str, Bound]:
        """What `require` asks for, with the share of positive decisions that `capacity` allows."""
        if self.capacity is None or self.volume is None:
            return dict(self.require)
        share = self.capacity.per_month / self.volume.per_month
        stated = self.require.get("positive_rate")
        if stated is not None and stated.comparison in ("<", "<=") and stated.limit <= share:
            return dict(self.require)
        return {**self.require, "positive_rate": Bound("<=", share, f"<= {share:.2%} ({self.capacity})")}
