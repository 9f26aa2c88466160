"""An expression as SQL text for Spark, with what Spark does differently put right.

A number is a DOUBLE without NaN and infinity, a time is a BIGINT of microseconds, until the result
leaves. What is written means the same whatever the session's time zone and whether its SQL is ANSI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from everloop.table.expression import letters, moments, patterns, readings
from everloop.table.expression.row_form import MAX_ANGLE
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node

PLAIN_LENGTH = 300
"""Up to this length a repeated part is written out; a longer one is named by a lambda."""

_CARRIES = frozenset({"add", "subtract", "multiply", "negate", "abs"})
_MAY_OVERFLOW = frozenset({"add", "subtract", "multiply", "divide", "modulo", "exp", "power"})
_WHOLE_FROM = 2.0**52


def to_spark(expression: Expression, kinds: Mapping[str, str] | None = None) -> str:
    """Gives the expression as SQL for Spark; a time comes out as TIMESTAMP.

    Args:
        expression: What is computed.
        kinds: From a column's name to its Spark type, as ``dict(frame.dtypes)`` gives it: a date and a
            timestamp without a zone are read otherwise than a timestamp, which is the default.
    """
    form = _Form(kinds or {}).of(expression.tree)
    return f"timestamp_micros({form})" if expression.type == "time" else form


def quoted(name: str) -> str:
    """Writes a name as an identifier of Spark SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal_text(value: str) -> str:
    """Writes a text for Spark SQL; as bytes, since what a quoted text means is the session's choice."""
    return f"CAST(X'{value.encode().hex()}' AS STRING)"


class _Form:
    """Writes trees over columns of known Spark types."""

    def __init__(self, kinds: Mapping[str, str]) -> None:
        self._kinds = kinds

    def of(self, node: Node) -> str:
        form = self._loose(node)
        return _finite(form) if _is_loose(node) else form

    def _loose(self, node: Node) -> str:
        """Gives a form that may hold infinity or NaN where the value is null."""
        if isinstance(node, Constant):
            return _constant(node)
        if isinstance(node, ColumnRef):
            if node.type == "time":
                return _time_column(node.name, self._kinds.get(node.name, "timestamp"))
            return _COLUMNS[node.type](quoted(node.name))
        inner = self._loose if node.operator in _CARRIES else self.of
        return _FORMS[node.operator](node, [inner(argument) for argument in node.arguments])


def _is_loose(node: Node) -> bool:
    if not isinstance(node, Call):
        return False
    return node.operator in _MAY_OVERFLOW or (
        node.operator in _CARRIES and any(map(_is_loose, node.arguments))
    )


def _bind(form: str, template: str) -> str:
    """Puts a form into every ``{v}`` of a template, by a lambda where the form is long."""
    if len(form) * template.count("{v}") <= PLAIN_LENGTH:
        return template.replace("{v}", form)
    name = f"v{len(form)}"
    return f"element_at(transform(array({form}), {name} -> {template.replace('{v}', name)}), 1)"


def _finite(form: str) -> str:
    return _bind(form, "CASE WHEN ({v}) - ({v}) = 0D THEN {v} END")


_SQL_TYPES = {"number": "DOUBLE", "boolean": "BOOLEAN", "text": "STRING", "time": "BIGINT"}


def _constant(node: Constant) -> str:
    value: Any = node.value
    if value is None:
        return f"CAST(NULL AS {_SQL_TYPES[node.type]})"
    if node.type == "number":
        return _number(value)
    if node.type == "time":
        return f"({int(value)}L)"
    return literal_text(value) if node.type == "text" else str(value).lower()


def _number(value: float) -> str:
    return f"({float(value)!r}D)"


_INSTANTS: dict[str, str] = {
    "timestamp": "unix_micros({c})",
    "date": f"(CAST(unix_date({{c}}) AS BIGINT) * {moments.DAY_US}L)",
    "timestamp_ntz": (
        f"(CAST(unix_date(CAST({{c}} AS DATE)) AS BIGINT) * {moments.DAY_US}L + hour({{c}}) * 3600000000L "
        "+ minute({c}) * 60000000L + CAST(extract(SECOND FROM {c}) * 1000000 AS BIGINT))"
    ),
}
"""Spark type -> microseconds since 1970, whatever the session's time zone."""


