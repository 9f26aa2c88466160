"""Contracts as schemas of Pandera, in the YAML that its own `to_yaml` and `from_yaml` speak, and back.

Pandera itself is not needed. It has a form of this file for schemas of pandas tables and one for schemas of
Polars tables; they differ in the names of types and in regular expressions. In both, a missing value
breaks ``nullable: false`` alone, and a check that ``raise_warning`` only warns.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

from everloop.integrations.contract_draft import ContractDraft, quoted
from everloop.integrations.contract_format import Read, Written, carried
from everloop.table.contract import ColumnRule, Contract, TableRule
from everloop.table.contract.words import of_table

Facts = Mapping[str, Any]

_TIME = "%Y-%m-%d %H:%M:%S"
_OURS = re.compile(r"^\^?\(\?:(.*)\)(?:\\Z|\$)$", re.DOTALL)
_READ_TYPES = (
    (r"u?int\d*|integer", "integer"),
    (r"float\d*|double|decimal.*", "number"),
    (r"bool|boolean|bool\[pyarrow\]", "boolean"),
    (r"str|string(\[.*\])?|utf8|category|categorical.*|enum\(.*\)", "text"),
    (r"datetime.*|date|timestamp.*", "time"),
)
_WIDE = {
    "integer": "any width of integer, and numbers without fraction",
    "number": "integers too, and of them all the finite ones alone",
    "text": "any form of text",
    "boolean": "any form of boolean",
    "time": "any unit and zone of time",
}
_OPTIONS = {
    "raise_warning",
    "ignore_na",
    "n_failure_cases",
    "check_name",
    "error",
    "name",
    "groupby",
    "groups",
}


class PanderaSchema:
    """The format for pandas tables; see `everloop.integrations.contract_format.ContractFormat`."""

    suffix = ".yaml"
    api: ClassVar[str] = "pandas"
    schema_type: ClassVar[str] = "dataframe"
    types: ClassVar[Mapping[str, str]] = {
        "integer": "int64",
        "number": "float64",
        "text": "str",
        "boolean": "bool",
    }
    nullable_types: ClassVar[Mapping[str, str]] = {"integer": "Int64", "boolean": "boolean"}
    whole: ClassVar[str] = r"(?:{})\Z"

    def knows(self, document: Facts) -> bool:
        """Tells whether a file's content is such a schema."""
        return document.get("schema_type") == self.schema_type and "columns" in document

    def write(self, contract: Contract, name: str) -> Written:
        """Gives a contract as a schema."""
        left_out: list[str] = []
        document: dict[str, Any] = {
            "schema_type": self.schema_type,
            "version": "0.20.0",
            "api": self.api,
            "name": name,
            "columns": {column.name: self._column(column, left_out) for column in contract.columns},
            "strict": contract.extra == "reject",
        }
        nullable = {column.name for column in contract.columns if column.nullable}
        for rule in contract.rules:
            if _is_key(rule) and "unique" not in document and not nullable & set(rule.columns):
                document["unique"] = list(rule.columns)
            else:
                left_out.append(f"{rule.kind}: {' '.join(of_table(rule)).strip()}")
        left_out += carried(contract)
        return Written(document, tuple(left_out))

    def _column(self, rule: ColumnRule, left_out: list[str]) -> dict[str, Any]:
        warns = rule.severity == "warn"
        nullable = rule.nullable or warns
        kind = (self.nullable_types if nullable else {}).get(rule.type) or self.types.get(rule.type)
        left_out.append(f"{rule.name}: its type, which is {_WIDE[rule.type]}" + (f"; {kind}" if kind else ""))
        found: dict[str, Any] = {"dtype": kind} if kind else {}
        found |= {"nullable": nullable, "required": not warns}
        found |= {"unique": True} if rule.unique and not nullable else {}
        missing = {
            "that no value is missing, of which it only warns": warns and not rule.nullable,
            "that no value comes twice, missing ones aside": rule.unique and nullable,
            f"max_missing, {rule.max_missing}": rule.max_missing is not None,
            "the fractions of seconds in its range": _has_fractions(rule),
        }
        left_out += [f"{rule.name}: {what}" for what, there in missing.items() if there]
        pattern = self.whole.format(rule.pattern) if rule.pattern is not None else None
        allowed = list(rule.allowed) if rule.allowed is not None else None
        for check, value in (
            ("greater_than_or_equal_to", _plain(rule.minimum)),
            ("less_than_or_equal_to", _plain(rule.maximum)),
            ("isin", allowed),
            ("str_matches", pattern),
        ):
            if value is not None:
                found[check] = {"value": value, "raise_warning": True} if warns else value
        return found

    def read(self, document: Facts, types: Mapping[str, str]) -> Read:
        """Reads a schema."""
        draft = ContractDraft(dict(types))
        for name, column in _named(document["columns"]):
            self._read_column(draft, name, dict(column or {}))
        strict = document.get("strict", False)
        draft.extra = "reject" if strict is True else "ignore"
        unique = document.get("unique")
        if unique:
            together = (unique,) if isinstance(unique, str) else tuple(unique)
            draft.rules.append(("unique", {"kind": "unique", "columns": together}, "error"))
            if any(draft.columns.get(one, {}).get("nullable", True) for one in together):
                draft.left_out.append(f"unique {', '.join(together)}: that missing values are equal, too")
        ignored = {"schema_type", "version", "api", "columns", "name", "title", "description", "unique"}
        ignored |= {"report_duplicates", "unique_column_names", "dataframe_library"}
        for key, value in document.items():
            if key == "checks" and value is None:
                draft.left_out.append("checks of the table that are Python, of which the file says nothing")
            elif key not in ignored and value and not (key == "strict" and value is True):
                draft.left_out.append(f"{key}: {value}")
        return draft.finish()

    def _read_column(self, draft: ContractDraft, name: str, column: dict[str, Any]) -> None:
        if column.pop("regex", False):
            draft.left_out.append(f"the columns that match {name}: {column}")
            return
        dtype = column.pop("dtype", None)
        kind = next((ours for form, ours in _READ_TYPES if _is(form, dtype)), None)
        if kind is not None:
            draft.types[name] = kind
            draft.left_out.append(f"{name}: that its type is exactly {dtype}; here it is {_WIDE[kind]}")
        elif dtype is not None:
            draft.left_out.append(f"{name}: its type, {dtype}")
        nullable, required = column.pop("nullable", False), column.pop("required", True)
        unique = column.pop("unique", False)
        checks, others = _checks(column)
        draft.left_out += [f"{name}: {what}" for what in others]
        warns = not required and nullable and not unique and all(_warns(facts) for _, facts in checks)
        if not required and not warns:
            draft.left_out.append(f"{name}: that the column may be absent")
        if unique and nullable:
            draft.left_out.append(f"{name}: that one value at most is missing")
        draft.put(name, "warn" if warns else "error", kind, nullable=nullable, unique=unique)
        for check, facts in checks:
            severity = "warn" if _warns(facts) else "error"
            if not self._read_check(draft, name, check, facts, severity, warns):
                draft.left_out.append(f"{name}: {check} {facts}")

    def _read_check(
        self, draft: ContractDraft, name: str, check: str, facts: Facts, severity: str, warns: bool
    ) -> bool:
        """Reads a check as part of its column, or else as a condition on every row."""
        stats = {key: value for key, value in facts.items() if key not in _OPTIONS}
        kind = draft.types.get(name)
        if facts.get("ignore_na") is False or facts.get("groupby"):
            return False
        if (severity == "error" or warns) and check in PARTS:
            part = PARTS[check](stats, self)
            if part is not None and draft.put(name, severity, **part):
                return True
        conditions = CONDITIONS[check](quoted(name), stats, kind) if check in CONDITIONS else None
        draft.rules += [("holds", sql, severity) for sql in conditions or ()]
        return bool(conditions)

    def anchored(self, pattern: str) -> str:
        """Gives the contract's pattern for `str_matches`, which holds a text from its start on."""
        return f"(?:{pattern})(?s:.*)"


