"""The fitted cleaning as data: for each column the actions that make its clean twin.

A plan is fitted on the training part and is then a table of constants. It is applied as expressions of
one row, so every engine that runs expressions runs it, and a served row gets what a training row got.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from everloop.core.errors import DataFault
from everloop.table.expression import ColumnRef, Constant, Expression
from everloop.table.expression.building import call
from everloop.table.feature import FeatureDefinition, derive, row_deriver

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.expression.tree import Node, ValueType

Value = bool | int | float | str


class MissingValues(msgspec.Struct, frozen=True, tag_field="action", tag="missing_values"):
    """Values that stand for a missing one, and become it."""

    values: tuple[Value, ...]


class ReadNumber(msgspec.Struct, frozen=True, tag_field="action", tag="read_number"):
    """Numbers kept as text; what is none becomes missing.

    Attributes:
        style: A style of `parse_number`, or None where every number is plain.
    """

    style: str | None = None


class ReadTime(msgspec.Struct, frozen=True, tag_field="action", tag="read_time"):
    """Times kept as text, in one or several forms; the first that fits is taken."""

    forms: tuple[str, ...]


class MergeCategories(msgspec.Struct, frozen=True, tag_field="action", tag="merge_categories"):
    """Spellings of one category, which become the one that is most frequent.

    Attributes:
        spellings: The spelling that stays -> the others.
    """

    spellings: dict[str, tuple[str, ...]]


class Clip(msgspec.Struct, frozen=True, tag_field="action", tag="clip"):
    """Numbers far outside the others, which become the nearest that is not."""

    low: float | None = None
    high: float | None = None


Action = MissingValues | ReadNumber | ReadTime | MergeCategories | Clip


class ColumnCleaning(msgspec.Struct, frozen=True):
    """What is done about one column.

    Attributes:
        column: The column, which stays as it is.
        type: Its type.
        clean: The name of its clean twin.
        actions: What makes the twin, one after another.
    """

    column: str
    type: str
    clean: str
    actions: tuple[Action, ...]

    @property
    def definition(self) -> FeatureDefinition:
        """The clean twin as an expression of the row."""
        kind: ValueType = "number" if self.type == "integer" else self.type  # type: ignore[assignment]
        node: Node = ColumnRef(self.column, kind)
        for action in self.actions:
            node = _FORMS[type(action)](node, action)
        described = " | ".join(type(action).__name__ for action in self.actions)
        return FeatureDefinition(self.clean, Expression(f"{self.column} | {described}", node))


class CleaningPlan(msgspec.Struct, frozen=True):
    """The fitted cleaning of a table: what is done about each column that needs something.

    Example:
        >>> plan = CleaningPlan((ColumnCleaning("age", "text", "age_clean", (ReadNumber(),)),))
        >>> plan.row_cleaner()({"age": "42"})["age_clean"]
        42.0
    """

    columns: tuple[ColumnCleaning, ...] = ()

    @property
    def definitions(self) -> tuple[FeatureDefinition, ...]:
        """The clean twins, each computed from its raw column."""
        return tuple(column.definition for column in self.columns)

    @property
    def clean_names(self) -> dict[str, str]:
        """From a raw column to its clean twin."""
        return {column.column: column.clean for column in self.columns}

    @property
    def clean_types(self) -> dict[str, str]:
        """From a raw column to the type of its clean twin."""
        return {column.column: column.definition.expression.type for column in self.columns}

    def apply(self, table: Any) -> pl.LazyFrame:
        """Cleans a table in place: each column that has a clean twin becomes it.

        Args:
            table: A Polars, pandas, Arrow or DuckDB table, or a path; it is not changed.

        Raises:
            SpecFault: A column is missing from the table.
        """
        import polars as pl

        cleaned = derive(table, self.definitions)
        names = self.clean_names
        raw = [name for name in cleaned.collect_schema().names() if name not in names.values()]
        return cleaned.select(pl.col(names.get(name, name)).alias(name) for name in raw)

    def row_cleaner(self) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
        """Gives the function that adds the clean twins to a row."""
        return row_deriver(self.definitions)

    def to_dict(self) -> dict[str, Any]:
        """Gives the plan as what JSON can carry."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> CleaningPlan:
        """Reads what `to_dict` gave.

        Raises:
            DataFault: It is no cleaning plan.
        """
        try:
            return msgspec.convert(data, CleaningPlan)
        except msgspec.ValidationError as error:
            raise DataFault(f"A cleaning plan cannot be read: {error}.") from error


def free_name(name: str, taken: Mapping[str, Any] | set[str]) -> str:
    """Gives a name that no column has: the wanted one, with underscores where it is taken."""
    while name in taken:
        name += "_"
    return name


def _constant(value: Any, kind: ValueType) -> Constant:
    return Constant(float(value) if kind == "number" and not isinstance(value, bool) else value, kind)


def _null(kind: ValueType) -> Constant:
    return Constant(None, kind)


def _without(node: Node, action: MissingValues) -> Node:
    values = [_constant(value, node.type) for value in action.values]
    return call("case", [call("in", [node, *values]), _null(node.type), node])


def _number(node: Node, action: ReadNumber) -> Node:
    if action.style is None:
        return call("to_number", [node])
    return call("parse_number", [node, Constant(action.style, "text")])


def _time(node: Node, action: ReadTime) -> Node:
    forms = [call("parse_time", [node, Constant(form, "text")]) for form in action.forms]
    return forms[0] if len(forms) == 1 else call("coalesce", forms)


def _merged(node: Node, action: MergeCategories) -> Node:
    branches: list[Node] = []
    for kept, others in action.spellings.items():
        test = call("in", [node, *(Constant(other, "text") for other in others)])
        branches += [test, Constant(kept, "text")]
    return call("case", [*branches, node]) if branches else node


def _clipped(node: Node, action: Clip) -> Node:
    branches: list[Node] = []
    if action.low is not None:
        low = Constant(action.low, "number")
        branches += [call("less", [node, low]), low]
    if action.high is not None:
        high = Constant(action.high, "number")
        branches += [call("greater", [node, high]), high]
    return call("case", [*branches, node]) if branches else node


_FORMS: dict[type, Callable[[Node, Any], Node]] = {
    MissingValues: _without,
    ReadNumber: _number,
    ReadTime: _time,
    MergeCategories: _merged,
    Clip: _clipped,
}
