"""The columns of a table: their names and what kind of value each holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from everloop.core.errors import DataFault

if TYPE_CHECKING:
    import polars as pl

ColumnType = Literal["boolean", "integer", "number", "text", "time"]
TYPES: tuple[ColumnType, ...] = get_args(ColumnType)

_PLAIN: dict[str, ColumnType] = {
    "Boolean": "boolean",
    "String": "text",
    "Categorical": "text",
    "Enum": "text",
    "Null": "text",
    "Date": "time",
    "Datetime": "time",
    "Decimal": "number",
    "Float16": "number",
    "Float32": "number",
    "Float64": "number",
}


@dataclass(frozen=True)
class Column:
    """One column: its name, its type and whether a value may be missing.

    ``nullable`` is counted for a table in memory and assumed for one that is read lazily.
    """

    name: str
    type: ColumnType
    nullable: bool = True


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in their order."""

    columns: tuple[Column, ...]

    def __iter__(self) -> Iterator[Column]:
        return iter(self.columns)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in the order of the table."""
        return tuple(column.name for column in self.columns)

    @property
    def types(self) -> dict[str, ColumnType]:
        """From a column's name to its type: what expressions are parsed against."""
        return {column.name: column.type for column in self.columns}

    def to_dict(self) -> dict[str, Any]:
        """Gives the schema as what JSON can carry."""
        return {"columns": [vars(column).copy() for column in self.columns]}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Schema:
        """Reads what `to_dict` gave.

        Raises:
            DataFault: An entry is not a column or has a type that is not one of `TYPES`.
        """
        try:
            columns = tuple(
                Column(str(entry["name"]), entry["type"], bool(entry.get("nullable", True)))
                for entry in data["columns"]
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataFault(f"A schema cannot be read: {error!r} is missing or of the wrong kind.") from error
        for column in columns:
            if column.type not in TYPES:
                raise DataFault(
                    f"Column {column.name!r} has type {column.type!r}, which is none of {', '.join(TYPES)}."
                )
        return cls(columns)


def column_type(name: str, dtype: pl.DataType) -> ColumnType:
    """Says which of the five types a Polars type is.

    Raises:
        DataFault: The type holds something that a model cannot take, such as a list.
    """
    if dtype.is_integer():
        return "integer"
    if not is_known(dtype):
        raise DataFault(
            f"Column {name!r} holds {dtype}, which is none of {', '.join(TYPES)}.",
            hint=f'leave it out (select * exclude ("{name}")) or turn it into numbers or text',
        )
    return _PLAIN[_kind(dtype)]


def is_known(dtype: pl.DataType) -> bool:
    """Says whether a Polars type is one of the five types."""
    return dtype.is_integer() or _kind(dtype) in _PLAIN


def _kind(dtype: pl.DataType) -> str:
    return str(dtype.__name__ if isinstance(dtype, type) else type(dtype).__name__)


def schema_of(table: Any) -> Schema:
    """Reads the schema of a table without reading its rows.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path.

    Returns:
        The columns in the order of the table; dates and times are ``time``, categories are ``text``.

    Raises:
        DataFault: A column holds something that is none of the five types.
    """
    import polars as pl

    from everloop.table.tables import as_lazy

    lazy = as_lazy(table)
    full = {} if not isinstance(table, pl.DataFrame) else {s.name: s.null_count() == 0 for s in table}
    return Schema(
        tuple(
            Column(name, column_type(name, dtype), not full.get(name, False))
            for name, dtype in lazy.collect_schema().items()
        )
    )
