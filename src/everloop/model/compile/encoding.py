"""A plan's encoders as graph nodes: from columns, each (n, 1), to the encoded vector, (n, width)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from everloop.runtime.encoders import GridEncoder, LookupEncoder, NumberEncoder, OneHotEncoder
from everloop.runtime.plan import Plan
from everloop.table.expression import GraphBuilder
from everloop.table.expression.onnx_form import MISSING_TEXT
from everloop.table.labels import label_text

EXACT_INTEGERS = 2**53
"""Above this a double no longer tells neighbouring integers apart."""


@dataclass(frozen=True)
class GraphColumn:
    """A column within a graph.

    Attributes:
        value: The name of the value: double with NaN as missing, or text with `MISSING_TEXT`; of an image
            or a sound its grid, (n, rows * columns * channels) doubles.
        type: ``boolean``, ``integer``, ``number``, ``text``, ``time`` or ``grid``.
    """

    value: str
    type: str


def add_encoding(graph: GraphBuilder, plan: Plan, columns: Mapping[str, GraphColumn]) -> str:
    """Adds the nodes that encode rows as `runtime.plan.compile_row` does; gives the vector's name.

    Args:
        graph: Where to add.
        plan: The preparation.
        columns: Every raw and derived column that an encoder reads.
    """
    slots: list[int] = []
    parts: list[str] = []
    numbers = [encoder for encoder in plan.encoders if isinstance(encoder, NumberEncoder)]
    if numbers:
        parts += _numbers(graph, numbers, columns)
        slots += [encoder.offset for encoder in numbers]
        slots += [encoder.offset + 1 for encoder in numbers if encoder.indicator]
    for encoder in plan.encoders:
        if isinstance(encoder, OneHotEncoder):
            parts += _one_hot(graph, encoder, columns[encoder.column])
        elif isinstance(encoder, LookupEncoder):
            parts.append(_lookup(graph, encoder, columns[encoder.column]))
        elif isinstance(encoder, GridEncoder):
            parts.append(_grid(graph, encoder, columns[encoder.column]))
        else:
            continue
        slots += range(encoder.offset, encoder.offset + encoder.width)
    together = graph.node("Concat", *parts, axis=1)
    if slots == sorted(slots):
        return together
    return graph.node("Gather", together, graph.constant(np.argsort(slots).astype(np.int64)), axis=1)


def category_key(text: str, column_type: str) -> float | None:
    """Gives the number that `table.labels.label_text` spells so, for a column that is no text.

    Returns:
        The number; None where no value of this type has this text.
    """
    if column_type == "boolean":
        return {"true": 1.0, "false": 0.0}.get(text)
    try:
        number = float(text)
    except ValueError:
        return None
    whole = column_type in ("integer", "time")
    spelled = str(int(number)) if whole and math.isfinite(number) else label_text(number)
    return number if spelled == text else None


def ambiguous_categories(plan: Plan, types: Mapping[str, str]) -> list[str]:
    """Names the columns whose categories are integers that doubles cannot tell apart."""
    return [
        encoder.column
        for encoder in plan.encoders
        if isinstance(encoder, (OneHotEncoder, LookupEncoder))
        and types[encoder.column] in ("integer", "time")
        and any(
            abs(category_key(text, types[encoder.column]) or 0.0) >= EXACT_INTEGERS
            or (category_key(text, types[encoder.column]) is None and text.lstrip("-").isdecimal())
            for text in _categories(encoder)
        )
    ]


def _categories(encoder: OneHotEncoder | LookupEncoder) -> Sequence[str]:
    return encoder.categories if isinstance(encoder, OneHotEncoder) else tuple(encoder.values)


def _numbers(
    graph: GraphBuilder, encoders: Sequence[NumberEncoder], columns: Mapping[str, GraphColumn]
) -> list[str]:
    """All numbers at once, as (n, encoders): clip, fill, centre, scale, round; then the indicators."""

    def row(values: list[float]) -> str:
        return graph.constant(np.array([values], dtype=np.float64))

    raw = graph.node("Concat", *(columns[encoder.column].value for encoder in encoders), axis=1)
    missing = graph.node("IsNaN", raw)
    value = raw
    if any(encoder.low is not None for encoder in encoders):
        low = row([-math.inf if encoder.low is None else encoder.low for encoder in encoders])
        value = graph.node("Where", graph.node("Less", value, low), low, value)
    if any(encoder.high is not None for encoder in encoders):
        high = row([math.inf if encoder.high is None else encoder.high for encoder in encoders])
        value = graph.node("Where", graph.node("Greater", value, high), high, value)
    if any(encoder.fill is not None for encoder in encoders):
        fill = row([math.nan if encoder.fill is None else encoder.fill for encoder in encoders])
        value = graph.node("Where", missing, fill, value)
    if any(encoder.centre for encoder in encoders):
        value = graph.node("Sub", value, row([encoder.centre for encoder in encoders]))
    if any(encoder.scale != 1.0 for encoder in encoders):
        value = graph.node("Div", value, row([encoder.scale for encoder in encoders]))
    value = _rounded(graph, value, [encoder.float32 for encoder in encoders])
    marked = [index for index, encoder in enumerate(encoders) if encoder.indicator]
    if not marked:
        return [value]
    chosen = graph.node("Gather", missing, graph.constant(np.array(marked, dtype=np.int64)), axis=1)
    return [value, graph.cast(chosen, "double")]


def _grid(graph: GraphBuilder, encoder: GridEncoder, column: GraphColumn) -> str:
    """A decoded grid: clip, centre, scale, round; 0 where it is missing."""

    def one(value: float) -> str:
        return graph.constant(np.array([[value]], dtype=np.float64))

    missing = graph.node("IsNaN", column.value)
    value = graph.node("Max", graph.node("Min", column.value, one(encoder.high)), one(encoder.low))
    value = graph.node("Div", graph.node("Sub", value, one(encoder.centre)), one(encoder.scale))
    value = _rounded(graph, value, [encoder.float32])
    return graph.node("Where", missing, one(0.0), value)


def _rounded(graph: GraphBuilder, value: str, float32: Sequence[bool]) -> str:
    if not any(float32):
        return value
    single = graph.cast(graph.cast(value, "float"), "double")
    return single if all(float32) else graph.node("Where", graph.constant(np.array([float32])), single, value)


def _one_hot(graph: GraphBuilder, encoder: OneHotEncoder, column: GraphColumn) -> list[str]:
    parts = []
    if encoder.categories:
        if column.type == "text":
            keys = graph.constant(np.array([encoder.categories], dtype=object))
            same = graph.node("Equal", column.value, keys)
            missing = graph.constant(np.array([[text == MISSING_TEXT for text in encoder.categories]]))
            same = graph.node("And", same, graph.node("Not", missing))
        else:
            numbers = [category_key(text, column.type) for text in encoder.categories]
            row = np.array([[math.nan if number is None else number for number in numbers]])
            same = graph.node("Equal", column.value, graph.constant(row))
        parts.append(graph.cast(same, "double"))
    if encoder.other:
        parts.append(_other(graph, parts, column))
    return parts


def _other(graph: GraphBuilder, hot: Sequence[str], column: GraphColumn) -> str:
    """1 for a value that is there and is none of the categories."""
    present = graph.node("Not", _is_missing(graph, column))
    if not hot:
        return graph.cast(present, "double")
    known = graph.node("ReduceMax", hot[0], graph.constant(np.array([1])), keepdims=1)
    return graph.node("Sub", graph.cast(present, "double"), known)


def _is_missing(graph: GraphBuilder, column: GraphColumn) -> str:
    if column.type == "text":
        return graph.node("Equal", column.value, graph.constant(np.array([[MISSING_TEXT]], dtype=object)))
    return graph.node("IsNaN", column.value)


def _lookup(graph: GraphBuilder, encoder: LookupEncoder, column: GraphColumn) -> str:
    unknown = math.nan if encoder.unknown is None else encoder.unknown
    missing = math.nan if encoder.missing is None else encoder.missing
    if column.type == "text":
        known = {text: value for text, value in encoder.values.items() if text != MISSING_TEXT}
        keys = np.array([*known, MISSING_TEXT], dtype=object)
        values = [*known.values(), missing]
    else:
        numbers = {category_key(text, column.type): value for text, value in encoder.values.items()}
        numbers.pop(None, None)
        keys = np.array([*numbers, math.nan], dtype=np.float64)
        values = [*numbers.values(), missing]
    return graph.node(
        "LabelEncoder",
        column.value,
        domain="ai.onnx.ml",
        keys_tensor=keys,
        values_tensor=np.array(values, dtype=np.float64),
        default_tensor=np.array([unknown], dtype=np.float64),
    )