def instant(name: str, kind: str) -> str:
    """Writes a column of times as microseconds since 1970, a BIGINT.

    Args:
        name: The column.
        kind: Its Spark type: ``timestamp``, ``date`` or ``timestamp_ntz``, which is taken as UTC.
    """
    return _INSTANTS[kind].replace("{c}", quoted(name))


def _time_column(name: str, kind: str) -> str:
    first, last = moments.FIRST_US, moments.LAST_US
    held = f"CAST(CAST({instant(name, kind)} AS DOUBLE) AS BIGINT)"
    return _bind(held, f"CASE WHEN {{v}} BETWEEN {first}L AND {last + 32}L THEN least({{v}}, {last}L) END")


_COLUMNS: dict[str, Callable[[str], str]] = {
    "number": lambda column: _finite(f"CAST({column} AS DOUBLE)"),
    "boolean": lambda column: f"CAST({column} AS BOOLEAN)",
    "text": lambda column: f"CAST({column} AS STRING)",
}


def _infix(symbol: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"({forms[0]} {symbol} {forms[1]})"


def _function(name: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"{name}({', '.join(forms)})"


def _of_one(template: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: _bind(forms[0], template)


def _extreme(name: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"{name}({', '.join(forms)})" if len(forms) > 1 else forms[0]


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


def _whole(function: str, value: str) -> str:
    """Spark's floor and ceil give a BIGINT, which holds no large number; large numbers are whole."""
    return (
        f"CASE WHEN abs({value}) < {_WHOLE_FROM!r}D THEN CAST({function}({value}) AS DOUBLE) ELSE {value} END"
    )


def _divide(_call: Call, forms: list[str]) -> str:
    return _bind(forms[1], f"({forms[0]} / CASE WHEN {{v}} <> 0D THEN {{v}} END)")


def _modulo(_call: Call, forms: list[str]) -> str:
    left, right = forms
    if len(left) + len(right) > PLAIN_LENGTH // 4:
        pair = f"named_struct('a', {left}, 'b', {right})"
        name = f"v{len(pair)}"
        remainder = _remainder(f"{name}.a", f"{name}.b")
        return f"element_at(transform(array({pair}), {name} -> {remainder}), 1)"
    return _remainder(left, right)


def _remainder(left: str, right: str) -> str:
    quotient = f"({left} / {right})"
    truncated = f"signum({quotient}) * ({_whole('floor', f'abs({quotient})')})"
    return f"CASE WHEN {right} <> 0D THEN {left} - {right} * ({truncated}) END"


def _round(call: Call, forms: list[str]) -> str:
    digits = int(_literal(call.arguments[1]))
    scale = f"{10.0 ** abs(digits)!r}D"
    scaled = f"(abs({{v}}) {'*' if digits >= 0 else '/'} {scale})"
    whole = f"(floor({scaled}) + CASE WHEN {scaled} - floor({scaled}) >= 0.5D THEN 1 ELSE 0 END)"
    size = f"(CAST({whole} AS DOUBLE) {'/' if digits >= 0 else '*'} {scale})"
    return _bind(
        forms[0], f"CASE WHEN {scaled} < {_WHOLE_FROM!r}D THEN {size} * signum({{v}}) ELSE {{v}} END"
    )


def _in(call: Call, forms: list[str]) -> str:
    # A long list is looked up by its bits, in which the two zeros differ.
    if call.arguments[0].type == "number":
        forms = [f"({forms[0]} + 0D)", *(_number(_literal(node) + 0.0) for node in call.arguments[1:])]
    return f"({forms[0]} IN ({', '.join(forms[1:])}))"


def _case(_call: Call, forms: list[str]) -> str:
    pairs = zip(forms[:-1:2], forms[1:-1:2], strict=True)
    branches = " ".join(f"WHEN {condition} THEN {value}" for condition, value in pairs)
    return f"CASE {branches} ELSE {forms[-1]} END"


def _full_match(form: str, pattern: str) -> str:
    # Java's own dot, since a repeated group goes as deep as the text is long.
    plain = pattern.replace("(?s:.)", ".")
    return f"({form} RLIKE {literal_text(f'(?s)^(?:{plain})' + chr(92) + 'z')})"


def _to_number(call: Call, forms: list[str]) -> str:
    if call.arguments[0].type != "text":
        return f"CAST({forms[0]} AS DOUBLE)"
    return _bind(
        forms[0], f"CASE WHEN {_full_match('{v}', patterns.NUMBER)} THEN TRY_CAST({{v}} AS DOUBLE) END"
    )


def _to_boolean(call: Call, forms: list[str]) -> str:
    kind = call.arguments[0].type
    if kind == "text":
        true, false = (_full_match("{v}", word) for word in ("[tT][rR][uU][eE]", "[fF][aA][lL][sS][eE]"))
        return _bind(forms[0], f"CASE WHEN {true} THEN true WHEN {false} THEN false END")
    return f"({forms[0]} <> 0D)" if kind == "number" else forms[0]


def _group(pattern: str, place: int) -> str:
    return f"regexp_extract({{v}}, {literal_text(f'^(?:{pattern})$')}, {place})"


def _parse_number(call: Call, forms: list[str]) -> str:
    style = readings.number_style(str(_literal(call.arguments[1])))
    sign, digits, percent = (_group(style.pattern, place) for place in (1, 2, 3))
    if style.thousands:
        digits = f"replace({digits}, {literal_text(style.thousands)}, '')"
    number = f"TRY_CAST(replace({digits}, {literal_text(style.decimal)}, '.') AS DOUBLE)"
    hundredth = f"CASE WHEN {percent} = '%' THEN 100D ELSE 1D END"
    signed = f"CASE WHEN {sign} = '-' THEN -1D ELSE 1D END"
    held = _full_match("{v}", style.pattern)
    return _bind(forms[0], f"CASE WHEN {held} THEN {number} / {hundredth} * {signed} END")


def _parse_time(call: Call, forms: list[str]) -> str:
    form = str(_literal(call.arguments[1]))
    pattern, codes = readings.time_pattern(form), readings.codes_of(form)
    part = {code: _group(pattern, place) for place, code in enumerate(codes, 1)}
    months = "".join(readings.MONTHS)
    month = part.get("m") or f"CAST((instr('{months}', lower({part.get('b')})) + 2) div 3 AS STRING)"
    day = f"concat({part['Y']}, '-', lpad({month}, 2, '0'), '-', lpad({part['d']}, 2, '0'))"
    instant = f"CAST(unix_date(TRY_CAST({day} AS DATE)) AS BIGINT) * {moments.DAY_US}L"
    for code, unit in (("H", 3_600_000_000), ("M", 60_000_000), ("S", 1_000_000)):
        if code in part:
            instant += f" + CAST({part[code]} AS BIGINT) * {unit}L"
    if "z" in part:
        zone = part["z"]
        minutes = f"(CAST(substr({zone}, 2, 2) AS BIGINT) * 60 + CAST(right({zone}, 2) AS BIGINT))"
        instant += f" - CASE WHEN left({zone}, 1) = '-' THEN -1 ELSE 1 END * {minutes} * 60000000L"
    return _bind(forms[0], f"CASE WHEN {_full_match('{v}', pattern)} THEN {instant} END")


def _translated(pairs: tuple[str, str]) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"translate({forms[0]}, {literal_text(pairs[0])}, {literal_text(pairs[1])})"


def _substr(call: Call, forms: list[str]) -> str:
    start, length = (int(_literal(node)) for node in call.arguments[1:])
    return f"substr({forms[0]}, {start}, {length})"


def _like(call: Call, forms: list[str]) -> str:
    return _full_match(forms[0], patterns.of_like(_literal(call.arguments[1])))


_SHIFT = 800_000 * moments.DAY_US
"""Makes every time positive, so that whole division goes down for all."""


def _days(form: str) -> str:
    return f"(({form} + {_SHIFT}L) div {moments.DAY_US}L - 800000L)"


def _date(form: str) -> str:
    return f"date_from_unix_date(CAST({_days(form)} AS INT))"


def _of_date(template: str) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"CAST({template.replace('{d}', _date(forms[0]))} AS DOUBLE)"


def _of_clock(unit: int, count: int) -> Callable[[Call, list[str]], str]:
    return lambda _call, forms: f"CAST((({forms[0]} + {_SHIFT}L) div {unit}L) % {count}L AS DOUBLE)"


def _date_diff(call: Call, forms: list[str]) -> str:
    unit = str(_literal(call.arguments[0]))
    start, end = (_unit_index(form, unit) for form in forms[1:])
    return f"CAST({end} - {start} AS DOUBLE)"


def _unit_index(form: str, unit: str) -> str:
    if unit in moments.UNIT_US:
        return f"(({form} + {_SHIFT}L) div {moments.UNIT_US[unit]}L)"
    if unit == "week":
        return f"(({_days(form)} + 800000L + {(3 - 800_000) % 7}L) div 7L)"
    if unit == "year":
        return f"year({_date(form)})"
    count = {"month": 12, "quarter": 4}[unit]
    return _bind(_date(form), f"(year({{v}}) * {count} + {unit}({{v}}))")


_FORMS: dict[str, Callable[[Call, list[str]], str]] = {
    "add": _infix("+"),
    "subtract": _infix("-"),
    "multiply": _infix("*"),
    "divide": _divide,
    "modulo": _modulo,
    "negate": lambda _call, forms: f"(- {forms[0]})",
    "power": _function("power"),
    "abs": _function("abs"),
    "sqrt": _of_one("sqrt(CASE WHEN {v} >= 0D THEN {v} END)"),
    "ln": _of_one("ln(CASE WHEN {v} > 0D THEN {v} END)"),
    "log10": _of_one("log10(CASE WHEN {v} > 0D THEN {v} END)"),
    "exp": _function("exp"),
    "floor": _of_one(_whole("floor", "{v}")),
    "ceil": _of_one(_whole("ceil", "{v}")),
    "round": _round,
    "sign": _function("signum"),
    "sin": _of_one(f"sin(CASE WHEN abs({{v}}) <= {MAX_ANGLE}D THEN {{v}} END)"),
    "cos": _of_one(f"cos(CASE WHEN abs({{v}}) <= {MAX_ANGLE}D THEN {{v}} END)"),
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
    "least": _extreme("least"),
    "greatest": _extreme("greatest"),
    "to_number": _to_number,
    "to_integer": _function("rint"),
    "parse_number": _parse_number,
    "parse_time": _parse_time,
    "to_boolean": _to_boolean,
    "to_text": lambda _call, forms: f"CAST({forms[0]} AS STRING)",
    "lower": _translated(letters.lower_pairs()),
    "upper": _translated(letters.upper_pairs()),
    "trim": _function("trim"),
    "length": lambda _call, forms: f"CAST(length({forms[0]}) AS DOUBLE)",
    "substr": _substr,
    "concat": _function("concat"),
    "starts_with": _function("startswith"),
    "ends_with": _function("endswith"),
    "contains": _function("contains"),
    "like": _like,
    "year": _of_date("year({d})"),
    "quarter": _of_date("quarter({d})"),
    "month": _of_date("month({d})"),
    "day": _of_date("day({d})"),
    "hour": _of_clock(3_600_000_000, 24),
    "minute": _of_clock(60_000_000, 60),
    "second": _of_clock(1_000_000, 60),
    "dow": _of_date("(dayofweek({d}) - 1)"),
    "isodow": _of_date("(weekday({d}) + 1)"),
    "doy": _of_date("dayofyear({d})"),
    "epoch": lambda _call, forms: f"(CAST({forms[0]} AS DOUBLE) / 1000000D)",
    "date_diff": _date_diff,
}
