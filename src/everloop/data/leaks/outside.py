"""Leaks of tables that were split, and perhaps prepared, elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault
from everloop.data.leaks.kinds import KINDS, leaks_of
from everloop.data.leaks.parts import Parts
from everloop.data.leaks.report import LeakReport
from everloop.data.leaks.values import times_of
from everloop.spec.frame import Frame
from everloop.table.schema import schema_of
from everloop.table.stored import StoredTable

if TYPE_CHECKING:
    from everloop.table.stored import ColumnTable

MOST_CLASSES = 20
"""More distinct whole numbers than this are amounts, as in the problem phase."""

PART_NAMES = {
    "train": ("train", "training", "learn"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "holdout", "evaluation"),
}
"""How a column that divides rows may name the parts."""


@dataclass(frozen=True)
class Roles:
    """What columns are, where that is known.

    Attributes:
        target: The column to predict.
        time: When the decision is made.
        label_time: When the actual was known.
        entity: Whom or what a row is about.
        inputs: What a model may read; by default every column without another role.
    """

    target: str
    time: str | None = None
    label_time: str | None = None
    entity: str | None = None
    inputs: tuple[str, ...] | None = None


def divided(table: Any, column: str) -> dict[str, StoredTable]:
    """Divides a table by the column that names each row's part.

    Raises:
        DataFault: When the column is not there, or names other parts.
    """
    rows = StoredTable.of(table)
    _require(rows, column)
    from everloop.table.labels import label_texts

    named = label_texts(rows[column]).str.to_lowercase()
    parts = {
        part: rows.where(named.is_in(names).fill_null(value=False)) for part, names in PART_NAMES.items()
    }
    divided_rows = sum(part.height for part in parts.values())
    if divided_rows < rows.height or not parts["train"].height:
        known = named.unique().to_list()
        raise DataFault(
            f"The column {column} divides rows into {known[:5]}; expected train, validation and test.",
            hint="name the parts train and test",
        )
    return {part: table for part, table in parts.items() if table.height}


def look(
    parts: Mapping[str, ColumnTable], roles: Roles, waivers: Mapping[str, str], without: Sequence[str] = ()
) -> LeakReport:
    """Looks for leaks in parts that were made elsewhere.

    Args:
        parts: ``train`` and, where there are, ``validation`` and ``test`` rows.
        roles: What columns are.
        waivers: From a finding's name to the reason why it may stay.
        without: Columns that are no inputs, such as the one that divides the rows.

    Raises:
        DataFault: When a column is not there, or the target has no value.
    """
    train = parts["train"]
    named = (roles.target, roles.time, roles.label_time, roles.entity, *(roles.inputs or ()))
    for name in filter(None, named):
        _require(train, name)
    others = {roles.target, roles.time, roles.label_time, roles.entity, *without}
    inputs = roles.inputs or tuple(name for name in train.columns if name not in others)
    frame = Frame(
        task=_task(train, roles.target),
        target=roles.target,
        entity=roles.entity,
        time=roles.time,
        label_time=roles.label_time,
        inputs=inputs,
    )
    by = "time" if roles.time and _in_order(parts, roles.time) else "given"
    found = leaks_of(Parts(parts, inputs, frame, by), waivers)
    rows = {part: table.height for part, table in parts.items()}
    return LeakReport(found, rows, {name: kind.looks_for for name, kind in KINDS.items()})


def _require(table: ColumnTable, name: str) -> None:
    if name not in table.columns:
        raise DataFault(f"The table has no column {name!r}; it has {', '.join(table.columns[:12])}.")


def _task(table: ColumnTable, target: str) -> str:
    column = table[target]
    distinct = column.drop_nulls().n_unique()
    if not distinct:
        raise DataFault(f"The target {target!r} has no value in {table.height:,} rows.")
    kind = schema_of(table.lazy().select(target)).types[target]
    if distinct == 2:
        return "binary"
    if kind == "number" or (kind == "integer" and distinct > MOST_CLASSES):
        return "regression"
    return "multiclass"


def _in_order(parts: Mapping[str, ColumnTable], time: str) -> bool:
    """Tells whether every part begins after the one before it ends."""
    spans = [times_of(table[time]) for table in parts.values() if time in table.columns and table.height]
    known = [span[span == span] for span in spans if span is not None]  # noqa: PLR0124  (NaN alone differs)
    return len(known) == len(parts) > 1 and all(
        len(a) and len(b) and a.max() < b.min() for a, b in pairwise(known)
    )
