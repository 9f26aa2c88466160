"""Phase 2 of the lifecycle file: how the goal is framed as a problem to learn."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from everloop.spec.fields import BoundField, Duration, Sql
from everloop.spec.part import Part

PixelCount = Annotated[int, Field(ge=1, le=1024, strict=True)]
Task = Literal["binary", "multiclass", "regression", "clustering", "anomaly", "recommendation"]


class ImageSpec(Part):
    """How a column of images is read."""

    rows: PixelCount = Field(description="Each image is brought to so many rows.")
    columns: PixelCount = Field(description="And to so many columns.")


class ProblemSpec(Part):
    """What is to be learned. What is left out is inferred, shown and recorded."""

    target: str = Field("", description="The column to predict.")
    positive: str | None = Field(None, description="The class that is the event.")
    task: Task | None = Field(None, description="The kind of problem.")
    optimise: str | None = Field(None, description="The metric that the search maximises or minimises.")
    require: dict[str, BoundField] = Field(
        default_factory=dict, description="Bounds on metrics that a version must keep."
    )
    entity: str | None = Field(
        None, description="The column that names whom or what a row is about; empty text where none does."
    )
    time: str | None = Field(
        None, description="The column that says when the decision is made; empty text where none does."
    )
    label_time: str | None = Field(
        None, description="The column that says when the actual became known; empty text where none does."
    )
    label_delay: Duration | None = Field(None, description="How long until an actual is known.")
    fixed: tuple[str, ...] = Field(
        (),
        description="Columns that nobody can change, such as a date of birth: no counterfactual proposes to.",
    )
    sensitive: tuple[str, ...] = Field((), description="Columns whose groups must be treated alike.")
    weight: Sql | None = Field(
        None,
        description="How much a row counts, SQL over it: one of weight 2 as much as two of 1, one of 0 as "
        "none. Of a recommendation how much an event says, such as a purchase against a view.",
    )
    exclude: tuple[str, ...] = Field(
        (),
        description="Columns that are no inputs, such as what is known only after the decision; prices and "
        "weights may read them.",
    )
    images: dict[str, ImageSpec] = Field(
        default_factory=dict,
        description="How images are read, by column; by default in the size that most have, made smaller "
        "where a side is longer than 32.",
    )
