"""A row held against a contract: closures over plain values, as JSON gives them.

The verdict is that of `check` on a table of this one row, for what a row alone can break: everything
but uniqueness, shares and row counts. Rules of severity ``warn`` do not refuse a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from everloop.core.errors import DataFault
from everloop.table.content import content_given
from everloop.table.contract import words
from everloop.table.contract.contents import content_flaw
from everloop.table.contract.text_pattern import matcher
from everloop.table.expression.row_form import to_row

if TYPE_CHECKING:
    from everloop.table.contract.column_rules import ColumnRule
    from everloop.table.contract.rules import Contract

Row = Mapping[str, Any]
_INTEGERS = 2**63


class Violation(NamedTuple):
    """What is wrong with one field of a row.

    Attributes:
        field: The field, or the empty text for the row as a whole.
        rule: The rule that is broken, such as ``minimum``.
        expected: What was expected, in words.
        type: The type of what was given, never its value.
    """

    field: str
    rule: str
    expected: str
    type: str


class RowChecker:
    """A contract, compiled for rows: calling it gives what is wrong with one. Threads may share it."""

    __slots__ = ("_conditions", "_known", "_reject", "_test_of", "_tests")

    def __init__(self, contract: Contract) -> None:
        self._tests = tuple((rule.name, _compile(rule)) for rule in contract.columns)
        self._test_of = dict(self._tests)
        self._known = frozenset(contract.types)
        self._reject = contract.extra == "reject"
        self._conditions = tuple(
            (words.holds(rule.expression.sql), to_row(rule.expression))
            for rule in contract.rules
            if rule.expression is not None and rule.severity == "error"
        )

    def __call__(self, row: Row) -> list[Violation]:
        """Gives what is wrong with a row; nothing where it satisfies the contract."""
        return self.normalise(row)[1]

    def normalise(self, row: Row) -> tuple[dict[str, Any], list[Violation]]:
        """Checks a row and gives it as the contract's types.

        Args:
            row: Field to value, as JSON gives them; a field that is not there is null. A time is ISO 8601
                text (without a zone it is UTC) or a datetime.

        Returns:
            The columns of the contract (times as datetimes in UTC, numbers as floats, NaN as None; other
            fields are left out), and what is wrong. With violations the row must not be used.
        """
        found: list[Violation] = []
        values: dict[str, Any] = {}
        get = row.get
        for name, test in self._tests:
            value = test(get(name))
            if value.__class__ is Violation:
                found.append(value)
            else:
                values[name] = value
        if self._reject:
            found += [
                Violation(str(name), "extra", "absent: the contract does not name it", type_word(row[name]))
                for name in row
                if name not in self._known
            ]
        if self._conditions and not found:
            self._hold(values, found)
        return values, found

    def tested(self, name: str, value: Any) -> Any:
        """Gives one column's value in the contract's type, or the `Violation` that it is."""
        return self._test_of[name](value)

    def holds(self, values: dict[str, Any]) -> bool:
        """Tells whether the rules between columns hold for a row whose columns satisfy theirs."""
        if not self._conditions:
            return True
        found: list[Violation] = []
        self._hold(values, found)
        return not found

    def _hold(self, values: dict[str, Any], found: list[Violation]) -> None:
        for expected, condition in self._conditions:
            try:
                held = condition(values)
            except DataFault as fault:
                found.append(Violation("", "holds", fault.message, "object"))
                continue
            if held is False:
                found.append(Violation("", "holds", expected, "object"))


def row_checker(contract: Contract) -> RowChecker:
    """Compiles a contract for rows; see `RowChecker`."""
    return RowChecker(contract)


def type_word(value: object) -> str:
    """Names the type of a JSON value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, date):
        return "time"
    for kind, word in _WORDS.items():
        if isinstance(value, kind):
            return word
    return type(value).__name__


_WORDS: dict[type, str] = {
    str: "text",
    int: "integer",
    float: "number",
    Mapping: "object",
    list: "array",
    tuple: "array",
}

_Test = Callable[[Any], Any]


def _compile(rule: ColumnRule) -> _Test:
    convert = _CONVERT[rule.type] if rule.content is None else content_given
    name, enforced = rule.name, rule.severity == "error"
    missing = Violation(name, "nullable", words.NOT_NULL, "null") if enforced and not rule.nullable else None
    broken = _value_test(rule) if enforced else None
    expected = _EXPECTED[rule.type] if rule.content is None else words.carries(rule)

    def test(value: Any) -> Any:
        if value is None or value != value:  # noqa: PLR0124  NaN alone differs from itself
            return missing
        converted = convert(value)
        if converted is None:
            return Violation(name, "type", expected, type_word(value))
        if broken is not None:
            why = broken(converted)
            if why is not None:
                return Violation(name, why[0], why[1], type_word(value))
        return converted

    return test


def _number(value: Any) -> float | None:
    kind = value.__class__
    if kind is float:
        return value if value - value == 0.0 else None
    if kind is int:
        try:
            return float(value)
        except OverflowError:
            return None
    if (
        isinstance(value, bool)
        or type(value).__name__ in {"bool", "bool_"}
        or not hasattr(value, "__float__")
    ):
        return None
    number = float(value)
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    if value.__class__ is int:
        return value if -_INTEGERS <= value < _INTEGERS else None
    number = _number(value)
    if number is None or not number.is_integer() or not -_INTEGERS <= number < _INTEGERS:
        return None
    return int(number)


def _boolean(value: Any) -> bool | None:
    if value is True or value is False:
        return value
    return bool(value) if type(value).__name__ in {"bool", "bool_"} else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _time(value: Any) -> datetime | None:
    if value.__class__ is str:
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    try:
        if isinstance(value, datetime):
            zone = value.tzinfo
            return (
                value if zone is UTC else value.replace(tzinfo=UTC) if zone is None else value.astimezone(UTC)
            )
        return datetime(value.year, value.month, value.day, tzinfo=UTC) if isinstance(value, date) else None
    except OverflowError:
        return None


_CONVERT: dict[str, Callable[[Any], Any]] = {
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "text": _text,
    "time": _time,
}
_EXPECTED = {
    "number": words.FINITE,
    "integer": words.WHOLE,
    "boolean": "true or false",
    "text": "text",
    "time": "a time in ISO 8601, such as 2026-01-31T12:00:00Z",
}


def _value_test(rule: ColumnRule) -> Callable[[Any], tuple[str, str] | None] | None:
    tests: list[tuple[Callable[[Any], bool], tuple[str, str]]] = []
    low: Any = rule.minimum
    high: Any = rule.maximum
    if low is not None:
        tests.append((lambda value: value < low, ("minimum", words.at_least(rule))))
    if high is not None:
        tests.append((lambda value: value > high, ("maximum", words.at_most(rule))))
    if rule.allowed is not None:
        allowed = frozenset(rule.allowed)
        tests.append((lambda value: value not in allowed, ("allowed", words.one_of(rule))))
    if rule.pattern is not None:
        matches = matcher(rule.pattern)
        tests.append((lambda value: not matches(value), ("pattern", words.like(rule))))
    if not tests and rule.content is None:
        return None

    def first_broken(value: Any) -> tuple[str, str] | None:
        for fails, why in tests:
            if fails(value):
                return why
        return None if rule.content is None else content_flaw(value, rule)

    return first_broken
