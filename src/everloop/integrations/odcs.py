"""Contracts as the Open Data Contract Standard 3.1, and back; no package is needed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from everloop.core.errors import EverloopError, SpecFault
from everloop.core.units import parse_duration
from everloop.integrations.contract_format import Read, Written, carried
from everloop.table.contract import ColumnRule, Contract, TableRule
from everloop.table.contract.words import of_table

Facts = Mapping[str, Any]

TYPES = {
    "boolean": "boolean",
    "integer": "integer",
    "number": "number",
    "text": "string",
    "time": "timestamp",
}
BACK = {theirs: ours for ours, theirs in TYPES.items()} | {"date": "time"}
SEVERITIES = {"error": "error", "warn": "warning"}
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_REFERENCE = re.compile(r"^[A-Za-z_][A-Za-z0-9_\-]*\.[A-Za-z_][A-Za-z0-9_\-]*$")
_BROKEN = ("SELECT COUNT(*) FROM {object} WHERE NOT (", ")")


class OpenDataContract:
    """The format; see `everloop.integrations.contract_format.ContractFormat`."""

    suffix = ".yaml"

    def knows(self, document: Facts) -> bool:
        """Tells whether a file's content is such a contract."""
        return document.get("kind") == "DataContract" and str(document.get("apiVersion", "")).startswith("v3")

    def write(self, contract: Contract, name: str) -> Written:
        """Gives a contract as one object of a data contract."""
        table: dict[str, Any] = {
            "name": name,
            "logicalType": "object",
            "properties": [_property(column) for column in contract.columns],
        }
        quality = [one for rule in contract.rules for one in _quality(rule)]
        referring = {rule: _relationship(rule, name) for rule in contract.rules if rule.kind == "refers"}
        references = [one for one in referring.values() if _is_known(one)]
        table |= {"quality": quality} if quality else {}
        table |= {"relationships": references} if references else {}
        document: dict[str, Any] = {
            "apiVersion": "v3.1.0",
            "kind": "DataContract",
            "id": name,
            "version": "1.0.0",
            "status": "active",
            "schema": [table],
        }
        fresh = [_freshness(rule, name) for rule in contract.rules if rule.kind == "fresh"]
        document |= {"slaProperties": fresh} if fresh else {}
        left_out = ["columns that are not named are rejected"] if contract.extra == "reject" else []
        left_out += [
            f"refers: {' '.join(of_table(rule)).strip()}: names that the standard's references cannot carry"
            for rule, one in referring.items()
            if not _is_known(one)
        ]
        warned = [
            rule for rule in contract.rules if rule.kind in {"fresh", "refers"} and rule.severity == "warn"
        ]
        left_out += [f"{', '.join(rule.columns)}: that its {rule.kind} rule only warns" for rule in warned]
        left_out += carried(contract)
        return Written(document, tuple(left_out))

    def read(self, document: Facts, types: Mapping[str, str]) -> Read:
        """Reads the first object of a data contract."""
        objects = document.get("schema") or []
        if not objects:
            raise SpecFault("The data contract has no schema.")
        left_out = [f"the object {one.get('name')}" for one in objects[1:]]
        table = objects[0]
        columns = []
        for one in table.get("properties") or []:
            column = _column(one, types, left_out)
            columns += [column] if column is not None else []
        known = {column.name: column.type for column in columns}
        asked = [("quality", one) for one in table.get("quality") or []]
        asked += [("relationships", one) for one in table.get("relationships") or []]
        asked += [("slaProperties", one) for one in document.get("slaProperties") or []]
        rules = []
        for part, one in asked:
            rule = _read_rule(part, one, known)
            if rule is None or not set(rule.reads) <= set(known):
                left_out.append(f"{part}: {dict(one)}")
            else:
                rules.append(rule)
        return Read(Contract(tuple(columns), tuple(rules)), tuple(left_out))


def _property(rule: ColumnRule) -> dict[str, Any]:
    plain: dict[str, Any] = {"name": rule.name, "logicalType": TYPES[rule.type]}
    plain |= {"required": True} if not rule.nullable else {}
    plain |= {"unique": True} if rule.unique else {}
    limits = {"minimum": rule.minimum, "maximum": rule.maximum, "pattern": rule.pattern}
    options = {key: _plain(value) for key, value in limits.items() if value is not None}
    plain |= {"logicalTypeOptions": options} if options else {}
    quality: list[dict[str, Any]] = []
    if rule.allowed is not None:
        arguments = {"validValues": list(rule.allowed)}
        quality.append({"metric": "invalidValues", "arguments": arguments, "mustBe": 0})
    if rule.max_missing is not None:
        most = round(100 * rule.max_missing, 10)
        quality.append({"metric": "nullValues", "unit": "percent", "mustBeLessOrEqualTo": most})
    level = {"type": "library", "severity": SEVERITIES[rule.severity]}
    plain |= {"quality": [level | one for one in quality]} if quality else {}
    if rule.severity == "warn":
        plain["customProperties"] = [{"property": "severity", "value": "warn"}]
    return plain


def _plain(value: Any) -> Any:
    return value.strftime(_TIME) if isinstance(value, datetime) else value


