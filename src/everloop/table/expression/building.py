"""Making calls that are well typed: the one door through which a tree comes to be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import msgspec

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.table.expression.operators import DATE_UNITS, KINDS, OPERATORS, Operator
from everloop.table.expression.readings import number_style, time_pattern
from everloop.table.expression.tree import Call, ColumnRef, Constant, Expression, Node, ValueType

MAX_DEPTH = 100

_HINTS: dict[tuple[str, str], str] = {
    ("boolean", "number"): "compare it: a <> 0",
    ("number", "boolean"): "write cast(a as double), or case when a then 1 else 0 end",
    ("number", "text"): "write the number without quotes, or cast(a as double)",
    ("text", "number"): "compare numbers with numbers, text with text",
}


def is_null_constant(node: Node) -> bool:
    """Whether a node is the literal null, which fits any type."""
    return isinstance(node, Constant) and node.value is None


def call(name: str, arguments: Sequence[Node]) -> Call:
    """Makes a call and finds its type.

    Args:
        name: A key of `OPERATORS`.
        arguments: The arguments; a literal null takes the type that is needed.

    Raises:
        SpecFault: The operator is not known, or its arguments are of the wrong number or type.
    """
    operator = OPERATORS.get(name)
    if operator is None:
        raise unknown_operator(name)
    takes = _parameters(operator, len(arguments))
    same = _same_type(operator, takes, arguments)
    fitted = tuple(
        _fit(operator, node, same if len(KINDS[kind]) > 1 else kind)
        for kind, node in zip(takes, arguments, strict=True)
    )
    _check_constants(operator, fitted)
    return Call(name, fitted, cast("ValueType", same if operator.result == "same" else operator.result))


def unknown_operator(name: str) -> SpecFault:
    """Says which operators there are, and the nearest."""
    known = sorted({*OPERATORS, "between", "nullif", "ifnull", "pi"})
    near = near_names(name.lower(), known)
    return SpecFault(
        f"The operator {name!r} is not known in expressions. Known are: {', '.join(known)}.",
        hint=f"did you mean {near[0]}?" if near else None,
    )


def _parameters(operator: Operator, count: int) -> tuple[str, ...]:
    takes = operator.takes
    if operator.name == "case":
        if count < 3 or count % 2 == 0:
            raise SpecFault("A case needs at least one when with its then.")
        return (*takes * (count // 2), "any")
    if operator.repeats and count >= len(takes):
        return (*takes, *(takes[-1],) * (count - len(takes)))
    if count != len(takes):
        raise SpecFault(
            f"{operator.name} takes {len(takes)} arguments, not {count}.", hint=f"write {operator.sql}"
        )
    return takes


def _same_type(operator: Operator, takes: tuple[str, ...], arguments: Sequence[Node]) -> str:
    open_nodes = [node for kind, node in zip(takes, arguments, strict=True) if len(KINDS[kind]) > 1]
    allowed = next((KINDS[kind] for kind in takes if len(KINDS[kind]) > 1), ())
    if not open_nodes:
        return ""
    sure = next((node for node in open_nodes if not is_null_constant(node)), open_nodes[0])
    if sure.type not in allowed:
        raise SpecFault(
            f"{operator.name} takes {' or '.join(allowed)}, not {sure.type}.", hint=f"write {operator.sql}"
        )
    return sure.type


def _fit(operator: Operator, node: Node, wanted: str) -> Node:
    if isinstance(node, Constant) and node.value is None:
        return Constant(None, cast("ValueType", wanted))
    if node.type != wanted:
        what = f"column {node.name!r}" if isinstance(node, ColumnRef) else "an argument"
        raise SpecFault(
            f"{operator.name} needs {wanted}, and {what} is {node.type}.",
            hint=_HINTS.get((wanted, node.type), f"write {operator.sql}"),
        )
    return node


def _check_constants(operator: Operator, arguments: tuple[Node, ...]) -> None:
    fixed = arguments[len(arguments) - operator.fixed :] if operator.fixed else ()
    if operator.name == "in":
        fixed = arguments[1:]
    if operator.name == "date_diff":
        fixed = arguments[:1]
    values = [node.value for node in fixed if isinstance(node, Constant) and node.value is not None]
    if len(values) != len(fixed):
        raise SpecFault(
            f"{operator.name} needs literals there, not columns or null.", hint=f"write {operator.sql}"
        )
    if operator.name == "date_diff" and values[0] not in DATE_UNITS:
        raise SpecFault(f"date_diff has no unit {values[0]!r}; it has {', '.join(DATE_UNITS)}.")
    if operator.name == "round" and not (float(values[0]).is_integer() and abs(float(values[0])) <= 15):
        raise SpecFault("round takes a whole number of digits from -15 to 15.", hint="write round(a, 2)")
    if operator.name == "parse_number":
        number_style(str(values[0]))
    if operator.name == "parse_time":
        time_pattern(str(values[0]))
    if operator.name == "substr" and not _whole_span(values):
        raise SpecFault(
            "substr takes a whole start from 1 and a whole length from 0.", hint="write substr(a, 1, 3)"
        )


def _whole_span(values: list[Any]) -> bool:
    start, length = (float(value) for value in values)
    return start.is_integer() and length.is_integer() and start >= 1 and length >= 0


def rebuild(data: dict[str, Any]) -> Expression:
    """Reads an expression from JSON-able data, checking each call as the parser does.

    Raises:
        SpecFault: It is not an expression, or uses an operator that is not known.
    """
    try:
        expression = msgspec.convert(data, Expression)
    except (msgspec.ValidationError, RecursionError) as error:
        raise SpecFault(f"An expression cannot be read: {error}.") from error
    return Expression(expression.sql, _checked(expression.tree, 0))


def _checked(node: Node, depth: int) -> Node:
    if depth > MAX_DEPTH:
        raise SpecFault(
            f"An expression is nested more than {MAX_DEPTH} deep.", hint="split it into several features"
        )
    if isinstance(node, Call):
        return call(node.operator, [_checked(argument, depth + 1) for argument in node.arguments])
    if isinstance(node, Constant) and node.type in {"number", "time"} and node.value is not None:
        value = node.value
        if isinstance(value, bool | str) or not math.isfinite(value):
            raise SpecFault(f"The literal {value!r} is not a {node.type}.")
        return Constant(float(value), node.type)
    if isinstance(node, Constant) and node.value is not None:
        fits = isinstance(node.value, bool if node.type == "boolean" else str)
        if not fits:
            raise SpecFault(f"The literal {node.value!r} is not a {node.type}.")
    return node


def graph_gaps(node: Node) -> tuple[str, ...]:
    """Names the operators of a tree that have no form in the ONNX graph, each once."""
    if not isinstance(node, Call):
        return ()
    operator = OPERATORS[node.operator]
    gaps = {gap: None for argument in node.arguments for gap in graph_gaps(argument)}
    types = {argument.type for argument in node.arguments}
    if not operator.graph or types & set(operator.no_graph):
        gaps[operator.name] = None
    return tuple(gaps)
