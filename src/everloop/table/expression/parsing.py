"""From SQL text to a tree: sqlglot reads, and what it found is put in terms of the operators."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.table.expression import moments
from everloop.table.expression.building import MAX_DEPTH, call, is_null_constant, unknown_operator
from everloop.table.expression.operators import OPERATORS
from everloop.table.expression.tree import ColumnRef, Constant, Expression, Node, ValueType

if TYPE_CHECKING:
    from sqlglot import exp

MAX_LENGTH = 20_000
NULL = Constant(None, "number")


def parse(sql: str, types: Mapping[str, str] | None = None) -> Expression:
    """Reads an SQL expression over one row.

    Args:
        sql: The expression, in DuckDB's dialect, such as ``debt / nullif(income, 0)``.
        types: From each column's name to its type (`Schema.types`). Without it, a column has the type
            that its place asks for, and is a number where the place asks for none.

    Returns:
        The expression as a typed tree.

    Raises:
        SpecFault: It is not SQL, names a column that is not in ``types``, uses an operator that is not
            known or gives one arguments of the wrong type.
    """
    if len(sql) > MAX_LENGTH:
        raise SpecFault(f"An expression of {len(sql)} characters is too long; {MAX_LENGTH} are read.")
    try:
        tree = _Reader(sql, types).read(syntax_of(sql), None, 0)
    except SpecFault as fault:
        raise SpecFault(f"{fault.message} In: {sql.strip()}", hint=fault.hint, place=fault.place) from fault
    return Expression(sql.strip(), tree)


def syntax_of(sql: str) -> exp.Expression:
    """Reads SQL text as one of sqlglot's trees.

    Raises:
        SpecFault: It is no SQL, or not one expression.
    """
    import sqlglot
    from sqlglot.errors import ParseError, TokenError

    try:
        parts = [part for part in sqlglot.parse(sql, read="duckdb") if part is not None]
    except ParseError as error:
        first: dict[str, Any] = error.errors[0] if error.errors else {}
        near = first.get("highlight") or ""
        raise SpecFault(
            f"This is no SQL expression: it cannot be read at column {first.get('col', 1)}, near {near!r}."
        ) from error
    except TokenError as error:
        raise SpecFault("This is no SQL expression: a quote or a bracket is not closed.") from error
    except RecursionError as error:
        raise SpecFault(
            "The expression is nested too deep.", hint="split it into several features"
        ) from error
    if len(parts) != 1:
        what = "Nothing is written" if not parts else "Several statements are written"
        raise SpecFault(f"{what}; one expression was expected.")
    return cast("exp.Expression", parts[0])


class _Reader:
    """Turns sqlglot's nodes into ours; ``want`` is the type that the place asks for, if any."""

    def __init__(self, sql: str, types: Mapping[str, str] | None) -> None:
        self.sql = sql
        self.types = types

    def read(self, node: exp.Expression, want: str | None, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise SpecFault(
                f"The expression is nested more than {MAX_DEPTH} deep.", hint="split it into several features"
            )
        kind = type(node).__name__
        special = _SPECIAL.get(kind)
        if special is not None:
            return special(self, node, want, depth + 1)
        if kind in _PLAIN:
            name, wanted = _PLAIN[kind]
            return call(name, [self.read(part, wanted, depth + 1) for part in _arguments(node)])
        if kind in _ALIKE:
            name = _ALIKE[kind]
            asked = want if OPERATORS[name].result == "same" else None
            return call(name, self.alike(_arguments(node), asked, depth))
        raise _refusal(node)

    def alike(self, parts: list[exp.Expression], want: str | None, depth: int) -> list[Node]:
        """Reads parts that must be of one type; a bare column or a literal takes the type of the others."""
        read: dict[int, Node] = {}
        order = sorted(range(len(parts)), key=lambda index: _says_type(parts[index], self.types))
        for index in order:
            read[index] = self.read(parts[index], want, depth + 1)
            if want is None and not is_null_constant(read[index]):
                want = read[index].type
        return [_as_time(node, want) for _, node in sorted(read.items())]

    def column(self, node: Any, want: str | None, _depth: int) -> Node:
        if node.table:
            raise SpecFault(f"{node.sql()} names a table; an expression sees one row, so write {node.name}.")
        name = node.name
        if self.types is None:
            return ColumnRef(name, cast("ValueType", want or "number"))
        if name not in self.types:
            near = near_names(name, self.types)
            known = ", ".join(list(self.types)[:20])
            raise SpecFault(
                f"There is no column {name!r}; there are {known or 'none'}.",
                hint=f"did you mean {near[0]}?" if near else None,
            )
        kind = self.types[name]
        return ColumnRef(name, cast("ValueType", "number" if kind == "integer" else kind))

    def literal(self, node: Any, want: str | None, _depth: int) -> Node:
        if node.is_string:
            return _as_time(Constant(node.this, "text"), want)
        value = float(node.this)
        if not math.isfinite(value):
            raise SpecFault(f"The number {node.this} is too large.")
        return Constant(value, "number")

    def boolean(self, node: Any, _want: str | None, _depth: int) -> Node:
        return Constant(bool(node.this), "boolean")

    def null(self, _node: Any, _want: str | None, _depth: int) -> Node:
        return NULL

    def pi(self, _node: Any, _want: str | None, _depth: int) -> Node:
        return Constant(math.pi, "number")

    def inside(self, node: Any, want: str | None, depth: int) -> Node:
        return self.read(node.this, want, depth)

    def negative(self, node: Any, _want: str | None, depth: int) -> Node:
        inner = self.read(node.this, "number", depth)
        if isinstance(inner, Constant) and isinstance(inner.value, float) and inner.type == "number":
            return Constant(-inner.value, "number")
        return call("negate", [inner])

    def between(self, node: Any, _want: str | None, depth: int) -> Node:
        value, low, high = self.alike([node.this, node.args["low"], node.args["high"]], None, depth)
        return call("and", [call("greater_or_equal", [value, low]), call("less_or_equal", [value, high])])

    def is_(self, node: Any, _want: str | None, depth: int) -> Node:
        kind = type(node.expression).__name__
        if kind == "Null":
            return call("is_null", [self.read(node.this, None, depth)])
        if kind == "Boolean":
            value = self.read(node.this, "boolean", depth)
            held = value if node.expression.this else call("not", [value])
            return call("coalesce", [held, Constant(value=False, type="boolean")])
        raise _refusal(node)

    def in_(self, node: Any, _want: str | None, depth: int) -> Node:
        if node.args.get("query") is not None or node.args.get("unnest") is not None or not node.expressions:
            raise SpecFault("in takes a list of values here, no query.", hint="write a in (1, 2)")
        value, *choices = self.alike([node.this, *node.expressions], None, depth)
        if all(isinstance(choice, Constant) and choice.value is not None for choice in choices):
            return call("in", [value, *choices])
        tests = [call("equal", [value, choice]) for choice in choices]
        return _balanced("or", tests)

    def case(self, node: Any, want: str | None, depth: int) -> Node:
        ifs = node.args["ifs"]
        subject = node.this
        default = node.args.get("default")
        values = [part.args["true"] for part in ifs] + ([default] if default is not None else [])
        results = self.alike(values, want, depth)
        if default is None:
            results.append(NULL)
        if subject is None:
            conditions: list[Node] = [self.read(part.this, "boolean", depth) for part in ifs]
        else:
            value, *choices = self.alike([subject, *(part.this for part in ifs)], None, depth)
            conditions = [call("equal", [value, choice]) for choice in choices]
        pairs = [node for pair in zip(conditions, results[: len(conditions)], strict=True) for node in pair]
        return call("case", [*pairs, results[-1]])

    def if_(self, node: Any, want: str | None, depth: int) -> Node:
        condition = self.read(node.this, "boolean", depth)
        parts = [node.args["true"], *([node.args["false"]] if node.args.get("false") is not None else [])]
        results = self.alike(parts, want, depth)
        return call("case", [condition, results[0], results[1] if len(results) > 1 else NULL])

    def nullif(self, node: Any, want: str | None, depth: int) -> Node:
        value, other = self.alike([node.this, node.expression], want, depth)
        return call("case", [call("equal", [value, other]), NULL, value])

    def logarithm(self, node: Any, _want: str | None, depth: int) -> Node:
        if node.args.get("expression") is None:
            return call("log10", [self.read(node.this, "number", depth)])
        base, value = (self.read(part, "number", depth) for part in (node.this, node.expression))
        if isinstance(base, Constant) and base.value == 10:
            return call("log10", [value])
        return call("divide", [call("ln", [value]), call("ln", [base])])

    def round_(self, node: Any, _want: str | None, depth: int) -> Node:
        digits = node.args.get("decimals")
        last = Constant(0.0, "number") if digits is None else self.read(digits, "number", depth)
        return call("round", [self.read(node.this, "number", depth), last])

    def cast_(self, node: Any, _want: str | None, depth: int) -> Node:
        target = node.args["to"].sql("duckdb").upper()
        kind = _CASTS.get(target.partition("(")[0].strip())
        if kind is None:
            known = "double, integer, text, boolean, timestamp"
            raise SpecFault(f"A cast to {target} is not known; casts go to {known}.")
        inner = self.read(node.this, "time" if kind == "time" else None, depth)
        if kind == "time":
            return inner if inner.type == "time" else _wrong_cast(inner, target)
        if inner.type == kind or is_null_constant(inner):
            return (
                Constant(None, cast("ValueType", "number" if kind == "integer" else kind))
                if is_null_constant(inner)
                else inner
            )
        if kind == "text":
            return call("to_text", [inner])
        if inner.type == "time":
            return _wrong_cast(inner, target)
        if kind == "boolean":
            return call("to_boolean", [inner])
        number = inner if inner.type == "number" else call("to_number", [inner])
        return call("to_integer", [number]) if kind == "integer" else number

    def substring(self, node: Any, _want: str | None, depth: int) -> Node:
        length = node.args.get("length")
        last = (
            Constant(float(MAX_LENGTH * 1000), "number")
            if length is None
            else self.read(length, "number", depth)
        )
        return call(
            "substr",
            [self.read(node.this, "text", depth), self.read(node.args["start"], "number", depth), last],
        )

    def trim(self, node: Any, _want: str | None, depth: int) -> Node:
        if node.args.get("expression") is not None or node.args.get("position"):
            raise SpecFault("trim takes spaces away at both ends, and nothing else.", hint="write trim(a)")
        return call("trim", [self.read(node.this, "text", depth)])

    def concat(self, node: Any, _want: str | None, depth: int) -> Node:
        empty = Constant("", "text")
        parts = [call("coalesce", [self.read(part, "text", depth), empty]) for part in node.expressions]
        return _balanced("concat", [*parts, empty] if len(parts) == 1 else parts)

    def like(self, node: Any, _want: str | None, depth: int) -> Node:
        value, pattern = (self.read(part, "text", depth) for part in (node.this, node.expression))
        if type(node).__name__ == "ILike":
            value, pattern = call("lower", [value]), _lowered(pattern)
        test = call("like", [value, pattern])
        return call("not", [test]) if node.args.get("negate") else test

    def extract(self, node: Any, _want: str | None, depth: int) -> Node:
        return self.part(node.this.name, node.expression, depth)

    def part(self, name: str, of: exp.Expression, depth: int) -> Node:
        word = _PARTS.get(name.lower())
        if word is None:
            raise SpecFault(f"There is no part {name.lower()!r} of a time; there are {', '.join(_PARTS)}.")
        return call(word, [self.read(of, "time", depth)])

    def date_diff(self, node: Any, _want: str | None, depth: int) -> Node:
        unit = node.args.get("unit")
        name = unit.name.lower() if unit is not None else "day"
        start, end = (self.read(part, "time", depth) for part in (node.expression, node.this))
        return call("date_diff", [Constant(name, "text"), start, end])

    def anonymous(self, node: Any, _want: str | None, depth: int) -> Node:
        name, parts = node.name.lower(), node.expressions
        if name == "date_part" and len(parts) == 2:
            return self.part(parts[0].name, parts[1], depth)
        if name in _PARTS and len(parts) == 1:
            return self.part(name, parts[0], depth)
        if name in ("parse_number", "parse_time") and len(parts) == 2:
            return call(name, [self.read(part, "text", depth) for part in parts])
        if name == "suffix" and len(parts) == 2:
            return call("ends_with", [self.read(part, "text", depth) for part in parts])
        raise unknown_operator(node.name)


def _arguments(node: exp.Expression) -> list[exp.Expression]:
    parts = [node.args.get("this"), node.args.get("expression"), *(node.args.get("expressions") or [])]
    return [part for part in parts if part is not None]


def _says_type(node: exp.Expression, types: Mapping[str, str] | None) -> int:
    """Orders parts by how surely each says its own type; text may stand for a time."""
    kind = type(node).__name__
    if kind == "Column":
        return 0 if types is not None else 2
    if kind == "Null":
        return 3
    return 1 if kind == "Literal" else 0


def _balanced(name: str, parts: list[Any]) -> Node:
    if len(parts) == 1:
        return cast("Node", parts[0])
    middle = len(parts) // 2
    return call(name, [_balanced(name, parts[:middle]), _balanced(name, parts[middle:])])


def _as_time(node: Node, want: str | None) -> Node:
    if want != "time" or not isinstance(node, Constant) or not isinstance(node.value, str):
        return node
    try:
        moment = datetime.fromisoformat(node.value)
    except ValueError as error:
        raise SpecFault(
            f"{node.value!r} is no time.", hint="write it as '2026-01-31' or '2026-01-31 12:00:00'"
        ) from error
    held = moments.microseconds_of(moment, "literal")
    return Constant(None if held is None else float(held), "time")


def _lowered(pattern: Node) -> Node:
    if not isinstance(pattern, Constant) or not isinstance(pattern.value, str):
        return pattern
    from everloop.table.expression import letters

    return Constant(pattern.value.translate(str.maketrans(*letters.lower_pairs())), "text")


def _wrong_cast(inner: Node, target: str) -> Node:
    hint = "write epoch(t) for the seconds of a time" if inner.type == "time" else None
    raise SpecFault(f"A {inner.type} cannot be cast to {target.lower()} in a row.", hint=hint)


def _refusal(node: exp.Expression) -> SpecFault:
    from sqlglot import exp

    if isinstance(node, exp.AggFunc | exp.Window | exp.Star):
        return SpecFault(
            f"{node.sql('duckdb')} looks at many rows; an expression sees one.",
            hint="declare a window feature: {from: ..., by: ..., over: 90d, value: sum(amount)}",
        )
    if isinstance(node, exp.Query | exp.Subquery):
        return SpecFault(
            "An expression sees one row; a query belongs under data.table.", hint="data: {table: select ...}"
        )
    if isinstance(node, exp.Alias):
        return SpecFault(
            f"{node.alias!r} stands behind the expression; a unit or a name has no place there.",
            hint=node.this.sql("duckdb"),
        )
    name = node.sql_name().lower() if isinstance(node, exp.Func) else node.key
    return unknown_operator(name)


_PLAIN: dict[str, tuple[str, str | None]] = {
    "Add": ("add", "number"),
    "Sub": ("subtract", "number"),
    "Mul": ("multiply", "number"),
    "Div": ("divide", "number"),
    "Mod": ("modulo", "number"),
    "Pow": ("power", "number"),
    "And": ("and", "boolean"),
    "Or": ("or", "boolean"),
    "Not": ("not", "boolean"),
    "Abs": ("abs", "number"),
    "Sqrt": ("sqrt", "number"),
    "Ln": ("ln", "number"),
    "Exp": ("exp", "number"),
    "Floor": ("floor", "number"),
    "Ceil": ("ceil", "number"),
    "Sign": ("sign", "number"),
    "Sin": ("sin", "number"),
    "Cos": ("cos", "number"),
    "Lower": ("lower", "text"),
    "Upper": ("upper", "text"),
    "Length": ("length", "text"),
    "DPipe": ("concat", "text"),
    "StartsWith": ("starts_with", "text"),
    "EndsWith": ("ends_with", "text"),
    "Contains": ("contains", "text"),
    "TimeToUnix": ("epoch", "time"),
    "Year": ("year", "time"),
    "Quarter": ("quarter", "time"),
    "Month": ("month", "time"),
    "Day": ("day", "time"),
    "DayOfMonth": ("day", "time"),
    "Hour": ("hour", "time"),
    "Minute": ("minute", "time"),
    "Second": ("second", "time"),
    "DayOfWeek": ("dow", "time"),
    "DayOfWeekIso": ("isodow", "time"),
    "DayOfYear": ("doy", "time"),
}

_ALIKE: dict[str, str] = {
    "EQ": "equal",
    "NEQ": "not_equal",
    "LT": "less",
    "LTE": "less_or_equal",
    "GT": "greater",
    "GTE": "greater_or_equal",
    "Coalesce": "coalesce",
    "Least": "least",
    "Greatest": "greatest",
}

_SPECIAL: dict[str, Callable[[_Reader, Any, str | None, int], Node]] = {
    "Column": _Reader.column,
    "Literal": _Reader.literal,
    "Boolean": _Reader.boolean,
    "Null": _Reader.null,
    "Pi": _Reader.pi,
    "Paren": _Reader.inside,
    "Neg": _Reader.negative,
    "Between": _Reader.between,
    "Is": _Reader.is_,
    "In": _Reader.in_,
    "Case": _Reader.case,
    "If": _Reader.if_,
    "Nullif": _Reader.nullif,
    "Log": _Reader.logarithm,
    "Round": _Reader.round_,
    "Cast": _Reader.cast_,
    "TryCast": _Reader.cast_,
    "Substring": _Reader.substring,
    "Trim": _Reader.trim,
    "Concat": _Reader.concat,
    "Like": _Reader.like,
    "ILike": _Reader.like,
    "Extract": _Reader.extract,
    "DateDiff": _Reader.date_diff,
    "Anonymous": _Reader.anonymous,
}

_CASTS: dict[str, str] = {
    **dict.fromkeys(("DOUBLE", "FLOAT", "REAL", "DECIMAL", "NUMERIC"), "number"),
    **dict.fromkeys(("INT", "INTEGER", "BIGINT", "SMALLINT", "TINYINT", "HUGEINT"), "integer"),
    **dict.fromkeys(("TEXT", "VARCHAR", "STRING"), "text"),
    "BOOLEAN": "boolean",
    **dict.fromkeys(("TIMESTAMP", "DATE", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE"), "time"),
}

_PARTS: dict[str, str] = {
    "year": "year",
    "quarter": "quarter",
    "month": "month",
    "day": "day",
    "hour": "hour",
    "minute": "minute",
    "second": "second",
    "dow": "dow",
    "dayofweek": "dow",
    "weekday": "dow",
    "isodow": "isodow",
    "doy": "doy",
    "dayofyear": "doy",
    "epoch": "epoch",
}
