"""`model.onnx`: the whole path of a row as one portable graph, from raw columns to the calibrated score.

One input for each raw column, (n, 1), in the plan's order: text as text, where `MISSING_TEXT` stands
for null; everything else as double, where NaN stands for null, a boolean is 1 or 0 and a time is in
microseconds since 1970 in UTC. An image or a sound is decoded before, as no operator does it: its input
is the grid of `runtime.grids`, (n, rows * columns * channels) doubles, all NaN for null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.compile.encoding import (
    GraphColumn,
    add_encoding,
    ambiguous_categories,
)
from everloop.model.compile.score import add_score, answers, seen_classes
from everloop.runtime.encoders import GridEncoder, TextEncoder
from everloop.runtime.grids import grid_of
from everloop.table.expression import GraphBuilder
from everloop.table.expression.onnx_form import MISSING_TEXT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from everloop.measure.calibration import Sigmoid
    from everloop.model.compile.form import ScoreForm
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame
    from everloop.table.expression import Expression

INPUT_PREFIX = "column_"
"""Stands before the name of a column that is named as the output is."""


def graph_gaps_of(plan: Plan) -> tuple[str, ...]:
    """Says, in sentences, why a plan has no graph; empty where it has one."""
    if plan.width == 0:
        return ("The model reads no column.",)
    from everloop.table.expression import graph_gaps

    reasons = []
    if any(item.name == "" for item in plan.inputs):
        reasons.append("A column has no name, and a graph's input must have one.")
    for name, expression in _expressions(plan).items():
        gaps = graph_gaps(expression.tree)
        if gaps:
            reasons.append(f"The feature {name!r} uses {', '.join(gaps)}, which has no form in a graph.")
    reasons += [
        f"The text {encoder.column!r} is divided into words and their parts, which has no form in a graph."
        for encoder in plan.encoders
        if isinstance(encoder, TextEncoder)
    ]
    reasons += [
        f"The images or sounds of {name!r} are read at more than one size."
        for name, encoders in _grids(plan).items()
        if len({_grid_shape(encoder) for encoder in encoders}) > 1
    ]
    reasons += [
        f"The categories of {name!r} are integers beyond 2^53, which a double cannot tell apart."
        for name in ambiguous_categories(plan, _types(plan))
    ]
    return tuple(reasons)


def model_graph(
    plan: Plan, form: ScoreForm, estimator: Any, frame: Frame, calibration: Sigmoid | None
) -> bytes:
    """Compiles a plan and an estimator to the bytes of `model.onnx`.

    Args:
        plan: The preparation; `graph_gaps_of` has to be empty for it.
        form: What the estimator computes.
        estimator: The estimator that it was read from.
        frame: The problem.
        calibration: For binary, what turns its chance into a calibrated one.

    Returns:
        A model with one input for each of ``plan.inputs`` and the output ``score``, double (n, k).
    """
    graph = GraphBuilder("model")
    grids = _grids(plan)
    columns = {
        item.name: GraphColumn(
            graph.input(input_name(item.name), "double", grids[item.name][0].width), "grid"
        )
        if item.name in grids
        else GraphColumn(
            graph.input(input_name(item.name), "text" if item.type == "text" else "double"), item.type
        )
        for item in plan.inputs
    }
    _add_derived(graph, plan, columns)
    x = add_encoding(graph, plan, columns)
    score = add_score(graph, x, form, seen_classes(estimator, form, frame), frame, calibration)
    graph.output("score", score, "double", answers(frame))
    return graph.to_bytes()


def input_name(column: str) -> str:
    """Gives the graph's name for a raw column: its own, unless the output is named so."""
    return f"{INPUT_PREFIX}{column}" if column == "score" else column


def graph_feeds(plan: Plan, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Gives raw rows as the inputs of `model.onnx`.

    Args:
        plan: The preparation whose columns they are.
        rows: Column to value: None and NaN are null, a column that is not there is null.

    Returns:
        Input name to array, (rows, 1); of an image or a sound (rows, rows * columns * channels).
    """
    from everloop.runtime.row_fill import number_of

    feeds: dict[str, Any] = {}
    grids = _grids(plan)
    for item in plan.inputs:
        values = [row.get(item.name) for row in rows]
        if item.name in grids:
            feeds[input_name(item.name)] = _decoded(values, grids[item.name][0])
            continue
        array = np.empty((len(rows), 1), dtype=object if item.type == "text" else np.float64)
        if item.type == "text":
            array[:, 0] = [value if isinstance(value, str) else MISSING_TEXT for value in values]
        else:
            array[:, 0] = [
                value if value.__class__ is float else number_of(value, item.name) for value in values
            ]
        feeds[input_name(item.name)] = array
    return feeds


def _grids(plan: Plan) -> dict[str, list[GridEncoder]]:
    """Gives the columns that carry images or sounds, with what reads each."""
    found: dict[str, list[GridEncoder]] = {}
    for encoder in plan.encoders:
        if isinstance(encoder, GridEncoder):
            found.setdefault(encoder.column, []).append(encoder)
    return found


def _grid_shape(encoder: GridEncoder) -> Any:
    return encoder.rows, encoder.columns, encoder.channels, encoder.sound


def _decoded(texts: Sequence[Any], encoder: GridEncoder) -> Any:
    grids = np.full((len(texts), encoder.width), np.nan)
    for place, text in enumerate(texts):
        grid = grid_of(text, encoder)
        if grid is not None:
            grids[place] = grid
    return grids


def _expressions(plan: Plan) -> dict[str, Expression]:
    if not plan.derived:
        return {}
    from everloop.runtime.plan import derived_order
    from everloop.table.expression import Expression

    trees = {item.name: Expression.from_dict(item.expression) for item in plan.derived}
    order = derived_order(plan, {name: frozenset(tree.columns) for name, tree in trees.items()})
    return {item.name: trees[item.name] for item in order}


def _types(plan: Plan) -> dict[str, str]:
    derived = {name: expression.type for name, expression in _expressions(plan).items()}
    return {**{item.name: item.type for item in plan.inputs}, **derived}


def _add_derived(graph: GraphBuilder, plan: Plan, columns: dict[str, GraphColumn]) -> None:
    """Adds each computed column after those that it reads."""
    from everloop.table.expression import to_onnx

    for name, expression in _expressions(plan).items():
        values = {column: columns[column].value for column in expression.columns}
        columns[name] = GraphColumn(to_onnx(expression, graph, values), expression.type)
