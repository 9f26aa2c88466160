"""An expression as SQL text for DuckDB, with what DuckDB does differently put right.

A number is a DOUBLE without NaN and infinity, a time is a BIGINT of microseconds, until the result leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from everloop.table.expression import letters, moments, patterns, readings
from everloop.table.expression.row_form import MAX_ANGLE
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node

PLAIN_LENGTH = 300
"""Up to this length a repeated part is written out; a longer one is named by a lambda."""

_CARRIES = frozenset({"add", "subtract", "multiply", "negate", "abs"})
_MAY_OVERFLOW = frozenset({"add", "subtract", "multiply", "divide", "modulo", "exp", "power"})


def to_duckdb(expression: Expression) -> str:
    """Gives the expression as SQL for DuckDB; a time comes out as TIMESTAMP in UTC."""
    form = _form(expression.tree)
    return f"make_timestamp({form})" if expression.type == "time" else form


def _form(node: Node) -> str:
    form = _loose(node)
    return _finite(form) if _is_loose(node) else form


def _loose(node: Node) -> str:
    """Gives a form that may hold infinity or NaN where the value is null."""
    if isinstance(node, Constant):
        return _constant(node)
    if isinstance(node, ColumnRef):
        return _COLUMNS[node.type](_quoted(node.name))
    inner = _loose if node.operator in _CARRIES else _form
    return _FORMS[node.operator](node, [inner(argument) for argument in node.arguments])


def _is_loose(node: Node) -> bool:
    if not isinstance(node, Call):
        return False
    return node.operator in _MAY_OVERFLOW or (
        node.operator in _CARRIES and any(map(_is_loose, node.arguments))
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _bind(form: str, template: str) -> str:
    """Puts a form into every ``{v}`` of a template, by a lambda where the form is long."""
    if len(form) * template.count("{v}") <= PLAIN_LENGTH:
        return template.replace("{v}", form)
    name = f"v{len(form)}"
    return f"list_extract(list_transform([{form}], lambda {name}: {template.replace('{v}', name)}), 1)"


def _finite(form: str) -> str:
    return _bind(form, "CASE WHEN isfinite({v}) THEN {v} END")


_SQL_TYPES = {"number": "DOUBLE", "boolean": "BOOLEAN", "text": "VARCHAR", "time": "BIGINT"}


def _constant(node: Constant) -> str:
    value: Any = node.value
    if value is None:
        return f"CAST(NULL AS {_SQL_TYPES[node.type]})"
    if node.type == "number":
        return f"CAST({value!r} AS DOUBLE)"
    if node.type == "time":
        return f"CAST({int(value)} AS BIGINT)"
    return _text(value) if node.type == "text" else str(value).lower()


def _time_column(column: str) -> str:
    first, last = moments.FIRST_US, moments.LAST_US
    held = f"CAST(CAST(epoch_us({column}) AS DOUBLE) AS BIGINT)"
    return _bind(held, f"CASE WHEN {{v}} BETWEEN {first} AND {last + 32} THEN least({{v}}, {last}) END")


_COLUMNS: dict[str, Callable[[str], str]] = {
    "number": lambda column: _finite(f"CAST({column} AS DOUBLE)"),
    "boolean": lambda column: f"CAST({column} AS BOOLEAN)",
    "text": lambda column: f"CAST({column} AS VARCHAR)",
    "time": _time_column,
}


def _infix(symbol: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"({forms[0]} {symbol} {forms[1]})"


def _function(name: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"{name}({', '.join(forms)})"


def _of_one(template: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: _bind(forms[0], template)


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


def _divide(_call: Call, forms: list[str]) -> str:
    return _bind(forms[1], f"({forms[0]} / CASE WHEN {{v}} <> 0 THEN {{v}} END)")


def _modulo(_call: Call, forms: list[str]) -> str:
    left, right = forms
    if len(left) + len(right) > PLAIN_LENGTH:
        pair = f"{{'a': {left}, 'b': {right}}}"
        name = f"v{len(pair)}"
        remainder = _remainder(f"{name}.a", f"{name}.b")
        return f"list_extract(list_transform([{pair}], lambda {name}: {remainder}), 1)"
    return _remainder(left, right)


def _remainder(left: str, right: str) -> str:
    return f"CASE WHEN {right} <> 0 THEN {left} - {right} * trunc({left} / {right}) END"


def _power(_call: Call, forms: list[str]) -> str:
    return f"TRY(pow({forms[0]}, {forms[1]}))"


def _round(call: Call, forms: list[str]) -> str:
    digits = int(_literal(call.arguments[1]))
    scale = f"CAST({10.0 ** abs(digits)!r} AS DOUBLE)"
    scaled = f"abs({{v}}) {'*' if digits >= 0 else '/'} {scale}"
    whole = f"floor({scaled}) + CASE WHEN ({scaled}) - floor({scaled}) >= 0.5 THEN 1 ELSE 0 END"
    size = f"({whole}) {'/' if digits >= 0 else '*'} {scale}"
    small = 2.0**52
    template = f"CASE WHEN {scaled} < {small!r} THEN ({size}) * sign({{v}}) ELSE {{v}} END"
    return _bind(forms[0], template)


def _in(_call: Call, forms: list[str]) -> str:
    return f"({forms[0]} IN ({', '.join(forms[1:])}))"


def _case(_call: Call, forms: list[str]) -> str:
    pairs = zip(forms[:-1:2], forms[1:-1:2], strict=True)
    branches = " ".join(f"WHEN {condition} THEN {value}" for condition, value in pairs)
    return f"CASE {branches} ELSE {forms[-1]} END"


def _to_number(call: Call, forms: list[str]) -> str:
    if call.arguments[0].type != "text":
        return f"CAST({forms[0]} AS DOUBLE)"
    pattern = _text(patterns.NUMBER)
    return _bind(
        forms[0],
        f"CASE WHEN regexp_full_match({{v}}, {pattern}) THEN TRY_CAST(ltrim({{v}}, '+') AS DOUBLE) END",
    )


def _parse_number(call: Call, forms: list[str]) -> str:
    style = readings.number_style(str(_literal(call.arguments[1])))
    pattern = _text(f"^{style.pattern}$")
    digits = f"regexp_extract({{v}}, {pattern}, 2)"
    if style.thousands:
        digits = f"replace({digits}, {_text(style.thousands)}, '')"
    number = f"TRY_CAST(replace({digits}, {_text(style.decimal)}, '.') AS DOUBLE)"
    percent = f"CASE WHEN regexp_extract({{v}}, {pattern}, 3) = '%' THEN 100.0 ELSE 1.0 END"
    sign = f"CASE WHEN regexp_extract({{v}}, {pattern}, 1) = '-' THEN -1.0 ELSE 1.0 END"
    return _bind(
        forms[0],
        f"CASE WHEN regexp_matches({{v}}, {pattern}) THEN "
        f"{number} / CAST({percent} AS DOUBLE) * CAST({sign} AS DOUBLE) END",
    )


def _parse_time(call: Call, forms: list[str]) -> str:
    form = str(_literal(call.arguments[1]))
    pattern = _text(readings.time_pattern(form))
    time = f"epoch_us(try_strptime({{v}}, {_text(form)}))"
    return _bind(forms[0], f"CASE WHEN regexp_full_match({{v}}, {pattern}) THEN {time} END")


def _to_boolean(call: Call, forms: list[str]) -> str:
    kind = call.arguments[0].type
    if kind == "text":
        return _bind(
            forms[0],
            "CASE WHEN regexp_full_match({v}, '[tT][rR][uU][eE]') THEN true "
            "WHEN regexp_full_match({v}, '[fF][aA][lL][sS][eE]') THEN false END",
        )
    return f"({forms[0]} <> 0)" if kind == "number" else forms[0]


def _translated(pairs: tuple[str, str]) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"translate({forms[0]}, {_text(pairs[0])}, {_text(pairs[1])})"


def _matches(call: Call, forms: list[str]) -> str:
    pattern = _text(patterns.regex_of(call.operator, _literal(call.arguments[1])))
    return f"regexp_full_match({forms[0]}, {pattern})"


def _part(name: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"CAST({name}(make_timestamp({forms[0]})) AS DOUBLE)"


_SHIFT = 800_000 * moments.DAY_US
"""Makes every time positive, so that whole division goes down for all."""


def _date_diff(call: Call, forms: list[str]) -> str:
    unit = str(_literal(call.arguments[0]))
    start, end = (_unit_index(form, unit) for form in forms[1:])
    return f"CAST({end} - {start} AS DOUBLE)"


def _unit_index(form: str, unit: str) -> str:
    if unit in moments.UNIT_US:
        return f"(({form} + {_SHIFT}) // {moments.UNIT_US[unit]})"
    if unit == "week":
        return f"((({form} + {_SHIFT}) // {moments.DAY_US} + {_WEEK_SHIFT}) // 7)"
    if unit == "year":
        return f"year(make_timestamp({form}))"
    count = {"month": 12, "quarter": 4}[unit]
    return _bind(form, f"(year(make_timestamp({{v}})) * {count} + {unit}(make_timestamp({{v}})))")


_WEEK_SHIFT = (3 - 800_000) % 7

_FORMS: dict[str, Callable[[Call, list[str]], str]] = {
    "add": _infix("+"),
    "subtract": _infix("-"),
    "multiply": _infix("*"),
    "divide": _divide,
    "modulo": _modulo,
    "negate": lambda _call, forms: f"(- {forms[0]})",
    "power": _power,
    "abs": _function("abs"),
    "sqrt": _of_one("sqrt(CASE WHEN {v} >= 0 THEN {v} END)"),
    "ln": _of_one("ln(CASE WHEN {v} > 0 THEN {v} END)"),
    "log10": _of_one("log10(CASE WHEN {v} > 0 THEN {v} END)"),
    "exp": lambda _call, forms: f"TRY(exp({forms[0]}))",
    "floor": _function("floor"),
    "ceil": _function("ceil"),
    "round": _round,
    "sign": lambda _call, forms: f"CAST(sign({forms[0]}) AS DOUBLE)",
    "sin": _of_one(f"sin(CASE WHEN abs({{v}}) <= {MAX_ANGLE} THEN {{v}} END)"),
    "cos": _of_one(f"cos(CASE WHEN abs({{v}}) <= {MAX_ANGLE} THEN {{v}} END)"),
    "equal": _infix("="),
    "not_equal": _infix("<>"),
    "less": _infix("<"),
    "less_or_equal": _infix("<="),
    "greater": _infix(">"),
    "greater_or_equal": _infix(">="),
    "in": _in,
    "is_null": lambda _call, forms: f"({forms[0]} IS NULL)",
    "and": _infix("AND"),
    "or": _infix("OR"),
    "not": lambda _call, forms: f"(NOT {forms[0]})",
    "case": _case,
    "coalesce": _function("coalesce"),
    "least": _function("least"),
    "greatest": _function("greatest"),
    "to_number": _to_number,
    "to_integer": lambda _call, forms: f"round_even({forms[0]}, 0)",
    "parse_number": _parse_number,
    "parse_time": _parse_time,
    "to_boolean": _to_boolean,
    "to_text": lambda _call, forms: f"CAST({forms[0]} AS VARCHAR)",
    "lower": _translated(letters.lower_pairs()),
    "upper": _translated(letters.upper_pairs()),
    "trim": lambda _call, forms: f"trim({forms[0]}, ' ')",
    "length": lambda _call, forms: f"CAST(length({forms[0]}) AS DOUBLE)",
    "substr": lambda call, forms: (
        f"substr({forms[0]}, {', '.join(str(int(_literal(n))) for n in call.arguments[1:])})"
    ),
    "concat": _infix("||"),
    "starts_with": _matches,
    "ends_with": _matches,
    "contains": _matches,
    "like": _matches,
    "year": _part("year"),
    "quarter": _part("quarter"),
    "month": _part("month"),
    "day": _part("day"),
    "hour": _part("hour"),
    "minute": _part("minute"),
    "second": _part("second"),
    "dow": _part("dayofweek"),
    "isodow": _part("isodow"),
    "doy": _part("dayofyear"),
    "epoch": lambda _call, forms: f"(CAST({forms[0]} AS DOUBLE) / 1000000)",
    "date_diff": _date_diff,
}
