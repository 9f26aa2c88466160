"""Contracts as suites of Great Expectations 1.x, and back; the package itself is not needed.

Both directions follow what Great Expectations does on pandas: a missing value breaks nothing but
`expect_column_values_to_not_be_null`, and a regular expression is searched for within the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from everloop.integrations.contract_draft import ContractDraft, quoted
from everloop.integrations.contract_format import Read, Written, carried
from everloop.table.contract import ColumnRule, Contract, TableRule
from everloop.table.contract.words import of_table

SEVERITIES = {"error": "critical", "warn": "warning"}
_ORDER = re.compile(r'^("?)([^"<=>]+)\1 (<=|<|=) ("?)([^"<=>]+)\4$')
_OURS = re.compile(r"^\^\(\?:(.*)\)\\Z$", re.DOTALL)
_IGNORE = {"ignore_row_if": "either_value_is_missing"}

Facts = Mapping[str, Any]


class GreatExpectationsSuite:
    """The format; see `everloop.integrations.contract_format.ContractFormat`."""

    suffix = ".json"

    def knows(self, document: Facts) -> bool:
        """Tells whether a file's content is a suite."""
        return isinstance(document.get("expectations"), list)

    def write(self, contract: Contract, name: str) -> Written:
        """Gives a contract as a suite."""
        expectations: list[dict[str, Any]] = []
        left_out: list[str] = []
        for column in contract.columns:
            expectations += _of_column(column)
            if column.type == "time" and (column.minimum is not None or column.maximum is not None):
                left_out.append(f"{column.name}: the range of its times")
        for rule in contract.rules:
            found = list(_of_rule(rule))
            expectations += found
            if not found:
                left_out.append(f"{rule.kind}: {' '.join(of_table(rule)).strip()}")
        if contract.extra == "reject":
            names = {"column_set": [column.name for column in contract.columns], "exact_match": True}
            expectations.append(_expectation("table_columns_to_match_set", "error", names))
        left_out += [f"{column.name}: its type, {column.type}" for column in contract.columns]
        left_out += carried(contract)
        document = {
            "name": name,
            "expectations": expectations,
            "meta": {"great_expectations_version": "1.0.0"},
        }
        return Written(document, tuple(left_out))

    def read(self, document: Facts, types: Mapping[str, str]) -> Read:
        """Reads a suite."""
        draft = ContractDraft(dict(types))
        for expectation in document["expectations"]:
            kind = str(expectation.get("type") or expectation.get("expectation_type"))
            facts = dict(expectation.get("kwargs") or {})
            severity = "error" if expectation.get("severity", "critical") == "critical" else "warn"
            reader = READERS.get(kind.removeprefix("expect_"))
            conditioned = facts.get("row_condition") is not None
            if (
                reader is None
                or conditioned
                or not _is_whole(kind, facts)
                or not reader(draft, facts, severity)
            ):
                draft.left_out.append(f"{kind} {_shown(facts)}")
        return draft.finish()


def _expectation(kind: str, severity: str, facts: Facts) -> dict[str, Any]:
    return {"type": f"expect_{kind}", "kwargs": dict(facts), "meta": {}, "severity": SEVERITIES[severity]}


def _of_column(rule: ColumnRule) -> Iterator[dict[str, Any]]:
    name, plain = {"column": rule.name}, rule.type != "time"
    limits = {"min_value": rule.minimum, "max_value": rule.maximum}
    said: list[tuple[bool, str, Facts]] = [
        (True, "column_to_exist", {}),
        (not rule.nullable, "column_values_to_not_be_null", {}),
        (plain and any(one is not None for one in limits.values()), "column_values_to_be_between", limits),
        (rule.allowed is not None, "column_values_to_be_in_set", {"value_set": list(rule.allowed or ())}),
        (rule.pattern is not None, "column_values_to_match_regex", {"regex": rf"^(?:{rule.pattern})\Z"}),
        (rule.unique, "column_values_to_be_unique", {}),
    ]
    for there, kind, facts in said:
        if there:
            kept = {key: value for key, value in facts.items() if value is not None}
            yield _expectation(kind, rule.severity, name | kept)
    if rule.max_missing is not None:
        facts = {**name, "min_value": 1 - rule.max_missing}
        yield _expectation("column_proportion_of_non_null_values_to_be_between", rule.severity, facts)


def _of_rule(rule: TableRule) -> Iterator[dict[str, Any]]:
    if rule.kind == "row_count":
        facts = {"min_value": rule.minimum, "max_value": rule.maximum}
        kept = {key: value for key, value in facts.items() if value is not None}
        yield _expectation("table_row_count_to_be_between", rule.severity, kept)
    elif rule.kind == "unique" and len(rule.columns) == 1:
        yield _expectation("column_values_to_be_unique", rule.severity, {"column": rule.columns[0]})
    elif rule.kind == "unique":
        listed = {"column_list": list(rule.columns), "ignore_row_if": "any_value_is_missing"}
        yield _expectation("compound_columns_to_be_unique", rule.severity, listed)
    elif rule.expression is not None and (found := _ORDER.match(rule.expression.sql)):
        low, sign, high = found.group(2), found.group(3), found.group(5)
        if {low, high} != set(rule.expression.columns):
            return
        if sign == "=":
            pair = {"column_A": low, "column_B": high, **_IGNORE}
            yield _expectation("column_pair_values_to_be_equal", rule.severity, pair)
        else:
            pair = {"column_A": high, "column_B": low, "or_equal": sign == "<=", **_IGNORE}
            yield _expectation("column_pair_values_a_to_be_greater_than_b", rule.severity, pair)