class PanderaPolarsSchema(PanderaSchema):
    """The format for Polars tables."""

    api: ClassVar[str] = "polars"
    schema_type: ClassVar[str] = "polars_dataframe"
    types: ClassVar[Mapping[str, str]] = {
        "integer": "Int64",
        "number": "Float64",
        "text": "String",
        "boolean": "Boolean",
        "time": "Datetime(time_unit='us', time_zone=None)",
    }
    nullable_types: ClassVar[Mapping[str, str]] = {}
    whole: ClassVar[str] = "^(?:{})$"

    def anchored(self, pattern: str) -> str:
        """Gives the contract's pattern for `str_matches`, which searches for it with ``^`` before it."""
        return f"(?s:.*?)(?:{pattern if pattern.startswith('^') else '^' + pattern})(?s:.*)"


def _is_key(rule: TableRule) -> bool:
    return rule.kind == "unique" and rule.severity == "error"


def _has_fractions(rule: ColumnRule) -> bool:
    limits = (rule.minimum, rule.maximum)
    return any(isinstance(limit, datetime) and limit.microsecond for limit in limits)


def _plain(value: Any) -> Any:
    return value.strftime(_TIME) if isinstance(value, datetime) else value


def _is(form: str, dtype: object) -> bool:
    return dtype is not None and re.fullmatch(form, str(dtype), re.IGNORECASE) is not None