def _quality(rule: TableRule) -> Iterator[dict[str, Any]]:
    level = {"severity": SEVERITIES[rule.severity]}
    if rule.kind == "row_count":
        for limit, key in ((rule.minimum, "mustBeGreaterOrEqualTo"), (rule.maximum, "mustBeLessOrEqualTo")):
            if limit is not None:
                yield {"type": "library", "metric": "rowCount", key: limit, **level}
    elif rule.kind == "unique":
        arguments = {"properties": list(rule.columns)}
        yield {"type": "library", "metric": "duplicateValues", "arguments": arguments, "mustBe": 0, **level}
    elif rule.expression is not None:
        yield {"type": "sql", "query": rule.expression.sql.join(_BROKEN), "mustBe": 0, **level}


def _relationship(rule: TableRule, name: str) -> dict[str, Any]:
    ours = [f"{name}.{column}" for column in rule.columns]
    theirs = [f"{rule.source}.{key}" for key in rule.key]
    return {"type": "foreignKey", "from": _one(ours), "to": _one(theirs)}


def _is_known(relationship: Facts) -> bool:
    names = [*_list(relationship["from"]), *_list(relationship["to"])]
    return all(_REFERENCE.match(name) for name in names)


def _one(values: list[str]) -> Any:
    return values[0] if len(values) == 1 else values


def _freshness(rule: TableRule, name: str) -> dict[str, Any]:
    seconds = int(rule.within.total_seconds()) if rule.within else 0
    return {"property": "freshness", "value": seconds, "unit": "s", "element": f"{name}.{rule.columns[0]}"}


def _column(one: Facts, types: Mapping[str, str], left_out: list[str]) -> ColumnRule | None:
    name = str(one["name"])
    kind = BACK.get(str(one.get("logicalType"))) or types.get(name)
    if kind is None:
        left_out.append(f"{name}: its type, {one.get('logicalType')}")
        return None
    facts: dict[str, Any] = {"nullable": not one.get("required", False), "unique": bool(one.get("unique"))}
    options = dict(one.get("logicalTypeOptions") or {})
    facts |= {key: options.pop(key) for key in ("minimum", "maximum", "pattern") if key in options}
    left_out += [f"{name}: {key} {value}" for key, value in options.items()]
    warns = [each for each in one.get("customProperties") or [] if each.get("property") == "severity"]
    severity: Any = "warn" if warns and warns[0].get("value") == "warn" else "error"
    for quality in one.get("quality") or []:
        read = _read_quality(quality)
        if read is None:
            left_out.append(f"{name}: quality {dict(quality)}")
        else:
            facts |= read
    try:
        return ColumnRule(name, kind, severity=severity, **facts)  # type: ignore[arg-type]
    except EverloopError as fault:
        left_out.append(f"{name}: {fault.message}")
        return None


def _read_quality(one: Facts) -> dict[str, Any] | None:
    metric, arguments = one.get("metric") or one.get("rule"), one.get("arguments") or one
    if (
        metric in {"invalidValues", "validValues"}
        and arguments.get("validValues")
        and one.get("mustBe", 0) == 0
    ):
        return {"allowed": tuple(arguments["validValues"])}
    if (
        metric in {"nullValues", "nullCheck"}
        and "mustBeLessOrEqualTo" in one
        and one.get("unit") == "percent"
    ):
        return {"max_missing": one["mustBeLessOrEqualTo"] / 100}
    if metric in {"nullValues", "nullCheck"} and one.get("mustBe") == 0:
        return {"nullable": False}
    if metric in {"duplicateValues", "duplicateCount"} and one.get("mustBe") == 0:
        return {"unique": True}
    return None


def _read_rule(part: str, one: Facts, types: Mapping[str, str]) -> TableRule | None:
    level: Any = "warn" if one.get("severity") in {"warn", "warning", "info"} else "error"
    try:
        if part == "relationships":
            ours, theirs = _list(one["from"]), [str(to).rpartition(".") for to in _list(one["to"])]
            columns = tuple(str(name).rpartition(".")[2] for name in ours)
            key = tuple(name for _, _, name in theirs)
            return TableRule("refers", columns=columns, source=theirs[0][0], key=key)
        if part == "slaProperties":
            if one.get("property") != "freshness" or "element" not in one:
                return None
            within = parse_duration(f"{one['value']}{one.get('unit', 'd')}")
            return TableRule("fresh", columns=(str(one["element"]).rpartition(".")[2],), within=within)
        return _read_table_quality(one, types, level)
    except (EverloopError, KeyError, TypeError):
        return None


def _read_table_quality(one: Facts, types: Mapping[str, str], level: Any) -> TableRule | None:
    metric, query = one.get("metric") or one.get("rule"), str(one.get("query", ""))
    if metric == "rowCount":
        between = one.get("mustBeBetween") or (
            one.get("mustBeGreaterOrEqualTo"),
            one.get("mustBeLessOrEqualTo"),
        )
        return TableRule("row_count", between[0], between[1], severity=level)
    listed = (one.get("arguments") or {}).get("properties")
    if metric in {"duplicateValues", "duplicateCount"} and listed and one.get("mustBe") == 0:
        return TableRule("unique", columns=tuple(listed), severity=level)
    if query.startswith(_BROKEN[0]) and query.endswith(_BROKEN[1]) and one.get("mustBe") == 0:
        return TableRule.holds(query[len(_BROKEN[0]) : -1], types, level)
    return None


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]
