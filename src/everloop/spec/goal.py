"""Phase 1 of the lifecycle file: the business goal."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from everloop.spec.fields import Amount, BoundField, RateField, Sql
from everloop.spec.part import Part


class TodayRule(Part):
    """What is decided without a model: exactly one of the three."""

    always: str | None = Field(None, description="Always decide this class.")
    rule: Sql | None = Field(None, description="Decide the positive class where this SQL condition is true.")
    column: str | None = Field(None, description="Decide the class that stands in this column.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(value is not None for value in (self.always, self.rule, self.column)) != 1:
            raise ValueError("expected exactly one of always, rule and column")
        return self


class ValueSpec(Part):
    """Money for each decision: a number or an SQL expression over the row."""

    currency: str = Field("", description="The currency's name, for display.")
    true_positive: Sql = Field("0", description="Worth of deciding positive where the actual is positive.")
    false_positive: Sql = Field("0", description="Worth of deciding positive where the actual is negative.")
    false_negative: Sql = Field("0", description="Worth of deciding negative where the actual is positive.")
    true_negative: Sql = Field("0", description="Worth of deciding negative where the actual is negative.")


class CostSpec(Part):
    """What the model costs, in the currency of `value`."""

    label: Amount = Field(0.0, description="One more label.")
    training_hour: Amount = Field(0.0, description="One hour of training.")
    per_1000_predictions: Amount = Field(0.0, description="A thousand predictions.")


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
