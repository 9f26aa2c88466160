"""An expression as a closure over one row of plain Python values.

Inside, a missing number is NaN, so that arithmetic needs no test for it; a missing boolean, text or
time is None. What comes out is None wherever a value is missing.
"""

from __future__ import annotations

import math
import operator as python
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from everloop.core.errors import DataFault
from everloop.table.expression import letters, moments, patterns, readings
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node

Row = Mapping[str, Any]
Form = Callable[[Row], Any]

NAN = math.nan
MAX_ANGLE = 1e9


def to_row(expression: Expression) -> Callable[[Row], Any]:
    """Compiles an expression for one row.

    Returns:
        A function of a mapping from column names to values (a name that is absent is null) that gives
        a float, bool, str, aware datetime or None. It raises `DataFault` for a value of the wrong kind.
    """
    form = _form(expression.tree)
    if expression.type == "number":
        return _number_out(form)
    if expression.type == "time":
        return _time_out(form)
    return form


def to_number(expression: Expression) -> Callable[[Row], float]:
    """Compiles a number expression for one row, giving NaN where it is null."""
    form: Callable[[Row], float] = _form(expression.tree)
    return form


def _number_out(form: Form) -> Form:
    def number(row: Row) -> float | None:
        value: float = form(row)
        return value if value == value else None  # noqa: PLR0124  NaN alone differs from itself

    return number


def _time_out(form: Form) -> Form:
    def time(row: Row) -> Any:
        value = form(row)
        return None if value is None else moments.time_of(value)

    return time


def _form(node: Node) -> Form:
    if isinstance(node, Constant):
        return _constant(node)
    if isinstance(node, ColumnRef):
        return _COLUMNS[node.type](node.name)
    return _FORMS[node.operator](node, [_form(argument) for argument in node.arguments])


def _constant(node: Constant) -> Form:
    value: Any = node.value
    if value is None and node.type == "number":
        value = NAN
    if value is not None and node.type == "time":
        value = int(value)
    return lambda _row: value


def _number_column(name: str) -> Form:
    def read(row: Row) -> float:
        value = row.get(name)
        if value.__class__ is not float:
            if value is None:
                return NAN
            value = _as_float(value, name)
        return value if value - value == 0.0 else NAN

    return read


def _as_float(value: Any, name: str) -> float:
    if isinstance(value, str | bytes):
        raise DataFault(f"Column {name!r} holds {value!r}, which is text; a number was expected.")
    try:
        return float(value)
    except OverflowError:
        return NAN
    except (TypeError, ValueError) as error:
        raise DataFault(f"Column {name!r} holds {value!r}, which is no number.") from error


def _boolean_column(name: str) -> Form:
    def read(row: Row) -> bool | None:
        value = row.get(name)
        if value is None or value is True or value is False:
            return value
        if type(value).__name__ in {"bool", "bool_"}:
            return bool(value)
        raise DataFault(f"Column {name!r} holds {value!r}; true or false was expected.")

    return read


def _text_column(name: str) -> Form:
    def read(row: Row) -> str | None:
        value = row.get(name)
        if value is None or value.__class__ is str:
            return value
        if isinstance(value, float) and math.isnan(value):
            return None
        if isinstance(value, str):
            return str(value)
        raise DataFault(f"Column {name!r} holds {value!r}; text was expected.")

    return read


def _time_column(name: str) -> Form:
    def read(row: Row) -> int | None:
        value = row.get(name)
        return None if value is None else moments.microseconds_of(value, name)

    return read


_COLUMNS: dict[str, Callable[[str], Form]] = {
    "number": _number_column,
    "boolean": _boolean_column,
    "text": _text_column,
    "time": _time_column,
}


def _finite(value: float) -> float:
    return value if value - value == 0.0 else NAN


def _arithmetic(function: Callable[[float, float], float]) -> Callable[[Call, list[Form]], Form]:
    def make(_call: Call, forms: list[Form]) -> Form:
        left, right = forms

        def apply(row: Row) -> float:
            value = function(left(row), right(row))
            return value if value - value == 0.0 else NAN

        return apply

    return make


def _divide(a: float, b: float) -> float:
    return a / b if b != 0.0 else NAN


def _modulo(a: float, b: float) -> float:
    if b == 0.0:
        return NAN
    quotient = a / b
    return a - b * math.trunc(quotient) if quotient - quotient == 0.0 else NAN


def _power(a: float, b: float) -> float:
    if a != a or b != b:  # noqa: PLR0124
        return NAN
    try:
        return math.pow(a, b)
    except (ValueError, OverflowError):
        return NAN


def _of_number(function: Callable[[float], float]) -> Callable[[Call, list[Form]], Form]:
    def make(_call: Call, forms: list[Form]) -> Form:
        (argument,) = forms

        def apply(row: Row) -> float:
            value = argument(row)
            return function(value) if value == value else NAN  # noqa: PLR0124

        return apply

    return make


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return NAN


