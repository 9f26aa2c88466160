"""An expression for Polars.

A number is Float64 without NaN and infinity, a time is Int64 microseconds, until the result leaves.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from everloop.table.expression import letters, moments, patterns, readings
from everloop.table.expression.row_form import MAX_ANGLE
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node

if TYPE_CHECKING:
    import polars as pl

PLAIN_NODES = 12
"""Up to this size a repeated part is written out; a larger one is computed once."""

_CARRIES = frozenset({"add", "subtract", "multiply", "negate", "abs"})
"""Operators through which what is not finite always comes out as not finite."""


def to_polars(expression: Expression) -> pl.Expr:
    """Gives the expression for Polars; its result is Float64, Boolean, String or a time in UTC."""
    import polars as pl

    form = _form(expression.tree)
    if expression.type == "time":
        return form.cast(pl.Datetime("us")).dt.replace_time_zone("UTC")
    return form


def _form(node: Node) -> pl.Expr:
    form = _loose(node)
    return _finite(form, node) if _is_loose(node) else form


def _loose(node: Node) -> pl.Expr:
    """Gives a form that may hold infinity or NaN where the value is null."""
    if isinstance(node, Constant):
        return _constant(node)
    if isinstance(node, ColumnRef):
        return _COLUMNS[node.type](node)
    inner = _loose if node.operator in _CARRIES else _form
    form: pl.Expr = _FORMS[node.operator](node, [inner(argument) for argument in node.arguments])
    return form


def _is_loose(node: Node) -> bool:
    if not isinstance(node, Call):
        return False
    if node.operator in _MAY_OVERFLOW:
        return True
    return node.operator in _CARRIES and any(map(_is_loose, node.arguments))


def _size(node: Node) -> int:
    return 1 + sum(map(_size, node.arguments)) if isinstance(node, Call) else 1


def _keep(form: pl.Expr, node: Node, keeps: Callable[[Any], Any]) -> pl.Expr:
    """Keeps a value where a condition on it holds, and gives null elsewhere."""
    import polars as pl

    if _size(node) <= PLAIN_NODES:
        return pl.when(keeps(form)).then(form)

    def once(series: pl.Series) -> pl.Series:
        held = pl.col("v")
        return series.to_frame("v").select(pl.when(keeps(held)).then(held)).to_series()

    return form.map_batches(once, return_dtype=pl.Float64, is_elementwise=True)


def _finite(form: pl.Expr, node: Node) -> pl.Expr:
    return _keep(form, node, lambda value: value.is_finite())


def _constant(node: Constant) -> pl.Expr:
    import polars as pl

    kinds: dict[str, Any] = {"number": pl.Float64, "boolean": pl.Boolean, "text": pl.String, "time": pl.Int64}
    value: Any = node.value
    if value is not None and node.type == "time":
        value = int(value)
    return pl.lit(value, dtype=kinds[node.type])


def _number_column(node: ColumnRef) -> pl.Expr:
    import polars as pl

    return _finite(pl.col(node.name).cast(pl.Float64), node)


def _boolean_column(node: ColumnRef) -> pl.Expr:
    import polars as pl

    return pl.col(node.name).cast(pl.Boolean)


def _text_column(node: ColumnRef) -> pl.Expr:
    import polars as pl

    return pl.col(node.name).cast(pl.String)


def _time_column(node: ColumnRef) -> pl.Expr:
    import polars as pl

    held = pl.col(node.name).dt.epoch("us").cast(pl.Float64)
    kept = pl.when(held.is_between(moments.FIRST_US, moments.LAST_US + 32)).then(held)
    return kept.cast(pl.Int64).clip(upper_bound=moments.LAST_US)


_COLUMNS: dict[str, Callable[[ColumnRef], pl.Expr]] = {
    "number": _number_column,
    "boolean": _boolean_column,
    "text": _text_column,
    "time": _time_column,
}


def _divide(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    divisor = _literal(call.arguments[1])
    return forms[0] / forms[1] if divisor is None else _quotient(forms[0], divisor)


def _quotient(form: pl.Expr, divisor: float) -> pl.Expr:
    """Divides by a number; Polars would multiply by its reciprocal, which rounds twice."""
    return form / (form * 0.0 + divisor)


def _modulo(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    if _size(call) <= PLAIN_NODES // 2:
        return _remainder(*forms)

    def once(series: pl.Series) -> pl.Series:
        return series.struct.unnest().select(_remainder(pl.col("a"), pl.col("b"))).to_series()

    pair = pl.struct(forms[0].alias("a"), forms[1].alias("b"))
    return pair.map_batches(once, return_dtype=pl.Float64, is_elementwise=True)


def _remainder(left: pl.Expr, right: pl.Expr) -> pl.Expr:
    return left - right * _truncated(left / right)


def _truncated(quotient: pl.Expr) -> pl.Expr:
    return quotient.sign() * quotient.abs().floor()


def _guarded(
    function: Callable[[pl.Expr], pl.Expr], within: Callable[[Any], Any]
) -> Callable[[Call, list[pl.Expr]], pl.Expr]:
    return lambda call, forms: function(_keep(forms[0], call, within))


def _round(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    digits = int(_literal(call.arguments[1]))
    scale = 10.0 ** abs(digits)

    def rounded(value: pl.Expr) -> pl.Expr:
        size = value.abs()
        scaled = size * scale if digits >= 0 else _quotient(size, scale)
        whole = scaled.floor()
        whole = whole + (scaled - whole >= 0.5).cast(pl.Float64)
        size = _quotient(whole, scale) if digits >= 0 else whole * scale
        return pl.when(scaled < 2.0**52).then(size * value.sign()).otherwise(value)

    return _bound(forms[0], call, rounded)


def _bound(form: pl.Expr, node: Node, function: Callable[[pl.Expr], pl.Expr]) -> pl.Expr:
    import polars as pl

    if _size(node) <= PLAIN_NODES // 2:
        return function(form)
    return form.map_batches(
        lambda series: series.to_frame("v").select(function(pl.col("v"))).to_series(),
        return_dtype=pl.Float64,
        is_elementwise=True,
    )


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


def _in(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    values = [int(_literal(node)) if node.type == "time" else _literal(node) for node in call.arguments[1:]]
    return forms[0].is_in(values)


def _case(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    result = forms[-1]
    for condition, value in reversed(list(zip(forms[:-1:2], forms[1:-1:2], strict=True))):
        result = pl.when(condition).then(value).otherwise(result)
    return result


def _coalesce(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return pl.coalesce(forms)


def _least(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return pl.min_horizontal(forms)


def _greatest(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return pl.max_horizontal(forms)


def _to_number(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    if call.arguments[0].type == "text":
        number = forms[0].str.extract(f"^({patterns.NUMBER})$", 1)
        return number.str.strip_prefix("+").cast(pl.Float64, strict=False)
    return forms[0].cast(pl.Float64)


def _parse_number(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    style = readings.number_style(str(_literal(call.arguments[1])))
    sign, digits, percent = (forms[0].str.extract(f"^{style.pattern}$", group) for group in (1, 2, 3))
    plain = digits.str.replace_all(style.thousands, "", literal=True) if style.thousands else digits
    number = plain.str.replace(style.decimal, ".", literal=True).cast(pl.Float64, strict=False)
    number = number / pl.when(percent.is_not_null()).then(100.0).otherwise(1.0)
    return pl.when(sign == "-").then(-number).otherwise(number)


def _parse_time(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    form = str(_literal(call.arguments[1]))
    held = pl.when(forms[0].str.contains(f"^{readings.time_pattern(form)}$")).then(forms[0])
    zone = "UTC" if "z" in readings.codes_of(form) else None
    if not set("HMS") & set(readings.codes_of(form)):
        days = held.str.strptime(pl.Date, form, strict=False)
        return days.cast(pl.Datetime("us")).dt.epoch("us")
    return held.str.strptime(pl.Datetime("us", zone), form, strict=False).dt.epoch("us")


def _to_integer(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    return forms[0].round(0, mode="half_to_even")


def _to_boolean(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    if call.arguments[0].type == "text":
        word = forms[0].str.extract("^(?i-u)(true|false)$", 1).str.to_lowercase()
        return word == pl.lit("true")
    return forms[0] != 0.0 if call.arguments[0].type == "number" else forms[0]


def _to_text(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return pl.when(forms[0]).then(pl.lit("true")).when(forms[0].not_()).then(pl.lit("false"))


def _translated(pairs: tuple[str, str]) -> Callable[[Call, list[pl.Expr]], pl.Expr]:
    return lambda _call, forms: forms[0].str.replace_many(list(pairs[0]), list(pairs[1]))


def _substr(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    start, length = (int(_literal(node)) for node in call.arguments[1:])
    return forms[0].str.slice(start - 1, length)


def _concat(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return pl.concat_str(forms)


def _matches(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    text = _literal(call.arguments[1])
    if call.operator == "contains":
        return forms[0].str.contains(pl.lit(text), literal=True)
    if call.operator == "starts_with":
        return forms[0].str.starts_with(text)
    if call.operator == "ends_with":
        return forms[0].str.ends_with(text)
    return forms[0].str.contains(f"^(?:{patterns.of_like(text)})$")


def _part(name: str) -> Callable[[Call, list[pl.Expr]], pl.Expr]:
    def make(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
        import polars as pl

        part: pl.Expr = getattr(forms[0].cast(pl.Datetime("us")).dt, name)()
        return part.cast(pl.Float64)

    return make


def _dow(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    return _part("weekday")(call, forms) % 7.0


def _epoch(_call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    return _quotient(forms[0].cast(pl.Float64), 1e6)


def _date_diff(call: Call, forms: list[pl.Expr]) -> pl.Expr:
    import polars as pl

    unit = str(_literal(call.arguments[0]))
    start, end = (_unit_index(form, unit) for form in forms[1:])
    return (end - start).cast(pl.Float64)


def _unit_index(form: pl.Expr, unit: str) -> pl.Expr:
    import polars as pl

    if unit in moments.UNIT_US:
        return form // moments.UNIT_US[unit]
    if unit == "week":
        return (form // moments.DAY_US + 3) // 7
    part = form.cast(pl.Datetime("us")).dt
    year = part.year().cast(pl.Int64)
    if unit == "month":
        return year * 12 + part.month().cast(pl.Int64)
    if unit == "quarter":
        return year * 4 + part.quarter().cast(pl.Int64)
    return year


_MAY_OVERFLOW = frozenset({"add", "subtract", "multiply", "divide", "modulo", "exp", "power"})

_FORMS: dict[str, Callable[[Call, list[Any]], Any]] = {
    "add": lambda _call, forms: forms[0] + forms[1],
    "subtract": lambda _call, forms: forms[0] - forms[1],
    "multiply": lambda _call, forms: forms[0] * forms[1],
    "divide": _divide,
    "modulo": _modulo,
    "negate": lambda _call, forms: -forms[0],
    "power": lambda _call, forms: forms[0].pow(forms[1]),
    "abs": lambda _call, forms: forms[0].abs(),
    "sqrt": _guarded(lambda value: value.sqrt(), lambda value: value >= 0),
    "ln": _guarded(lambda value: value.log(math.e), lambda value: value > 0),
    "log10": _guarded(lambda value: value.log10(), lambda value: value > 0),
    "exp": lambda _call, forms: forms[0].exp(),
    "floor": lambda _call, forms: forms[0].floor(),
    "ceil": lambda _call, forms: forms[0].ceil(),
    "round": _round,
    "sign": lambda _call, forms: forms[0].sign(),
    "sin": _guarded(lambda value: value.sin(), lambda value: value.abs() <= MAX_ANGLE),
    "cos": _guarded(lambda value: value.cos(), lambda value: value.abs() <= MAX_ANGLE),
    "equal": lambda _call, forms: forms[0] == forms[1],
    "not_equal": lambda _call, forms: forms[0] != forms[1],
    "less": lambda _call, forms: forms[0] < forms[1],
    "less_or_equal": lambda _call, forms: forms[0] <= forms[1],
    "greater": lambda _call, forms: forms[0] > forms[1],
    "greater_or_equal": lambda _call, forms: forms[0] >= forms[1],
    "in": _in,
    "is_null": lambda _call, forms: forms[0].is_null(),
    "and": lambda _call, forms: forms[0] & forms[1],
    "or": lambda _call, forms: forms[0] | forms[1],
    "not": lambda _call, forms: forms[0].not_(),
    "case": _case,
    "coalesce": _coalesce,
    "least": _least,
    "greatest": _greatest,
    "to_number": _to_number,
    "to_integer": _to_integer,
    "parse_number": _parse_number,
    "parse_time": _parse_time,
    "to_boolean": _to_boolean,
    "to_text": _to_text,
    "lower": _translated(letters.lower_pairs()),
    "upper": _translated(letters.upper_pairs()),
    "trim": lambda _call, forms: forms[0].str.strip_chars(" "),
    "length": lambda _call, forms: forms[0].str.len_chars().cast(float),
    "substr": _substr,
    "concat": _concat,
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
    "dow": _dow,
    "isodow": _part("weekday"),
    "doy": _part("ordinal_day"),
    "epoch": _epoch,
    "date_diff": _date_diff,
}
