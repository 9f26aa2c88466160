"""Phase 4 of the lifecycle file: model development."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator

from everloop.core.errors import UsageFault
from everloop.core.units import parse_duration
from everloop.spec.fields import BoundField, Count, Duration, Size
from everloop.spec.part import Part

_BUDGET = "expected a duration such as 2m, or {trials: 50}"


class Budget(Part):
    """What a search may spend: a time such as `2m`, or `{trials: 50}`."""

    seconds: float | None = Field(
        None, gt=0, strict=True, allow_inf_nan=False, description="Seconds of search."
    )
    trials: Count | None = Field(None, description="Trials; the search is then the same each time.")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if isinstance(value, str):
            try:
                value = {"seconds": parse_duration(value).total_seconds()}
            except UsageFault as fault:
                raise ValueError(_BUDGET) from fault
            if not value["seconds"] > 0:
                raise ValueError("expected a budget longer than nothing")
        if not isinstance(value, (dict, cls)):
            raise ValueError(_BUDGET)
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.seconds is None) == (self.trials is None):
            raise ValueError(_BUDGET)
        return self


class ModelSpec(Part):
    """How the model is searched for."""

    learners: tuple[str, ...] = Field((), description="Algorithm families to try; by default all that ship.")
    budget: Budget = Field(
        default_factory=lambda: Budget(seconds=60.0), description="A time such as `2m`, or `{trials: 50}`."
    )
    tuner: Literal["optuna", "ray"] = Field("optuna", description="What proposes configurations.")
    select_features: bool = Field(
        True, strict=True, description="Whether columns that do not help are left out."
    )
    max_latency: Duration | None = Field(None, description="A version that answers slower is never released.")
    max_size: Size | None = Field(
        None,
        description="A version whose compiled model is larger is never released: `score.onnx` (of a Python "
        "runtime `pipeline.skops`) and `plan.json` together.",
    )
    fairness: dict[str, BoundField] = Field(
        default_factory=dict,
        description="Bounds on differences between the groups of `problem.sensitive` and of each pair of "
        "them, such as `equal_opportunity_difference` or `demographic_parity_ratio`.",
    )
    mitigate: Literal["thresholds", "reweighing"] | None = Field(
        None,
        description="How the bounds of `fairness` are reached: `thresholds` gives each group of the "
        "sensitive column one of its own; `reweighing` learns from rows that are weighed so that groups and "
        "classes are independent. What it costs is measured.",
    )
    seed: int = Field(0, ge=0, lt=2**32, strict=True, description="What all chance is drawn from.")
