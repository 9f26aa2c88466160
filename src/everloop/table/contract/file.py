"""A contract as a YAML file that a person reads and edits."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import date, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

from everloop.core.errors import DataFault, EverloopError, SpecFault
from everloop.core.files import write_file
from everloop.core.nearness import near_names
from everloop.core.units import format_duration, parse_duration
from everloop.table.contract.column_rules import ColumnRule
from everloop.table.contract.rules import Contract
from everloop.table.contract.table_rules import RULE_KINDS, TableRule

HEADER = """\
# What every snapshot and every request must satisfy. Edit it by hand;
# `everloop data check` tells what it finds.
#
# columns: for each its type (boolean, integer, number, text, time), and as wanted
#   nullable, minimum, maximum, allowed: [...], pattern: regular expression of the whole text,
#   unique, max_missing: share from 0 to 1, content: image or sound, size: [rows, columns] of an image,
#   severity: error (stops) or warn (is recorded)
# rules:   {row_count: {minimum: 1, maximum: 10}}, {unique: [columns that are a key]},
#   {holds: SQL condition on a row}, {fresh: {column: at, within: 7d}},
#   {refers: {columns: [customer], source: customers, key: [id]}}, each with a severity
# extra:   columns that are not named here: ignore or reject
"""

Made = TypeVar("Made")
RULE_CONTENT = {
    "row_count": ("minimum", "maximum"),
    "fresh": ("column", "within"),
    "refers": ("columns", "source", "key"),
}
_COLUMN_KEYS = tuple(field.name for field in fields(ColumnRule) if field.name != "name")


def load_contract(path: str | Path) -> Contract:
    """Reads a contract file.

    Raises:
        DataFault: The file is not there.
        SpecFault: It is no contract; the message names the line.
    """
    path = Path(path)
    if not path.is_file():
        raise DataFault(f"There is no contract {path}.", hint=f"everloop data learn FILE --contract {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpecFault(f"{path} is not in UTF-8.", place=str(path)) from error
    return parse_contract(text, name=str(path))


def save_contract(contract: Contract, path: str | Path) -> None:
    """Writes a contract file, whole or not at all."""
    write_file(Path(path), contract_text(contract).encode())


def contract_text(contract: Contract) -> str:
    """Gives the contract as YAML with a heading that explains it."""
    from ruamel.yaml import YAML
    from ruamel.yaml.comments import CommentedMap, CommentedSeq

    def in_a_line(values: Mapping[str, Any]) -> Any:
        line = CommentedMap(values)
        line.fa.set_flow_style()
        for key, value in line.items():
            if isinstance(value, list):
                line[key] = CommentedSeq(value)
                line[key].fa.set_flow_style()
        return line

    columns = CommentedMap()
    for column in contract.columns:
        columns[column.name] = in_a_line({k: v for k, v in column.to_dict().items() if k != "name"})
    rules = [in_a_line(_rule_content(rule)) for rule in contract.rules]
    yaml = YAML()
    yaml.width = 100
    stream = io.StringIO()
    yaml.dump({"extra": contract.extra, "columns": columns, **({"rules": rules} if rules else {})}, stream)
    return HEADER + stream.getvalue()


def _rule_content(rule: TableRule) -> dict[str, Any]:
    severity = {} if rule.severity == "error" else {"severity": rule.severity}
    if rule.kind == "row_count":
        limits = {"minimum": rule.minimum, "maximum": rule.maximum}
        return {"row_count": {key: value for key, value in limits.items() if value is not None}, **severity}
    if rule.expression is not None:
        return {"holds": rule.expression.sql, **severity}
    if rule.within is not None:
        return {"fresh": {"column": rule.columns[0], "within": format_duration(rule.within)}, **severity}
    if rule.source is not None:
        content = {"columns": list(rule.columns), "source": rule.source, "key": list(rule.key)}
        return {"refers": content, **severity}
    return {"unique": list(rule.columns), **severity}


@lru_cache(maxsize=2)
def parse_contract(text: str, name: str = "contract.yaml") -> Contract:
    """Reads a contract from YAML text.

    Raises:
        SpecFault: It is no contract; the place is ``name:line``.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        data = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecFault(f"The contract is no YAML: {error.problem}.", place=f"{name}:{line}") from error
    except (YAMLError, ValueError, RecursionError) as error:
        raise SpecFault(f"The contract is no YAML: {error}.", place=name) from error
    return _Reader(name).contract(data)


