"""Phase 3 of the lifecycle file: the data."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from everloop.spec.cleaning import CleanSpec
from everloop.spec.fields import Duration, Share
from everloop.spec.part import Part
from everloop.spec.secret import AddressField
from everloop.spec.sources import Source


class WindowFeature(Part):
    """A value over the rows of another source in a span before the decision."""

    source: str = Field(alias="from", description="The source.")
    by: str = Field(description="The column that both share.")
    over: Duration = Field(description="How far back.")
    value: str = Field(description="An SQL aggregate, such as `sum(amount)`.")


class AsOfFeature(Part):
    """The latest value of another source before the decision."""

    source: str = Field(alias="from", description="The source.")
    by: str = Field(description="The column that both share.")
    latest: str = Field(description="The column to take.")
    within: Duration | None = Field(None, description="How old the value may be.")


def _feature_kind(value: Any) -> str:
    if isinstance(value, (WindowFeature, AsOfFeature)):
        return "window" if isinstance(value, WindowFeature) else "as_of"
    if isinstance(value, dict):
        return "as_of" if "latest" in value else "window"
    return "row"


Feature = Annotated[
    Annotated[str, Tag("row")]
    | Annotated[WindowFeature, Tag("window")]
    | Annotated[AsOfFeature, Tag("as_of")],
    Discriminator(_feature_kind),
]


class SplitSpec(Part):
    """How rows are divided into training, validation and test."""

    by: Literal["time", "random", "stratified", "group"] | None = Field(
        None,
        description="By default `time` where there is a time column; else `stratified`, or `random` for "
        "numbers, with the entity whole where it comes more than once.",
    )
    validation: Share = Field(0.2, description="The share that models are chosen on.")
    test: Share = Field(0.2, description="The share that the chosen one is judged on.")
    group: str | None = Field(
        None,
        description="The column whose values stay together, however rows are divided; for `group` by "
        "default the entity. By time, earlier rows of a group that has later ones are left out.",
    )

    @model_validator(mode="after")
    def _room_to_train(self) -> Self:
        if self.validation + self.test >= 1 or not (self.validation > 0 and self.test > 0):
            raise ValueError("expected validation and test above 0% and together below 100%")
        return self


class LeakSpec(Part):
    """What is done about leaks: each one found stops the run, unless it is waived by name with a reason."""

    waive: dict[str, Annotated[str, Field(min_length=1)]] = Field(
        default_factory=dict,
        description="From a leak's name, as the run tells it, to the reason why it may stay, such as "
        '`"identifier: account_no": accounts are few and known for years`. The reason is kept with the run.',
    )


class DataSpec(Part):
    """The data: sources, the table to learn from, its contract, cleaning, features, split."""

    sources: dict[str, Source] = Field(
        default_factory=dict, description="Where raw data comes from, by name."
    )
    table: str | None = Field(None, description="SQL over the sources: the rows to learn from.")
    files: tuple[str, ...] = Field(
        (),
        description="Columns of the sources that name images or sounds beside the lifecycle file: each "
        "file's content takes the place of its name.",
    )
    contract: str | None = Field(
        None,
        description="The contract's file; where it is not there yet it is learned, with what its rows "
        "refer to in other sources. Left out: each run learns one of its own, without that.",
    )
    clean: CleanSpec = Field(default_factory=CleanSpec, description="What is done about common faults.")
    features: dict[str, Feature] = Field(
        default_factory=dict, description="Definitions, used by training and serving alike."
    )
    online: AddressField | None = Field(
        None,
        description="The online store of features over other sources, such as `redis://host:6379/0` or "
        "env:NAME; by default a folder in `.everloop`.",
    )
    split: SplitSpec = Field(default_factory=SplitSpec, description="How rows are divided.")
    leaks: LeakSpec = Field(default_factory=LeakSpec, description="What is done about leaks.")
