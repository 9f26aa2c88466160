"""An expression inside an ONNX graph, in double precision.

Every value is a column (n, 1). Numbers, booleans (1 and 0) and times (microseconds since 1970, UTC)
are doubles in which NaN is null; text is text in which `MISSING_TEXT` is null.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from everloop.core.errors import SpecFault
from everloop.table.expression import moments, patterns, readings
from everloop.table.expression.building import graph_gaps
from everloop.table.expression.row_form import MAX_ANGLE
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node

MISSING_TEXT = "\0"
"""What stands for null in a text column of the graph."""

NAN = math.nan


class Graph(Protocol):
    """What an expression needs of the graph that it is added to."""

    def constant(self, value: npt.ArrayLike) -> str:
        """Adds a constant and gives its name."""

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Adds an operator and gives the name of its output."""

    def cast(self, value: str, type_name: str) -> str:
        """Adds a conversion to ``double``, ``integer``, ``boolean`` or ``text``."""


def to_onnx(expression: Expression, graph: Graph, columns: Mapping[str, str] | None = None) -> str:
    """Adds the expression to a graph.

    Args:
        expression: What is computed; `graph_gaps` has to be empty for its tree.
        graph: The graph, with its inputs.
        columns: From a column's name to the name of its value in the graph, where they differ.

    Returns:
        The name of the result, (n, 1), in the representation of this module.

    Raises:
        SpecFault: The expression uses an operator that has no form in the graph.
    """
    gaps = graph_gaps(expression.tree)
    if gaps:
        raise SpecFault(f"{', '.join(gaps)} has no form in the ONNX graph. In: {expression.sql}")
    return _Writer(graph, columns or {}).form(expression.tree)


