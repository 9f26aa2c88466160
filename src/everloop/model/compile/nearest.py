"""Nearest rows as a `ScoreForm`: every known row lies in the graph as a constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.compile.form import ScoreForm
from everloop.model.learners.knn import LEAST, REACH, STEPS

if TYPE_CHECKING:
    from everloop.model.learners.knn import NearestRows
    from everloop.table.expression import GraphBuilder


def nearest_form(estimator: Any) -> ScoreForm:
    """Reads a `NearestRows`."""
    outputs = estimator.masses.shape[1] - 1
    return ScoreForm(
        width=estimator.rows.shape[1],
        outputs=outputs,
        link="identity",
        part=NearestPart(estimator),
        column=1 if estimator.classes_ is not None and outputs == 2 else None,
    )


@dataclass(frozen=True)
class NearestPart:
    """The nodes that find the nearest rows and let them answer; TopK takes the first of equals, as we do."""

    model: NearestRows

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to answers (n, outputs)."""
        one, number = self.model, constants_of(graph)
        axis, both = number([1]), number([0, 1])
        x = graph.node("Mul", x, number(one.scale[None, :]))
        own = graph.node("ReduceSum", graph.node("Mul", x, x), axis, keepdims=1)
        cross = graph.node("MatMul", x, number(-2.0 * one.rows.T))
        squares = graph.node("Add", graph.node("Add", own, number(one.squares[None, :])), cross)
        squares = graph.node("Max", squares, number(0.0))
        steps = graph.node("Round", graph.node("Mul", squares, number(STEPS)))
        least, places = graph.nodes("TopK", 2, steps, number([one.taken]), axis=1, largest=0, sorted=1)
        last = graph.node("Slice", least, number([one.taken - 1]), number([one.taken]), axis)
        reach = graph.node("Mul", last, number(REACH / STEPS))
        reach = graph.node("Add", reach, number(LEAST))
        nearest = graph.node("Slice", places, number([0]), number([one.neighbours]), axis)
        share = graph.node("Div", graph.node("GatherElements", squares, nearest, axis=1), reach)
        weights = graph.node("Unsqueeze", graph.node("Sub", number(1.0), share), axis)
        masses = graph.node("Gather", number(one.masses), nearest, axis=0)
        sums = graph.node("Squeeze", graph.node("MatMul", weights, masses), axis)
        sums = graph.node("Add", sums, number(one.doubt[None, :]))
        outputs = one.masses.shape[1] - 1
        zero, end = number([0, 0]), number([np.iinfo(np.int64).max, outputs])
        said = graph.node("Slice", sums, zero, end, both)
        return graph.node(
            "Div", said, graph.node("Slice", sums, number([outputs]), number([outputs + 1]), axis)
        )


def constants_of(graph: GraphBuilder) -> Any:
    """Gives the function that adds a constant: lists are integers, everything else is double."""

    def add(value: Any) -> str:
        return graph.constant(np.array(value, dtype=np.int64 if isinstance(value, list) else np.float64))

    return add
