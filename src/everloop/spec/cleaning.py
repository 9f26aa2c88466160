"""What is done about common faults of the data: `data.clean`."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from everloop.spec.part import Part

Missing = bool | int | float | str


class RepeatedRows(Part):
    """Rows that are the same in some columns: one of each is kept."""

    by: tuple[str, ...] = Field(min_length=1, description="The columns that say which rows are the same.")
    keep: Literal["first", "last"] = Field("first", description="Which of them stays, in the table's order.")


class ColumnCleanSpec(Part):
    """What is done about one column, where it differs from the rest."""

    missing_values: tuple[Missing, ...] | None = Field(
        None, description="Values that mean missing; by default they are looked for."
    )
    type: Literal["number", "time", "text"] | None = Field(
        None, description="What the text is read as; by default what nearly all of it can be read as."
    )
    categories: Literal["merge", "keep"] | dict[str, str] | None = Field(
        None, description="Spellings of one category; or by hand, from a spelling to the one that stays."
    )
    outliers: Literal["clip", "keep"] | None = Field(
        None, description="Numbers far outside the training part."
    )
    exclude: Literal["find", "keep"] | None = Field(
        None, description="Whether it is left out where it has one value, or names rows; `keep` is an input."
    )


class CleanSpec(Part):
    """What is done about common faults; everything fitted is fitted on the training part alone."""

    duplicates: Literal["drop", "near", "keep"] | RepeatedRows = Field(
        "drop",
        description="Rows that are the same in every column, and not by chance (`drop`), also where only "
        "case, spaces, accents or one typing error differ (`near`), or in some columns (`{by: [...], keep: "
        "first}`).",
    )
    outliers: Literal["clip", "keep"] = Field("clip", description="Numbers far outside the training part.")
    missing: Literal["impute", "keep"] = Field(
        "impute", description="Missing values; `keep` looks for no values that mean missing."
    )
    sentinels: Literal["find", "keep"] = Field(
        "find",
        description="Values that stand for missing ones: `?`, `-999`, 0 where it is impossible.",
    )
    types: Literal["repair", "keep"] = Field("repair", description="Numbers and times that are kept as text.")
    categories: Literal["merge", "keep"] = Field("merge", description="Spellings of one category.")
    exclude: Literal["find", "keep"] = Field(
        "find",
        description="Columns that have one value, or name rows, are left out; `keep` makes them inputs.",
    )
    columns: dict[str, ColumnCleanSpec] = Field(
        default_factory=dict, description="What is done about a column, where it differs from the rest."
    )

    @model_validator(mode="after")
    def _no_empty_column(self) -> Self:
        for name, column in self.columns.items():
            if not column.model_fields_set:
                raise ValueError(f"expected missing_values, type, categories, outliers or exclude for {name}")
        return self

    def keeps(self, name: str) -> bool:
        """Tells whether a column is an input though it has one value, or names rows."""
        column = self.columns.get(name)
        return ((column.exclude if column else None) or self.exclude) == "keep"
