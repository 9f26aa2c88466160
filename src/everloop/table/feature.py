"""A feature of the row: a name and the expression that computes it, the same in training and serving."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.expression import Expression, parse, to_polars, to_row

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class FeatureDefinition:
    """A column that is computed from others of the same row."""

    name: str
    expression: Expression

    @classmethod
    def of(cls, name: str, sql: str, types: Mapping[str, str] | None = None) -> FeatureDefinition:
        """Reads a definition from SQL.

        Args:
            name: The new column.
            sql: The expression, such as ``debt / nullif(income, 0)``.
            types: From each column's name to its type.

        Raises:
            SpecFault: The expression is wrong; the message names the feature.
        """
        try:
            return cls(name, parse(sql, types))
        except SpecFault as fault:
            raise SpecFault(
                f"Feature {name!r}: {fault.message}", hint=fault.hint, place=f"data.features.{name}"
            ) from fault

    def to_dict(self) -> dict[str, Any]:
        """Gives the definition as what JSON can carry."""
        return {"name": self.name, "expression": self.expression.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> FeatureDefinition:
        """Reads what `to_dict` gave; needs no SQL parser."""
        return cls(str(data["name"]), Expression.from_dict(data["expression"]))


def define(features: Mapping[str, str], types: Mapping[str, str]) -> tuple[FeatureDefinition, ...]:
    """Reads several features in their order; a later one may use an earlier one."""
    known = dict(types)
    definitions = []
    for name, sql in features.items():
        definition = FeatureDefinition.of(name, sql, known)
        definitions.append(definition)
        known[name] = definition.expression.type
    return tuple(definitions)


def in_layers(definitions: Sequence[FeatureDefinition]) -> list[tuple[FeatureDefinition, ...]]:
    """Puts features that can be computed side by side into one layer, each after those that it uses."""
    layers: list[list[FeatureDefinition]] = []
    for definition in definitions:
        made = {one.name for one in layers[-1]} if layers else set()
        if not layers or made & {definition.name, *definition.expression.columns}:
            layers.append([])
        layers[-1].append(definition)
    return [tuple(layer) for layer in layers]


def derive(table: Any, definitions: Sequence[FeatureDefinition]) -> pl.LazyFrame:
    """Adds features to a table, in their order; a later one may use an earlier one.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path; it is not changed.
        definitions: What is added. One with the name of a column replaces it.

    Raises:
        SpecFault: A feature reads a column that is not there.
    """
    from everloop.table.tables import as_lazy

    lazy = as_lazy(table)
    names = set(lazy.collect_schema().names())
    for definition in definitions:
        missing = [name for name in definition.expression.columns if name not in names]
        if missing:
            raise SpecFault(
                f"Feature {definition.name!r} reads {missing[0]!r}, which is no column of the table.",
                hint=f"the columns are {', '.join(sorted(names))}",
            )
        lazy = lazy.with_columns(to_polars(definition.expression).alias(definition.name))
        names.add(definition.name)
    return lazy


def row_deriver(definitions: Sequence[FeatureDefinition]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Compiles features for one row: gives the row with the features added, as `derive` does for a table."""
    functions = [(definition.name, to_row(definition.expression)) for definition in definitions]

    def with_features(row: Mapping[str, Any]) -> dict[str, Any]:
        wider = dict(row)
        for name, function in functions:
            wider[name] = function(wider)
        return wider

    return with_features
