"""The operators that an expression may use, as data.

Each has one meaning, and four engines that agree on it. What is written in SQL but absent here is
put in terms of these when it is parsed: ``between``, ``nullif``, ``ifnull``, ``if``, ``is not null``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes:
        name: Its name in the tree.
        sql: How it is written.
        group: The heading under which the documentation lists it.
        takes: The type of each argument; a word that names several types stands for one of them, the
            same for all arguments.
        result: The type it gives, or ``same`` as its arguments.
        repeats: Whether the last argument may be repeated.
        fixed: How many of the last arguments must be written as literals.
        graph: Whether it has a form in the ONNX graph.
        no_graph: Argument types for which it has none all the same.
        note: What is worth knowing.
    """

    name: str
    sql: str
    group: str
    takes: tuple[str, ...]
    result: str
    repeats: bool = False
    fixed: int = 0
    graph: bool = True
    no_graph: tuple[str, ...] = ()
    note: str = ""


KINDS: dict[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "number": ("number",),
    "text": ("text",),
    "time": ("time",),
    "any": ("boolean", "number", "text", "time"),
    "ordered": ("number", "text", "time"),
    "size": ("number", "time"),
}
"""The types that a word in `Operator.takes` stands for."""

_N, _T, _B = "number", "text", "boolean"
_ARITHMETIC, _COMPARE, _LOGIC = "Arithmetic", "Comparison", "Logic"
_CHOICE, _MATHS, _TEXT, _TIME, _CAST = "Choice", "Functions of numbers", "Text", "Time", "Conversion"
_BY_CODE_POINT = "Letters are mapped one to one; ß stays."

