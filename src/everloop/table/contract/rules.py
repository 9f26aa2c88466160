"""A contract as values: a rule for each column, rules for the whole table, and what else may be there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from everloop.core.errors import SpecFault
from everloop.table.contract.column_rules import ColumnRule
from everloop.table.contract.table_rules import TableRule
from everloop.table.schema import ColumnType

EXTRA = ("ignore", "reject")


@dataclass(frozen=True)
class Contract:
    """What a table must satisfy: rules for its columns, rules for the whole, and what else may be there.

    Attributes:
        columns: One rule for each column.
        rules: Rules for the whole table.
        extra: Whether columns that no rule names are ignored or rejected.
    """

    columns: tuple[ColumnRule, ...]
    rules: tuple[TableRule, ...] = ()
    extra: Literal["ignore", "reject"] = "ignore"

    def __post_init__(self) -> None:
        if self.extra not in EXTRA:
            raise SpecFault(f"extra is ignore or reject, not {self.extra!r}.")
        names = [column.name for column in self.columns]
        twice = {name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else set()
        if twice:
            raise SpecFault(f"The contract names column {sorted(twice)[0]!r} twice.")
        for rule in self.rules:
            unknown = [name for name in rule.reads if name not in names]
            if unknown:
                raise SpecFault(
                    f"A {rule.kind} rule reads {unknown[0]!r}, of which the contract says nothing."
                )

    @property
    def types(self) -> dict[str, ColumnType]:
        """From a column's name to its type."""
        return {column.name: column.type for column in self.columns}

    def only(self, names: Collection[str]) -> Contract:
        """Gives the contract of some of the columns, without the rules that read others."""
        columns = tuple(column for column in self.columns if column.name in names)
        rules = tuple(rule for rule in self.rules if all(name in names for name in rule.reads))
        return Contract(columns, rules, self.extra)

    def for_rows(self) -> Contract:
        """Gives what a row alone can break: without uniqueness, shares, row counts, freshness and references.

        It is what a served row, a window or a part of a table is held against.
        """
        columns = tuple(replace(column, unique=False, max_missing=None) for column in self.columns)
        return Contract(columns, tuple(rule for rule in self.rules if rule.kind == "holds"), self.extra)

    @property
    def references(self) -> dict[str, tuple[tuple[str, ...], ...]]:
        """The keys of other sources that the contract needs, by source."""
        found: dict[str, tuple[tuple[str, ...], ...]] = {}
        for rule in self.rules:
            if rule.source is not None and rule.key not in found.get(rule.source, ()):
                found[rule.source] = (*found.get(rule.source, ()), rule.key)
        return found

    def to_dict(self) -> dict[str, Any]:
        """Gives the contract as what JSON can carry; reading it needs no SQL parser."""
        return {
            "extra": self.extra,
            "columns": [column.to_dict() for column in self.columns],
            "rules": [rule.to_dict() for rule in self.rules],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Contract:
        """Reads what `to_dict` gave.

        Raises:
            SpecFault: It is no contract.
        """
        try:
            columns = tuple(ColumnRule(**column) for column in data["columns"])
            rules = tuple(TableRule.from_dict(rule) for rule in data["rules"])
            return cls(columns, rules, data["extra"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpecFault(f"A contract cannot be read: {error}.") from error