def round_away(value: float, scale: float, digits: int) -> float:
    """Rounds halves away from zero, by the steps that every engine takes."""
    size = abs(value)
    scaled = size * scale if digits >= 0 else size / scale
    if not scaled < 2.0**52:
        return value
    whole = math.floor(scaled)
    whole += scaled - whole >= 0.5
    size = whole / scale if digits >= 0 else whole * scale
    return math.copysign(size, value)


def _round(call: Call, forms: list[Form]) -> Form:
    digits = int(_literal(call.arguments[1]))
    scale = 10.0 ** abs(digits)
    return _of_number(lambda value: round_away(value, scale, digits))(call, forms[:1])


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


def _compare(function: Callable[[Any, Any], bool]) -> Callable[[Call, list[Form]], Form]:
    def make(call: Call, forms: list[Form]) -> Form:
        left, right = forms

        def numbers(row: Row) -> bool | None:
            a, b = left(row), right(row)
            return function(a, b) if a == a and b == b else None  # noqa: PLR0124

        def others(row: Row) -> bool | None:
            a, b = left(row), right(row)
            return None if a is None or b is None else function(a, b)

        return numbers if call.arguments[0].type == "number" else others

    return make


def _and(_call: Call, forms: list[Form]) -> Form:
    left, right = forms

    def apply(row: Row) -> bool | None:
        a = left(row)
        if a is False:
            return False
        b = right(row)
        if b is False:
            return False
        return None if a is None or b is None else True

    return apply


def _or(_call: Call, forms: list[Form]) -> Form:
    left, right = forms

    def apply(row: Row) -> bool | None:
        a = left(row)
        if a is True:
            return True
        b = right(row)
        if b is True:
            return True
        return None if a is None or b is None else False

    return apply


def _is_null(call: Call, forms: list[Form]) -> Form:
    (argument,) = forms
    if call.arguments[0].type == "number":
        return lambda row: (value := argument(row)) != value
    return lambda row: argument(row) is None


def _in(call: Call, forms: list[Form]) -> Form:
    argument = forms[0]
    values = frozenset(_constant(node)({}) for node in call.arguments[1:] if isinstance(node, Constant))

    def apply(row: Row) -> bool | None:
        value = argument(row)
        return None if value is None or value != value else value in values  # noqa: PLR0124

    return apply


def _case(_call: Call, forms: list[Form]) -> Form:
    pairs = tuple(zip(forms[:-1:2], forms[1:-1:2], strict=True))
    otherwise = forms[-1]

    def apply(row: Row) -> Any:
        for condition, value in pairs:
            if condition(row) is True:
                return value(row)
        return otherwise(row)

    return apply


def _coalesce(_call: Call, forms: list[Form]) -> Form:
    *early, last = forms

    def apply(row: Row) -> Any:
        for form in early:
            value = form(row)
            if value is not None and value == value:  # noqa: PLR0124
                return value
        return last(row)

    return apply


def _extreme(choose: Callable[[Sequence[Any]], Any]) -> Callable[[Call, list[Form]], Form]:
    def make(call: Call, forms: list[Form]) -> Form:
        missing = NAN if call.type == "number" else None

        def apply(row: Row) -> Any:
            values = [value for form in forms if (value := form(row)) is not None and value == value]  # noqa: PLR0124
            return choose(values) if values else missing

        return apply

    return make


def _of_text(function: Callable[[Any], Any], missing: Any = None) -> Callable[[Call, list[Form]], Form]:
    def make(_call: Call, forms: list[Form]) -> Form:
        argument = forms[0]

        def apply(row: Row) -> Any:
            value = argument(row)
            return missing if value is None else function(value)

        return apply

    return make


def _translated(pairs: tuple[str, str]) -> Callable[[str], str]:
    table = str.maketrans(*pairs)
    return lambda text: text.translate(table)


def _substr(call: Call, forms: list[Form]) -> Form:
    start, length = (int(_literal(node)) for node in call.arguments[1:])
    return _of_text(lambda text: text[start - 1 : start - 1 + length])(call, forms)


def _matches(call: Call, forms: list[Form]) -> Form:
    text = _literal(call.arguments[1])
    tests: dict[str, Callable[[str], bool]] = {
        "starts_with": lambda value: value.startswith(text),
        "ends_with": lambda value: value.endswith(text),
        "contains": lambda value: text in value,
        "like": patterns.like_matcher(text),
    }
    return _of_text(tests[call.operator])(call, forms)


def _concat(_call: Call, forms: list[Form]) -> Form:
    left, right = forms

    def apply(row: Row) -> str | None:
        a, b = left(row), right(row)
        return None if a is None or b is None else f"{a}{b}"

    return apply


_IS_NUMBER = re.compile(patterns.NUMBER).fullmatch