_ROWS: tuple[Operator, ...] = (
    Operator("add", "a + b", _ARITHMETIC, (_N, _N), _N),
    Operator("subtract", "a - b", _ARITHMETIC, (_N, _N), _N),
    Operator("multiply", "a * b", _ARITHMETIC, (_N, _N), _N),
    Operator("divide", "a / b", _ARITHMETIC, (_N, _N), _N, note="Of integers too; null where b is 0."),
    Operator(
        "modulo",
        "a % b, mod(a, b)",
        _ARITHMETIC,
        (_N, _N),
        _N,
        note="a - b * trunc(a / b): has the sign of a.",
    ),
    Operator("negate", "-a", _ARITHMETIC, (_N,), _N),
    Operator("equal", "a = b", _COMPARE, ("any", "any"), _B),
    Operator("not_equal", "a <> b, a != b", _COMPARE, ("any", "any"), _B),
    Operator(
        "less", "a < b", _COMPARE, ("ordered", "ordered"), _B, no_graph=("text",), note="Text by code points."
    ),
    Operator("less_or_equal", "a <= b", _COMPARE, ("ordered", "ordered"), _B, no_graph=("text",)),
    Operator("greater", "a > b", _COMPARE, ("ordered", "ordered"), _B, no_graph=("text",)),
    Operator("greater_or_equal", "a >= b", _COMPARE, ("ordered", "ordered"), _B, no_graph=("text",)),
    Operator("in", "a in (1, 2), a not in ('x')", _COMPARE, ("any", "any"), _B, repeats=True),
    Operator("is_null", "a is null, a is not null", _COMPARE, ("any",), _B),
    Operator(
        "and", "a and b", _LOGIC, (_B, _B), _B, note="False where either is false, though the other is null."
    ),
    Operator(
        "or", "a or b", _LOGIC, (_B, _B), _B, note="True where either is true, though the other is null."
    ),
    Operator("not", "not a", _LOGIC, (_B,), _B),
    Operator(
        "case",
        "case when a then x else y end, case a when 1 then x end, if(a, x, y)",
        _CHOICE,
        (_B, "any"),
        "same",
    ),
    Operator("coalesce", "coalesce(a, b), ifnull(a, b)", _CHOICE, ("any",), "same", repeats=True),
    Operator("least", "least(a, b)", _CHOICE, ("size",), "same", repeats=True, note="Nulls are passed over."),
    Operator(
        "greatest", "greatest(a, b)", _CHOICE, ("size",), "same", repeats=True, note="Nulls are passed over."
    ),
    Operator("abs", "abs(a)", _MATHS, (_N,), _N),
    Operator("sqrt", "sqrt(a)", _MATHS, (_N,), _N, note="Null below 0."),
    Operator("ln", "ln(a)", _MATHS, (_N,), _N, note="Null at 0 and below."),
    Operator("log10", "log10(a), log(a)", _MATHS, (_N,), _N, note="Null at 0 and below."),
    Operator("exp", "exp(a)", _MATHS, (_N,), _N),
    Operator("power", "power(a, b), a ** b", _MATHS, (_N, _N), _N, note="Null where it has no finite value."),
    Operator("floor", "floor(a)", _MATHS, (_N,), _N),
    Operator("ceil", "ceil(a)", _MATHS, (_N,), _N),
    Operator("round", "round(a), round(a, 2)", _MATHS, (_N, _N), _N, fixed=1, note="Halves away from zero."),
    Operator("sign", "sign(a)", _MATHS, (_N,), _N),
    Operator("sin", "sin(a)", _MATHS, (_N,), _N, note="Null beyond 1e9, where it means nothing."),
    Operator("cos", "cos(a)", _MATHS, (_N,), _N, note="Null beyond 1e9, where it means nothing."),
    Operator(
        "to_number",
        "cast(a as double)",
        _CAST,
        ("any",),
        _N,
        no_graph=("time",),
        note="Null where text is no plain number.",
    ),
    Operator("to_integer", "cast(a as integer)", _CAST, (_N,), _N, note="To the nearest; halves to even."),
    Operator(
        "to_boolean",
        "cast(a as boolean)",
        _CAST,
        ("any",),
        _B,
        no_graph=("time",),
        note="Of text: true, false, in any case.",
    ),
    Operator(
        "parse_number",
        "parse_number(a, '1,234.5')",
        _CAST,
        (_T, _T),
        _N,
        fixed=1,
        note="Text in the style of the example, with a sign, a currency or % (a hundredth); else null.",
    ),
    Operator(
        "parse_time",
        "parse_time(a, '%d/%m/%Y')",
        _CAST,
        (_T, _T),
        "time",
        fixed=1,
        graph=False,
        note="Codes are %Y %m %d %H %M %S %b %z; null where text has another form.",
    ),
    Operator("to_text", "cast(a as text)", _CAST, (_B,), _T, note="Of a boolean; a number has no one text."),
    Operator("lower", "lower(a)", _TEXT, (_T,), _T, graph=False, note=_BY_CODE_POINT),
    Operator("upper", "upper(a)", _TEXT, (_T,), _T, graph=False, note=_BY_CODE_POINT),
    Operator("trim", "trim(a)", _TEXT, (_T,), _T, graph=False, note="Takes spaces away at both ends."),
    Operator("length", "length(a)", _TEXT, (_T,), _N, graph=False, note="In code points."),
    Operator(
        "substr",
        "substr(a, 1, 3)",
        _TEXT,
        (_T, _N, _N),
        _T,
        fixed=2,
        graph=False,
        note="Starts at 1; both numbers literal.",
    ),
    Operator(
        "concat",
        "a || b, concat(a, b)",
        _TEXT,
        (_T, _T),
        _T,
        note="concat() passes nulls over, || gives null.",
    ),
    Operator("starts_with", "starts_with(a, 'x')", _TEXT, (_T, _T), _B, fixed=1),
    Operator("ends_with", "ends_with(a, 'x'), suffix(a, 'x')", _TEXT, (_T, _T), _B, fixed=1),
    Operator("contains", "contains(a, 'x')", _TEXT, (_T, _T), _B, fixed=1),
    Operator(
        "like",
        "a like 'x%', a not like '_x', a ilike 'x'",
        _TEXT,
        (_T, _T),
        _B,
        fixed=1,
        note="% is any text, _ one code point.",
    ),
    Operator("year", "year(t), extract(year from t)", _TIME, ("time",), _N),
    Operator("quarter", "quarter(t)", _TIME, ("time",), _N),
    Operator("month", "month(t)", _TIME, ("time",), _N),
    Operator("day", "day(t)", _TIME, ("time",), _N),
    Operator("hour", "hour(t)", _TIME, ("time",), _N),
    Operator("minute", "minute(t)", _TIME, ("time",), _N),
    Operator("second", "second(t)", _TIME, ("time",), _N, note="Whole seconds, 0 to 59."),
    Operator("dow", "dayofweek(t), extract(dow from t)", _TIME, ("time",), _N, note="Sunday is 0."),
    Operator("isodow", "isodow(t)", _TIME, ("time",), _N, note="Monday is 1, Sunday 7."),
    Operator("doy", "dayofyear(t), extract(doy from t)", _TIME, ("time",), _N),
    Operator("epoch", "epoch(t)", _TIME, ("time",), _N, note="Seconds since 1970, with fractions."),
    Operator(
        "date_diff",
        "date_diff('day', a, b)",
        _TIME,
        (_T, "time", "time"),
        _N,
        note="Boundaries crossed from a to b.",
    ),
)

OPERATORS: dict[str, Operator] = {operator.name: operator for operator in _ROWS}
"""Every operator by its name."""

DATE_UNITS: tuple[str, ...] = ("second", "minute", "hour", "day", "week", "month", "quarter", "year")
"""The units of ``date_diff``."""
