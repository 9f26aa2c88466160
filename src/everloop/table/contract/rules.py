"""A contract as values: a rule for each column, rules for the whole table.

A missing value breaks ``nullable`` and ``max_missing`` alone; NaN is a missing value. Severity
``error`` stops, ``warn`` records; a value of the wrong type is always an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Literal

from everloop.core.errors import SpecFault
from everloop.table.expression.parsing import parse
from everloop.table.expression.tree import Expression
from everloop.table.schema import TYPES, ColumnType

Severity = Literal["error", "warn"]
SEVERITIES = ("error", "warn")
EXTRA = ("ignore", "reject")
RULE_KINDS = ("row_count", "unique", "holds")

Limit = float | int | datetime | None


@dataclass(frozen=True)
class ColumnRule:
    """What one column must satisfy.

    Attributes:
        name: The column.
        type: Its type; an integer is a number, and a number without fraction an integer.
        nullable: Whether a value may be missing.
        minimum: The least number or time.
        maximum: The greatest number or time.
        allowed: The only values there are.
        pattern: A regular expression that the whole text matches.
        unique: Whether no value comes twice.
        max_missing: The largest share of missing values, 0 to 1.
        severity: ``error`` or ``warn``, for all but the type.
    """

    name: str
    type: ColumnType
    nullable: bool = True
    minimum: Limit = None
    maximum: Limit = None
    allowed: tuple[Any, ...] | None = None
    pattern: str | None = None
    unique: bool = False
    max_missing: float | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise SpecFault(f"Column {self.name!r}: type {self.type!r} is none of {', '.join(TYPES)}.")
        if self.severity not in SEVERITIES:
            raise SpecFault(f"Column {self.name!r}: severity {self.severity!r} is neither error nor warn.")
        for limit in ("minimum", "maximum"):
            object.__setattr__(self, limit, _limit(self, limit))
        _check_pattern(self)
        if self.allowed is not None:
            object.__setattr__(self, "allowed", tuple(self.allowed))
            _check_allowed(self)
        if self.max_missing is not None and not (_is_number(self.max_missing) and 0 <= self.max_missing <= 1):
            raise SpecFault(
                f"Column {self.name!r}: max_missing is a share from 0 to 1, not {self.max_missing!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Gives the rule as what JSON can carry, without what is as it is by default."""
        plain: dict[str, Any] = {"name": self.name, "type": self.type}
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                plain[field.name] = _plain(value)
        return plain


@dataclass(frozen=True)
class TableRule:
    """What the table as a whole, or each row as a whole, must satisfy.

    Attributes:
        kind: ``row_count`` (between minimum and maximum), ``unique`` (columns together are a key) or
            ``holds`` (a condition that is true or null on every row).
        minimum: For ``row_count``.
        maximum: For ``row_count``.
        columns: For ``unique``.
        expression: For ``holds``.
        severity: ``error`` or ``warn``.
    """

    kind: Literal["row_count", "unique", "holds"]
    minimum: int | None = None
    maximum: int | None = None
    columns: tuple[str, ...] = ()
    expression: Expression | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        complete = {
            "row_count": self.minimum is not None or self.maximum is not None,
            "unique": bool(self.columns),
            "holds": self.expression is not None,
        }
        if not complete.get(self.kind, False):
            raise SpecFault(
                f"A table rule is one of {', '.join(RULE_KINDS)} with its content; this is {self.kind!r}."
            )
        if self.severity not in SEVERITIES:
            raise SpecFault(f"A table rule's severity {self.severity!r} is neither error nor warn.")
        if self.expression is not None and self.expression.type != "boolean":
            raise SpecFault(
                f"A rule holds or does not; {self.expression.sql!r} gives {self.expression.type}."
            )

    @classmethod
    def holds(cls, sql: str, types: Mapping[str, str], severity: Severity = "error") -> TableRule:
        """Makes a rule of a condition in SQL.

        Raises:
            SpecFault: It is no condition over these columns.
        """
        return cls("holds", expression=parse(sql, types), severity=severity)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rule looks at."""
        return self.columns if self.expression is None else self.expression.columns

    def to_dict(self) -> dict[str, Any]:
        """Gives the rule as what JSON can carry."""
        plain: dict[str, Any] = {"kind": self.kind}
        for name in ("minimum", "maximum"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        if self.columns:
            plain["columns"] = list(self.columns)
        if self.expression is not None:
            plain["expression"] = self.expression.to_dict()
        return {**plain, "severity": self.severity}


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
            rules = tuple(_rule_from(rule) for rule in data["rules"])
            return cls(columns, rules, data["extra"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SpecFault(f"A contract cannot be read: {error}.") from error


def _rule_from(data: Mapping[str, Any]) -> TableRule:
    expression = data.get("expression")
    return TableRule(
        data["kind"],
        data.get("minimum"),
        data.get("maximum"),
        tuple(data.get("columns", ())),
        None if expression is None else Expression.from_dict(expression),
        data.get("severity", "error"),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limit(rule: ColumnRule, which: str) -> Limit:
    value: Any = getattr(rule, which)
    if value is None:
        return None
    if rule.type in {"integer", "number"}:
        if _is_number(value) and value - value == 0:
            return value  # type: ignore[no-any-return]
        raise SpecFault(f"Column {rule.name!r}: {which} is a number, not {value!r}.")
    if rule.type == "time":
        return _moment(rule, which, value)
    raise SpecFault(
        f"Column {rule.name!r} is {rule.type}, which has no {which}.", hint="numbers and times have one"
    )


def _moment(rule: ColumnRule, which: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise SpecFault(
                f"Column {rule.name!r}: {which} is a time such as 2026-01-31, not {value!r}."
            ) from error
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise SpecFault(f"Column {rule.name!r}: {which} is a time such as 2026-01-31, not {value!r}.")


def _check_pattern(rule: ColumnRule) -> None:
    if rule.pattern is None:
        return
    if rule.type != "text":
        raise SpecFault(f"Column {rule.name!r} is {rule.type}; only text has a pattern.")
    try:
        re.compile(rule.pattern)
    except (re.error, TypeError, RecursionError) as error:
        raise SpecFault(f"Column {rule.name!r}: pattern {rule.pattern!r} cannot be read: {error}.") from error


_ALLOWED: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "text": (str,),
}


def _check_allowed(rule: ColumnRule) -> None:
    kinds = _ALLOWED.get(rule.type)
    if kinds is None:
        raise SpecFault(
            f"Column {rule.name!r} is {rule.type}, which has no allowed values.",
            hint="give minimum and maximum",
        )
    for value in rule.allowed or ():
        if not isinstance(value, kinds) or (isinstance(value, bool) and rule.type != "boolean"):
            hint = f"put it in quotes: '{value}'" if rule.type == "text" else None
            raise SpecFault(f"Column {rule.name!r} is {rule.type}; {value!r} is not.", hint=hint)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