def _to_number(call: Call, forms: list[Form]) -> Form:
    kind = call.arguments[0].type
    if kind == "number":
        return forms[0]
    if kind == "text":
        return _of_text(lambda text: float(text) if _IS_NUMBER(text) else NAN, NAN)(call, forms)
    return _of_text(float, NAN)(call, forms)


def _parse_number(call: Call, forms: list[Form]) -> Form:
    read = readings.number_reader(str(_literal(call.arguments[1])))

    def number(text: str) -> float:
        value = read(text)
        return NAN if value is None else value

    return _of_text(number, NAN)(call, forms)


def _parse_time(call: Call, forms: list[Form]) -> Form:
    return _of_text(readings.time_reader(str(_literal(call.arguments[1]))))(call, forms)


def _to_boolean(call: Call, forms: list[Form]) -> Form:
    kind = call.arguments[0].type
    if kind == "boolean":
        return forms[0]
    if kind == "text":
        return _of_text(lambda text: {"true": True, "false": False}.get(_ascii_lower(text)))(call, forms)
    argument = forms[0]
    return lambda row: None if (value := argument(row)) != value else value != 0.0


def _ascii_lower(text: str) -> str:
    return text.lower() if text.isascii() else text


def _of_time(function: Callable[[int], float]) -> Callable[[Call, list[Form]], Form]:
    return _of_text(function, NAN)


def _date_diff(call: Call, forms: list[Form]) -> Form:
    unit = str(_literal(call.arguments[0]))
    _, start, end = forms

    def apply(row: Row) -> float:
        a, b = start(row), end(row)
        return (
            NAN
            if a is None or b is None
            else float(moments.unit_index(b, unit) - moments.unit_index(a, unit))
        )

    return apply


_FORMS: dict[str, Callable[[Call, list[Form]], Form]] = {
    "add": _arithmetic(python.add),
    "subtract": _arithmetic(python.sub),
    "multiply": _arithmetic(python.mul),
    "divide": _arithmetic(_divide),
    "modulo": _arithmetic(_modulo),
    "power": _arithmetic(_power),
    "negate": _of_number(python.neg),
    "abs": _of_number(abs),
    "sqrt": _of_number(lambda value: math.sqrt(value) if value >= 0 else NAN),
    "ln": _of_number(lambda value: math.log(value) if value > 0 else NAN),
    "log10": _of_number(lambda value: math.log10(value) if value > 0 else NAN),
    "exp": _of_number(_exp),
    "floor": _of_number(lambda value: float(math.floor(value))),
    "ceil": _of_number(lambda value: float(math.ceil(value))),
    "round": _round,
    "sign": _of_number(lambda value: float((value > 0) - (value < 0))),
    "sin": _of_number(lambda value: math.sin(value) if abs(value) <= MAX_ANGLE else NAN),
    "cos": _of_number(lambda value: math.cos(value) if abs(value) <= MAX_ANGLE else NAN),
    "equal": _compare(python.eq),
    "not_equal": _compare(python.ne),
    "less": _compare(python.lt),
    "less_or_equal": _compare(python.le),
    "greater": _compare(python.gt),
    "greater_or_equal": _compare(python.ge),
    "in": _in,
    "is_null": _is_null,
    "and": _and,
    "or": _or,
    "not": _of_text(python.not_),
    "case": _case,
    "coalesce": _coalesce,
    "least": _extreme(min),
    "greatest": _extreme(max),
    "to_number": _to_number,
    "to_integer": _of_number(lambda value: float(round(value))),
    "parse_number": _parse_number,
    "parse_time": _parse_time,
    "to_boolean": _to_boolean,
    "to_text": _of_text(lambda value: "true" if value else "false"),
    "lower": _of_text(_translated(letters.lower_pairs())),
    "upper": _of_text(_translated(letters.upper_pairs())),
    "trim": _of_text(lambda text: text.strip(" ")),
    "length": _of_text(lambda text: float(len(text)), NAN),
    "substr": _substr,
    "concat": _concat,
    "starts_with": _matches,
    "ends_with": _matches,
    "contains": _matches,
    "like": _matches,
    "year": _of_time(lambda us: float(moments.date_of(us).year)),
    "quarter": _of_time(lambda us: float((moments.date_of(us).month + 2) // 3)),
    "month": _of_time(lambda us: float(moments.date_of(us).month)),
    "day": _of_time(lambda us: float(moments.date_of(us).day)),
    "hour": _of_time(lambda us: float(us // 3_600_000_000 % 24)),
    "minute": _of_time(lambda us: float(us // 60_000_000 % 60)),
    "second": _of_time(lambda us: float(us // 1_000_000 % 60)),
    "dow": _of_time(lambda us: float((us // moments.DAY_US + 4) % 7)),
    "isodow": _of_time(lambda us: float((us // moments.DAY_US + 3) % 7 + 1)),
    "doy": _of_time(lambda us: float(moments.date_of(us).timetuple().tm_yday)),
    "epoch": _of_time(lambda us: us / 1_000_000),
    "date_diff": _date_diff,
}