class _Reader:
    """Reads what ruamel.yaml gave; every fault carries its line."""

    def __init__(self, name: str) -> None:
        self.name = name

    def contract(self, data: Any) -> Contract:
        self.placed(partial(self.keys, data, ("extra", "columns", "rules"), data, None), data, None)
        columns = data.get("columns")
        if not isinstance(columns, Mapping) or not columns:
            raise self.fault("A contract has columns, each with its type.", data, "columns")
        rules = tuple(
            self.placed(partial(self.column, str(key), columns[key]), columns, key) for key in columns
        )
        types = {rule.name: rule.type for rule in rules}
        listed = data.get("rules") or []
        if not isinstance(listed, list):
            raise self.fault("rules is a list.", data, "rules")
        table_rules = tuple(
            self.placed(partial(self.rule, listed[index], types), listed, index)
            for index in range(len(listed))
        )
        return self.placed(partial(Contract, rules, table_rules, data.get("extra", "ignore")), data, "extra")

    def column(self, name: str, content: Any) -> ColumnRule:
        self.keys(content, _COLUMN_KEYS, content, None)
        if "type" not in content:
            raise SpecFault(f"Column {name!r} has no type.", hint=f"{name}: {{type: number}}")
        values = {key: _plain(value) for key, value in content.items()}
        for key in ("nullable", "unique"):
            if not isinstance(values.get(key, False), bool):
                raise SpecFault(f"Column {name!r}: {key} is true or false, not {values[key]!r}.")
        if not isinstance(values.get("allowed", []), list):
            raise SpecFault(f"Column {name!r}: allowed is a list, not {values['allowed']!r}.")
        return ColumnRule(name=name, **values)

    def rule(self, content: Any, types: Mapping[str, str]) -> TableRule:
        self.keys(content, (*RULE_KINDS, "severity"), content, None)
        kinds = [kind for kind in RULE_KINDS if kind in content]
        if len(kinds) != 1:
            raise SpecFault(
                f"A rule is one of {', '.join(RULE_KINDS)}; this has {', '.join(kinds) or 'none'}."
            )
        kind, value, severity = kinds[0], _plain(content[kinds[0]]), content.get("severity", "error")
        if kind == "holds":
            return TableRule.holds(str(value), types, severity)
        if kind == "unique":
            return TableRule("unique", columns=_names(value, "unique"), severity=severity)
        self.keys(value, RULE_CONTENT[kind], content, kind)
        if kind == "fresh":
            within = parse_duration(str(value.get("within")))
            if types.get(str(value.get("column"))) not in {"time", None}:
                raise SpecFault(f"fresh looks at a column of times, and {value['column']!r} is none.")
            return TableRule("fresh", columns=(str(value.get("column")),), within=within, severity=severity)
        if kind == "refers":
            columns = _names(value.get("columns"), "columns")
            key = _names(value.get("key", list(columns)), "key")
            source = str(value["source"]) if value.get("source") else None
            return TableRule("refers", columns=columns, source=source, key=key, severity=severity)
        if not all(isinstance(limit, int) and not isinstance(limit, bool) for limit in value.values()):
            raise SpecFault(
                "row_count is from a whole minimum to a whole maximum.", hint="{row_count: {minimum: 100}}"
            )
        return TableRule("row_count", value.get("minimum"), value.get("maximum"), severity=severity)

    def keys(self, content: Any, known: tuple[str, ...], holder: Any, key: Any) -> None:
        if not isinstance(content, Mapping):
            message = f"Keys were expected ({', '.join(known)}), not {content!r}."
            raise self.fault(message, holder, key) if hasattr(holder, "lc") else SpecFault(message)
        for found in content:
            if found not in known:
                near = near_names(str(found), known)
                hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
                raise self.fault(f"There is no key {found!r} here.", content, found, hint)

    def placed(self, make: Callable[[], Made], holder: Any, key: Any) -> Made:
        """Makes a value; a fault that has no place gets that of the key."""
        try:
            return make()
        except EverloopError as fault:
            if fault.place is not None:
                raise
            raise self.fault(fault.message, holder, key, fault.hint) from fault

    def fault(self, message: str, holder: Any, key: Any, hint: str | None = None) -> SpecFault:
        marks = getattr(holder, "lc", None)
        line = None
        if marks is not None:
            known = marks.data or {}
            line = known[key][0] if key in known else marks.line
        place = self.name if line is None else f"{self.name}:{line + 1}"
        return SpecFault(message, hint=hint, place=place)


def _names(value: Any, key: str) -> tuple[str, ...]:
    names = [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SpecFault(f"{key} is a list of columns, not {value!r}.", hint="{unique: [customer, day]}")
    return tuple(names)


def _plain(value: Any) -> Any:
    """Takes ruamel's own kinds of values back to Python's."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    if isinstance(value, datetime):
        return datetime(*value.timetuple()[:6], value.microsecond, tzinfo=value.tzinfo)
    if isinstance(value, date | bool) or value is None:
        return value
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value