def _is_whole(kind: str, facts: Facts) -> bool:
    """Whether every row is asked for; a share of rows is only known of what is missing."""
    return facts.get("mostly", 1) == 1 or kind.endswith("_to_not_be_null")


def _shown(facts: Facts) -> str:
    return ", ".join(f"{key}={value!r}" for key, value in facts.items() if key != "batch_id")


def _exists(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    return draft.put(facts["column"], severity)


def _not_null(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    mostly = facts.get("mostly", 1)
    if mostly == 1:
        return draft.put(facts["column"], severity, nullable=False)
    return draft.put(facts["column"], severity, max_missing=1 - mostly)


def _proportion(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    least, most = facts.get("min_value"), facts.get("max_value")
    if least is None or most not in {None, 1} or facts.get("strict_min"):
        return False
    return draft.put(facts["column"], severity, max_missing=1 - least)


def _between(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    name = facts["column"]
    limits = {"minimum": facts.get("min_value"), "maximum": facts.get("max_value")}
    numbers = {key: value for key, value in limits.items() if value is not None}
    if not numbers or not all(isinstance(value, int | float) for value in numbers.values()):
        return False
    for key, sign in (("strict_min", ">"), ("strict_max", "<")):
        if facts.get(key):
            limit = numbers.pop("minimum" if sign == ">" else "maximum", None)
            draft.rules.append(("holds", f"{quoted(name)} {sign} {limit}", severity))
    return draft.put(name, severity, "number", **numbers)


def _in_set(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    values = facts.get("value_set")
    if not values:
        return False
    kinds = {_KINDS.get(type(value)) for value in values}
    if len(kinds) > 1 and kinds != {"integer", "number"}:
        return False
    kind = "number" if len(kinds) > 1 else kinds.pop()
    return kind is not None and draft.put(facts["column"], severity, kind, allowed=tuple(values))


def _regex(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    regex = str(facts["regex"])
    ours = _OURS.match(regex)
    # Searched for within the text: something before it, and something after it.
    pattern = ours.group(1) if ours else f"(?s:.*?)(?:{regex})(?s:.*)"
    return draft.put(facts["column"], severity, "text", pattern=pattern)


def _lengths(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    name, asked = facts["column"], []
    if "value" in facts:
        asked.append(f"length({quoted(name)}) = {facts['value']}")
    for key, strict, signs in (
        ("min_value", "strict_min", (">", ">=")),
        ("max_value", "strict_max", ("<", "<=")),
    ):
        if facts.get(key) is not None:
            sign = signs[0] if facts.get(strict) else signs[1]
            asked.append(f"length({quoted(name)}) {sign} {facts[key]}")
    draft.rules += [("holds", sql, severity) for sql in asked]
    return bool(asked) and draft.put(name, severity, "text")


def _unique(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    return draft.put(facts["column"], severity, unique=True)


def _key(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    if facts.get("ignore_row_if") != "any_value_is_missing":
        return False
    columns = tuple(facts["column_list"])
    for name in columns:
        draft.put(name, severity)
    draft.rules.append(("unique", {"kind": "unique", "columns": columns}, severity))
    return True


def _pair(sign: Callable[[Facts], str]) -> Callable[[ContractDraft, Facts, str], bool]:
    def read(draft: ContractDraft, facts: Facts, severity: str) -> bool:
        if facts.get("ignore_row_if") != "either_value_is_missing":
            return False
        a, b = facts["column_A"], facts["column_B"]
        for name in (a, b):
            draft.put(name, severity)
        draft.rules.append(("holds", f"{quoted(b)} {sign(facts)} {quoted(a)}", severity))
        return True

    return read


def _rows(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    low, high = (facts.get("value", facts.get(key)) for key in ("min_value", "max_value"))
    if facts.get("strict_min") or facts.get("strict_max") or (low is None and high is None):
        return False
    draft.rules.append(("row_count", {"kind": "row_count", "minimum": low, "maximum": high}, severity))
    return True


def _columns(draft: ContractDraft, facts: Facts, severity: str) -> bool:
    if not facts.get("exact_match", True) or severity != "error":
        return False
    draft.extra = "reject"
    return all(draft.put(name, severity) for name in facts["column_set"])


_KINDS: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "text"}

READERS: dict[str, Callable[[ContractDraft, Facts, str], bool]] = {
    "column_to_exist": _exists,
    "column_values_to_not_be_null": _not_null,
    "column_proportion_of_non_null_values_to_be_between": _proportion,
    "column_values_to_be_between": _between,
    "column_values_to_be_in_set": _in_set,
    "column_distinct_values_to_be_in_set": _in_set,
    "column_values_to_match_regex": _regex,
    "column_value_lengths_to_be_between": _lengths,
    "column_value_lengths_to_equal": _lengths,
    "column_values_to_be_unique": _unique,
    "compound_columns_to_be_unique": _key,
    "column_pair_values_a_to_be_greater_than_b": _pair(lambda facts: "<=" if facts.get("or_equal") else "<"),
    "column_pair_values_to_be_equal": _pair(lambda _: "="),
    "table_row_count_to_be_between": _rows,
    "table_row_count_to_equal": _rows,
    "table_columns_to_match_set": _columns,
}
"""The expectations that are read; all others are named in `left_out`."""