def _named(columns: Any) -> Iterator[tuple[str, Facts]]:
    if isinstance(columns, Mapping):
        yield from columns.items()
    else:
        for column in columns or ():
            yield str(column["name"]), {key: value for key, value in column.items() if key != "name"}


def _checks(column: dict[str, Any]) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """Divides what a file says of a column into its checks, and what is none, in words."""
    listed = column.pop("checks", [])
    others = [] if listed is not None else ["a check that is Python, of which the file says nothing"]
    found = [_listed(one) for one in listed or ()] if not isinstance(listed, Mapping) else []
    flat = dict(listed) if isinstance(listed, Mapping) else {}
    for key, value in column.items():
        if key in PARTS or key in CONDITIONS:
            flat[key] = value
        elif value and key not in {"title", "description", "report_duplicates", "name"}:
            others.append(f"{key} {value}")
    for name, value in flat.items():
        facts = dict(value) if isinstance(value, Mapping) else {"value": value}
        found.append((name, facts | dict(facts.pop("options", {}))))
    return found, others


def _listed(one: Facts) -> tuple[str, dict[str, Any]]:
    options = dict(one.get("options") or {})
    stats = {key: value for key, value in one.items() if key != "options"}
    return str(options.get("check_name")), stats | options


def _warns(facts: Facts) -> bool:
    return bool(facts.get("raise_warning"))


def _only(stats: Facts) -> Any:
    """Gives the value of a check of one value, under whatever name the file has it."""
    return next(iter(stats.values()))


def _limits(stats: Facts, schema: PanderaSchema) -> dict[str, Any] | None:
    del schema
    if not (stats.get("include_min", True) and stats.get("include_max", True)):
        return None
    return {"minimum": stats["min_value"], "maximum": stats["max_value"]}


def _matches(stats: Facts, schema: PanderaSchema) -> dict[str, Any]:
    pattern = str(_only(stats))
    ours = _OURS.match(pattern)
    return {"pattern": ours.group(1) if ours else schema.anchored(pattern)}


PARTS: dict[str, Callable[[Facts, PanderaSchema], dict[str, Any] | None]] = {
    "greater_than_or_equal_to": lambda stats, _: {"minimum": _only(stats)},
    "less_than_or_equal_to": lambda stats, _: {"maximum": _only(stats)},
    "in_range": _limits,
    "isin": lambda stats, _: {"allowed": tuple(_only(stats))},
    "str_matches": _matches,
    "str_contains": lambda stats, _: {"pattern": f"(?s:.*?)(?:{_only(stats)})(?s:.*)"},
}
"""The checks that are a part of a column's rule."""


def _literal(value: Any, kind: str | None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = "'" + value.replace("'", "''") + "'"
        return f"timestamp {text}" if kind == "time" else text
    return repr(value)


def _compared(sign: str) -> Callable[[str, Facts, str | None], list[str]]:
    return lambda name, stats, kind: [f"{name} {sign} {_literal(_only(stats), kind)}"]


def _one_of(word: str) -> Callable[[str, Facts, str | None], list[str]]:
    def condition(name: str, stats: Facts, kind: str | None) -> list[str]:
        values = ", ".join(_literal(value, kind) for value in _only(stats))
        return [f"{name} {word} ({values})"] if values else []

    return condition


def _between(name: str, stats: Facts, kind: str | None) -> list[str]:
    low, high = (_literal(stats[key], kind) for key in ("min_value", "max_value"))
    above = ">=" if stats.get("include_min", True) else ">"
    below = "<=" if stats.get("include_max", True) else "<"
    return [f"{name} {above} {low}", f"{name} {below} {high}"]


def _length(name: str, stats: Facts, kind: str | None) -> list[str]:
    del kind
    signs = {"exact_value": "=", "min_value": ">=", "max_value": "<="}
    exact = stats.get("exact_value") is not None
    asked = {key: stats.get(key) for key in (["exact_value"] if exact else ["min_value", "max_value"])}
    return [f"length({name}) {signs[key]} {value}" for key, value in asked.items() if value is not None]


def _edge(function: str) -> Callable[[str, Facts, str | None], list[str]]:
    return lambda name, stats, _: [f"{function}({name}, {_literal(_only(stats), None)})"]


CONDITIONS: dict[str, Callable[[str, Facts, str | None], list[str]]] = {
    "equal_to": _compared("="),
    "not_equal_to": _compared("<>"),
    "greater_than": _compared(">"),
    "greater_than_or_equal_to": _compared(">="),
    "less_than": _compared("<"),
    "less_than_or_equal_to": _compared("<="),
    "in_range": _between,
    "isin": _one_of("in"),
    "notin": _one_of("not in"),
    "str_length": _length,
    "str_startswith": _edge("starts_with"),
    "str_endswith": _edge("ends_with"),
}
"""The checks that are conditions on every row; those in neither table are named in `left_out`."""
