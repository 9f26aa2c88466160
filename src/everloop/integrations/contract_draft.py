"""A contract while it is read from another tool's file, part by part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from everloop.core.errors import EverloopError, SpecFault
from everloop.integrations.contract_format import Read
from everloop.table.contract import ColumnRule, Contract, TableRule


@dataclass
class ContractDraft:
    """A contract while it is read: parts of columns, each with its severity, and rules of the table.

    Attributes:
        types: From a column to its type, where it is known.
        columns: From a column to the parts of its rule.
        severities: From a column to the severities of its parts.
        rules: Rules of the table: kind, content (SQL where it is ``holds``) and severity.
        left_out: What no contract can say, in words.
        extra: What the contract says of columns that it does not name.
    """

    types: dict[str, str]
    columns: dict[str, dict[str, Any]] = field(default_factory=dict)
    severities: dict[str, set[str]] = field(default_factory=dict)
    rules: list[tuple[str, Any, str]] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    extra: Any = "ignore"

    def put(self, name: str, severity: str, kind: str | None = None, **facts: Any) -> bool:
        """Adds to a column; tells whether it could, as a part that is there already is not replaced."""
        column = self.columns.setdefault(name, {})
        if any(key in column and column[key] != value for key, value in facts.items()):
            return False
        column |= facts
        if kind is not None:
            self.types.setdefault(name, kind)
        if facts:
            self.severities.setdefault(name, set()).add(severity)
        return True

    def finish(self) -> Read:
        """Makes the contract.

        Raises:
            SpecFault: The type of no column is known.
        """
        columns = []
        for name, facts in self.columns.items():
            kind = self.types.get(name)
            said = self.severities.get(name, {"error"})
            if kind is None:
                self.left_out.append(f"{name}: nothing says its type; give a table that has it")
                continue
            if len(said) > 1:
                self.left_out.append(f"{name}: its warnings, which are errors here as others of it are")
            severity: Any = "error" if "error" in said else "warn"
            try:
                columns.append(ColumnRule(name, kind, severity=severity, **facts))  # type: ignore[arg-type]
            except EverloopError as fault:
                self.left_out.append(f"{name}: {fault.message}")
        if not columns:
            raise SpecFault("The file names no column whose type is known.", hint="give a table: --like FILE")
        types = {column.name: column.type for column in columns}
        return Read(Contract(tuple(columns), tuple(self._rules(types)), self.extra), tuple(self.left_out))

    def _rules(self, types: Mapping[str, str]) -> Iterator[TableRule]:
        for kind, content, severity in self.rules:
            level: Any = severity
            try:
                if kind == "holds":
                    yield TableRule.holds(content, types, level)
                elif set(content.get("columns", ())) <= set(types):
                    yield TableRule(**content, severity=level)
                else:
                    self.left_out.append(f"{kind} {content}: the type of a column is not known")
            except EverloopError as fault:
                self.left_out.append(f"{kind} {content}: {fault.message}")


def quoted(name: str) -> str:
    """Gives a column's name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