class _Writer:
    """Adds nodes; every method takes and gives names of values."""

    def __init__(self, graph: Graph, columns: Mapping[str, str]) -> None:
        self.graph = graph
        self.columns = columns

    def form(self, node: Node) -> str:
        if isinstance(node, Constant):
            return self.constant(node)
        if isinstance(node, ColumnRef):
            return self.column(node)
        forms = [self.form(argument) for argument in node.arguments]
        return _FORMS[node.operator](self, node, forms)

    def constant(self, node: Constant) -> str:
        if node.type == "text":
            return self.text(MISSING_TEXT if node.value is None else str(node.value))
        return self.double(NAN if node.value is None else float(node.value))

    def column(self, node: ColumnRef) -> str:
        name = self.columns.get(node.name, node.name)
        if node.type == "number":
            return self.finite(name)
        if node.type == "time":
            first, last = self.double(moments.FIRST_US), self.double(moments.LAST_US + 32)
            within = self.op(
                "And", self.op("GreaterOrEqual", name, first), self.op("LessOrEqual", name, last)
            )
            return self.where(within, self.op("Min", name, self.double(moments.LAST_US)), self.double(NAN))
        return name

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.node(operator, *inputs, **attributes)

    def double(self, value: float) -> str:
        return self.graph.constant(np.array([[value]], dtype=np.float64))

    def integer(self, value: int) -> str:
        return self.graph.constant(np.array([[value]], dtype=np.int64))

    def text(self, value: str) -> str:
        return self.graph.constant(np.array([[value]], dtype=object))

    def where(self, condition: str, yes: str, no: str) -> str:
        return self.op("Where", condition, yes, no)

    def finite(self, value: str) -> str:
        """What is infinite becomes NaN: its difference from itself is."""
        return self.op("Add", value, self.op("Sub", value, value))

    def is_null(self, value: str, kind: str) -> str:
        return self.op("Equal", value, self.text(MISSING_TEXT)) if kind == "text" else self.op("IsNaN", value)

    def as_number(self, condition: str) -> str:
        return self.graph.cast(condition, "double")

    def pieces(self, text: str, letter: str, times: int) -> list[str]:
        """Splits text at a literal; gives `times` + 1 pieces, empty ones where there are fewer."""
        parts = self.op("StringSplit", text, delimiter=letter, maxsplit=times)
        rows = self.op("Shape", text)
        blank = self.graph.constant(np.array([""] * (times + 1), dtype=object))
        width = self.graph.constant(np.array([times + 1], dtype=np.int64))
        padding = self.op("Expand", blank, self.op("Concat", rows, width, axis=0))
        padded = self.op("Concat", parts, padding, axis=2)
        places = (self.graph.constant(np.array(place, dtype=np.int64)) for place in range(times + 1))
        return [self.op("Gather", padded, place, axis=2) for place in places]

    def without(self, text: str, letter: str, times: int) -> str:
        """Takes a literal away wherever it stands."""
        first, *rest = self.pieces(text, letter, times)
        for piece in rest:
            first = self.op("StringConcat", first, piece)
        return first

    def unless(self, nothing: str, condition: str) -> str:
        """A condition as 1 and 0, NaN where something is null."""
        return self.where(nothing, self.double(NAN), self.as_number(condition))

    def is_one(self, value: str) -> str:
        return self.op("Equal", value, self.double(1.0))

    def is_zero(self, value: str) -> str:
        return self.op("Equal", value, self.double(0.0))

    def days(self, time: str) -> tuple[str, str]:
        """Whole days since 1970 and which of them are null, as integers and booleans."""
        return self.whole(time, moments.DAY_US), self.op("IsNaN", time)

    def whole(self, time: str, unit: int) -> str:
        """How many whole units have passed since 1970, as an integer; 0 where the time is null."""
        held = self.where(self.op("IsNaN", time), self.double(0.0), time)
        shift = 800_000 * moments.DAY_US
        moved = self.op("Add", self.graph.cast(held, "integer"), self.integer(shift))
        return self.op("Sub", self.op("Div", moved, self.integer(unit)), self.integer(shift // unit))

    def calc(self, left: str, *steps: tuple[str, int]) -> str:
        """Applies integer operators with constant right sides, one after another."""
        for operator, right in steps:
            left = self.op(operator, left, self.integer(right))
        return left

    def given(self, nothing: str, whole: str) -> str:
        return self.where(nothing, self.double(NAN), self.graph.cast(whole, "double"))

    def civil(self, days: str) -> tuple[str, str, str]:
        """Year, month and day of days since 1970 (Hinnant, "chrono-compatible low-level date algorithms")."""
        shifted = self.calc(days, ("Add", 719_468))
        era = self.calc(shifted, ("Div", 146_097))
        of_era = self.op("Sub", shifted, self.calc(era, ("Mul", 146_097)))
        leap = self.op("Sub", of_era, self.calc(of_era, ("Div", 1460)))
        leap = self.op("Add", leap, self.calc(of_era, ("Div", 36_524)))
        leap = self.op("Sub", leap, self.calc(of_era, ("Div", 146_096)))
        year_of_era = self.calc(leap, ("Div", 365))
        passed = self.op("Add", self.calc(year_of_era, ("Mul", 365)), self.calc(year_of_era, ("Div", 4)))
        passed = self.op("Sub", passed, self.calc(year_of_era, ("Div", 100)))
        of_year = self.op("Sub", of_era, passed)
        shifted_month = self.calc(of_year, ("Mul", 5), ("Add", 2), ("Div", 153))
        before = self.calc(shifted_month, ("Mul", 153), ("Add", 2), ("Div", 5))
        day = self.calc(self.op("Sub", of_year, before), ("Add", 1))
        late = self.op("Less", shifted_month, self.integer(10))
        month = self.where(late, self.calc(shifted_month, ("Add", 3)), self.calc(shifted_month, ("Sub", 9)))
        year = self.op("Add", year_of_era, self.calc(era, ("Mul", 400)))
        january = self.graph.cast(self.op("LessOrEqual", month, self.integer(2)), "integer")
        return self.op("Add", year, january), month, day


def _arithmetic(operator: str) -> Callable[[_Writer, Call, list[str]], str]:
    return lambda w, _call, forms: w.finite(w.op(operator, *forms))


def _unary(operator: str) -> Callable[[_Writer, Call, list[str]], str]:
    return lambda w, _call, forms: w.op(operator, forms[0])


def _modulo(w: _Writer, _call: Call, forms: list[str]) -> str:
    left, right = forms
    quotient = w.op("Div", left, right)
    whole = w.op("Mul", w.op("Sign", quotient), w.op("Floor", w.op("Abs", quotient)))
    return w.finite(w.op("Sub", left, w.op("Mul", right, whole)))


def _power(w: _Writer, call: Call, forms: list[str]) -> str:
    # NaN to the power of 0, and 1 to the power of NaN, would be 1.
    return w.where(_nothing(w, call, forms), w.double(NAN), w.finite(w.op("Pow", *forms)))


def _round(w: _Writer, call: Call, forms: list[str]) -> str:
    digits = int(_literal(call.arguments[1]))
    scale = w.double(10.0 ** abs(digits))
    value = forms[0]
    up, down = ("Mul", "Div") if digits >= 0 else ("Div", "Mul")
    scaled = w.op(up, w.op("Abs", value), scale)
    whole = w.op("Floor", scaled)
    half = w.as_number(w.op("GreaterOrEqual", w.op("Sub", scaled, whole), w.double(0.5)))
    size = w.op(down, w.op("Add", whole, half), scale)
    small = w.op("Less", scaled, w.double(2.0**52))
    return w.where(small, w.op("Mul", size, w.op("Sign", value)), value)


def _within(operator: str) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        held = w.op("LessOrEqual", w.op("Abs", forms[0]), w.double(MAX_ANGLE))
        return w.where(held, w.op(operator, w.where(held, forms[0], w.double(0.0))), w.double(NAN))

    return make


def _logarithm(factor: float) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        log = w.finite(w.op("Log", forms[0]))
        return log if factor == 1.0 else w.op("Mul", log, w.double(factor))

    return make


def _nothing(w: _Writer, call: Call, forms: list[str]) -> str:
    left, right = (w.is_null(form, node.type) for form, node in zip(forms, call.arguments, strict=True))
    return w.op("Or", left, right)


def _compare(operator: str, *, negated: bool = False) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, call: Call, forms: list[str]) -> str:
        held = w.op(operator, *forms)
        return w.unless(_nothing(w, call, forms), w.op("Not", held) if negated else held)

    return make


def _and(w: _Writer, _call: Call, forms: list[str]) -> str:
    either = w.op("Or", w.is_zero(forms[0]), w.is_zero(forms[1]))
    return w.where(either, w.double(0.0), w.op("Mul", *forms))


def _or(w: _Writer, _call: Call, forms: list[str]) -> str:
    either = w.op("Or", w.is_one(forms[0]), w.is_one(forms[1]))
    return w.where(either, w.double(1.0), w.op("Add", *forms))


def _not(w: _Writer, _call: Call, forms: list[str]) -> str:
    return w.op("Sub", w.double(1.0), forms[0])


def _is_null(w: _Writer, call: Call, forms: list[str]) -> str:
    return w.as_number(w.is_null(forms[0], call.arguments[0].type))


def _in(w: _Writer, call: Call, forms: list[str]) -> str:
    value, kind = forms[0], call.arguments[0].type
    if kind == "text":
        texts = list(dict.fromkeys(str(_literal(node)) for node in call.arguments[1:]))
        return w.graph.node(
            "LabelEncoder",
            value,
            domain="ai.onnx.ml",
            keys_strings=[*texts, MISSING_TEXT],
            values_floats=[*[1.0] * len(texts), NAN],
            default_float=0.0,
        )
    held = w.op("Equal", value, forms[1])
    for choice in forms[2:]:
        held = w.op("Or", held, w.op("Equal", value, choice))
    return w.unless(w.is_null(value, kind), held)


def _in_double(w: _Writer, call: Call, forms: list[str]) -> str:
    form = _in(w, call, forms)
    return w.graph.cast(form, "double") if call.arguments[0].type == "text" else form


def _case(w: _Writer, _call: Call, forms: list[str]) -> str:
    result = forms[-1]
    for condition, value in reversed(list(zip(forms[:-1:2], forms[1:-1:2], strict=True))):
        result = w.where(w.is_one(condition), value, result)
    return result


def _coalesce(w: _Writer, call: Call, forms: list[str]) -> str:
    result = forms[-1]
    for form in reversed(forms[:-1]):
        result = w.where(w.is_null(form, call.type), result, form)
    return result


def _extreme(operator: str) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        result = forms[0]
        for form in forms[1:]:
            better = w.op("Or", w.op(operator, form, result), w.op("IsNaN", result))
            result = w.where(w.op("And", better, w.op("Not", w.op("IsNaN", form))), form, result)
        return result

    return make


def _to_number(w: _Writer, call: Call, forms: list[str]) -> str:
    if call.arguments[0].type != "text":
        return forms[0]
    plain = w.op("RegexFullMatch", forms[0], pattern=patterns.NUMBER)
    number = w.graph.cast(w.where(plain, forms[0], w.text("0")), "double")
    return w.where(plain, number, w.double(NAN))


def _parse_number(w: _Writer, call: Call, forms: list[str]) -> str:
    """Takes away, one after another, all that is no part of a plain number."""
    style = readings.number_style(str(_literal(call.arguments[1])))
    held = w.op("RegexFullMatch", forms[0], pattern=style.pattern)
    text = w.where(held, forms[0], w.text("0"))
    percent = w.op("RegexFullMatch", text, pattern="[^%]*%[^%]*")
    for letter, times in style.ornaments:
        text = w.without(text, letter, times)
    point = w.op("RegexFullMatch", text, pattern=f"(?s:.)*{patterns.quote(style.decimal)}(?s:.)*")
    whole, fraction = w.pieces(text, style.decimal, 1)
    middle = w.where(point, w.text("."), w.text(""))
    number = w.graph.cast(w.op("StringConcat", w.op("StringConcat", whole, middle), fraction), "double")
    number = w.where(percent, w.op("Div", number, w.double(100.0)), number)
    return w.where(held, number, w.double(NAN))


def _to_boolean(w: _Writer, call: Call, forms: list[str]) -> str:
    kind = call.arguments[0].type
    if kind == "text":
        true = w.op("RegexFullMatch", forms[0], pattern="[tT][rR][uU][eE]")
        false = w.op("RegexFullMatch", forms[0], pattern="[fF][aA][lL][sS][eE]")
        return w.where(true, w.double(1.0), w.where(false, w.double(0.0), w.double(NAN)))
    if kind == "number":
        return w.unless(w.op("IsNaN", forms[0]), w.op("Not", w.is_zero(forms[0])))
    return forms[0]


def _to_text(w: _Writer, _call: Call, forms: list[str]) -> str:
    no = w.where(w.is_zero(forms[0]), w.text("false"), w.text(MISSING_TEXT))
    return w.where(w.is_one(forms[0]), w.text("true"), no)


def _concat(w: _Writer, call: Call, forms: list[str]) -> str:
    return w.where(_nothing(w, call, forms), w.text(MISSING_TEXT), w.op("StringConcat", *forms))


def _matches(w: _Writer, call: Call, forms: list[str]) -> str:
    pattern = patterns.regex_of(call.operator, str(_literal(call.arguments[1])))
    return w.unless(w.is_null(forms[0], "text"), w.op("RegexFullMatch", forms[0], pattern=pattern))


def _civil_part(index: int) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        days, nothing = w.days(forms[0])
        return w.given(nothing, w.civil(days)[index])

    return make


def _quarter(w: _Writer, _call: Call, forms: list[str]) -> str:
    days, nothing = w.days(forms[0])
    return w.given(nothing, w.calc(w.civil(days)[1], ("Add", 2), ("Div", 3)))


def _doy(w: _Writer, _call: Call, forms: list[str]) -> str:
    days, nothing = w.days(forms[0])
    past = w.calc(w.civil(days)[0], ("Sub", 1))
    first = w.op("Add", w.calc(past, ("Mul", 365)), w.calc(past, ("Div", 4)))
    first = w.op("Sub", first, w.calc(past, ("Div", 100)))
    first = w.op("Add", first, w.calc(past, ("Div", 400)))
    return w.given(nothing, w.calc(w.op("Sub", days, first), ("Add", 719_163)))


def _of_day(unit: int, count: int) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        return w.given(w.op("IsNaN", forms[0]), w.calc(w.whole(forms[0], unit), ("Mod", count)))

    return make


def _weekday(shift: int, start: int) -> Callable[[_Writer, Call, list[str]], str]:
    def make(w: _Writer, _call: Call, forms: list[str]) -> str:
        days, nothing = w.days(forms[0])
        return w.given(nothing, w.calc(days, ("Add", shift), ("Mod", 7), ("Add", start)))

    return make


def _epoch(w: _Writer, _call: Call, forms: list[str]) -> str:
    return w.op("Div", forms[0], w.double(1e6))


def _date_diff(w: _Writer, call: Call, forms: list[str]) -> str:
    unit = str(_literal(call.arguments[0]))
    start, end = (_unit_index(w, form, unit) for form in forms[1:])
    nothing = w.op("Or", w.op("IsNaN", forms[1]), w.op("IsNaN", forms[2]))
    return w.given(nothing, w.op("Sub", end, start))


def _unit_index(w: _Writer, time: str, unit: str) -> str:
    if unit in moments.UNIT_US:
        return w.whole(time, moments.UNIT_US[unit])
    days, _ = w.days(time)
    if unit == "week":
        # 700,000 weeks are added, so that whole division goes down for all.
        return w.calc(days, ("Add", 3 + 4_900_000), ("Div", 7))
    year, month, _ = w.civil(days)
    if unit == "year":
        return year
    if unit == "month":
        return w.op("Add", w.calc(year, ("Mul", 12)), month)
    return w.op("Add", w.calc(year, ("Mul", 4)), w.calc(month, ("Add", 2), ("Div", 3)))


def _literal(node: Node) -> Any:
    return node.value if isinstance(node, Constant) else None


_FORMS: dict[str, Callable[[_Writer, Call, list[str]], str]] = {
    "add": _arithmetic("Add"),
    "subtract": _arithmetic("Sub"),
    "multiply": _arithmetic("Mul"),
    "divide": _arithmetic("Div"),
    "modulo": _modulo,
    "negate": _unary("Neg"),
    "power": _power,
    "abs": _unary("Abs"),
    "sqrt": _unary("Sqrt"),
    "ln": _logarithm(1.0),
    "log10": _logarithm(1.0 / math.log(10.0)),
    "exp": _arithmetic("Exp"),
    "floor": _unary("Floor"),
    "ceil": _unary("Ceil"),
    "round": _round,
    "sign": _unary("Sign"),
    "sin": _within("Sin"),
    "cos": _within("Cos"),
    "equal": _compare("Equal"),
    "not_equal": _compare("Equal", negated=True),
    "less": _compare("Less"),
    "less_or_equal": _compare("LessOrEqual"),
    "greater": _compare("Greater"),
    "greater_or_equal": _compare("GreaterOrEqual"),
    "in": _in_double,
    "is_null": _is_null,
    "and": _and,
    "or": _or,
    "not": _not,
    "case": _case,
    "coalesce": _coalesce,
    "least": _extreme("Less"),
    "greatest": _extreme("Greater"),
    "to_number": _to_number,
    "to_integer": _unary("Round"),
    "parse_number": _parse_number,
    "to_boolean": _to_boolean,
    "to_text": _to_text,
    "concat": _concat,
    "starts_with": _matches,
    "ends_with": _matches,
    "contains": _matches,
    "like": _matches,
    "year": _civil_part(0),
    "quarter": _quarter,
    "month": _civil_part(1),
    "day": _civil_part(2),
    "hour": _of_day(3_600_000_000, 24),
    "minute": _of_day(60_000_000, 60),
    "second": _of_day(1_000_000, 60),
    "dow": _weekday(4, 0),
    "isodow": _weekday(3, 1),
    "doy": _doy,
    "epoch": _epoch,
    "date_diff": _date_diff,
}
