"""Cleaning: rows that are dropped and values that mean missing, each thing with its count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.data.sentinels import find_sentinels
from everloop.data.twins import row_keys
from everloop.table.feature import FeatureDefinition

if TYPE_CHECKING:
    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable, StoredTable


@dataclass(frozen=True)
class CleaningEntry:
    """One thing that cleaning did.

    Attributes:
        step: ``without target``, ``duplicates``, ``excluded`` or ``sentinel``.
        rows: How many rows it touched; 0 for a column that was excluded.
        column: The column, where it is about one.
        detail: What was done, in a sentence.
        feature: The feature that stands for the column from here on.
    """

    step: str
    rows: int
    detail: str
    column: str | None = None
    feature: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Gives the entry as what JSON can carry."""
        return {key: value for key, value in vars(self).items() if value is not None}


def drop_rows(
    table: StoredTable, frame: Frame, *, duplicates: bool
) -> tuple[StoredTable, tuple[CleaningEntry, ...]]:
    """Drops rows that cannot be learned from: without a target, and repeated in every column.

    Args:
        table: The snapshot's rows.
        frame: The problem.
        duplicates: Whether repeated rows are dropped; the first of each stays.

    Returns:
        The rows that stay, in their order, and what was done.

    Raises:
        DataFault: When no row stays.
    """
    entries = []
    kept = table.where(table[frame.target].is_not_null())
    if kept.height < table.height:
        entries.append(
            CleaningEntry(
                "without target", table.height - kept.height, f"rows whose {frame.target} is not known"
            )
        )
    if not kept.height:
        raise DataFault(
            f"None of the {table.height:,} rows has its {frame.target}.",
            hint="give a later time with --as-of, or look at problem.label_delay",
        )
    if duplicates:
        first = row_keys(kept, kept.columns) == np.arange(kept.height)
        repeated = kept.height - int(first.sum())
        if repeated:
            kept = kept.where(first)
            entries.append(CleaningEntry("duplicates", repeated, "rows that repeat another in every column"))
    return kept, tuple(entries)


def exclude_columns(train: ColumnTable, frame: Frame) -> tuple[tuple[str, ...], tuple[CleaningEntry, ...]]:
    """Finds the inputs that say nothing in the training part, and lists what the frame excludes.

    Args:
        train: The training rows.
        frame: The problem.

    Returns:
        The inputs that stay, and what was excluded with the reason.
    """
    reasons = dict(frame.excluded)
    for name in frame.inputs:
        present = train[name].drop_nulls()
        if present.is_empty():
            reasons[name] = "has no value in any training row"
        elif len(present) == train.height and present.n_unique() == 1:
            reasons[name] = "has one value in every training row"
    entries = tuple(CleaningEntry("excluded", 0, reason, column=name) for name, reason in reasons.items())
    return tuple(name for name in frame.inputs if name not in reasons), entries


def name_missing(
    train: ColumnTable, inputs: tuple[str, ...]
) -> tuple[tuple[FeatureDefinition, ...], tuple[CleaningEntry, ...]]:
    """Finds values that stand for a missing one, and defines features in which they are missing.

    Found on the training part alone, and written as SQL expressions: so serving does the same.

    Args:
        train: The training rows.
        inputs: The columns that may be used.

    Returns:
        A feature for each column that has such values, and what was done.
    """
    from everloop.table.schema import schema_of

    types = schema_of(train.lazy().select(inputs)).types
    features, entries = [], []
    for name, values in find_sentinels(train, list(inputs)).items():
        feature = _free_name(f"{name}_known", train.columns)
        expression = '"' + name.replace('"', '""') + '"'
        for value in values:
            expression = f"nullif({expression}, {_literal(value)})"
        features.append(FeatureDefinition.of(feature, expression, types))
        shown = ", ".join(repr(value) for value in values)
        entries.append(
            CleaningEntry(
                "sentinel", sum(values.values()), f"{shown} means missing", column=name, feature=feature
            )
        )
    return tuple(features), tuple(entries)


def _free_name(name: str, taken: list[str]) -> str:
    while name in taken:
        name += "_"
    return name


def _literal(value: Any) -> str:
    return "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(value)
