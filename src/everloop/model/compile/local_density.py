"""Local outliers as a `ScoreForm`: every known row lies in the graph, with its reach and its density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.model.compile.form import ScoreForm
from everloop.model.compile.nearest import constants_of
from everloop.model.learners.knn import STEPS
from everloop.model.learners.local_outlier import LEAST

if TYPE_CHECKING:
    from everloop.model.learners.local_outlier import LocalOutliers
    from everloop.table.expression import GraphBuilder


def local_form(estimator: Any) -> ScoreForm:
    """Reads `LocalOutliers`."""
    return ScoreForm(width=estimator.rows.shape[1], outputs=1, link="identity", part=LocalPart(estimator))


@dataclass(frozen=True)
class LocalPart:
    """The nodes that find the nearest rows and compare densities; TopK takes the first of equals too."""

    model: LocalOutliers

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to factors (n, 1)."""
        one, number = self.model, constants_of(graph)
        axis = number([1])
        own = graph.node("ReduceSum", graph.node("Mul", x, x), axis, keepdims=1)
        cross = graph.node("MatMul", x, number(-2.0 * one.rows.T))
        squares = graph.node("Add", graph.node("Add", own, number(one.squares[None, :])), cross)
        squares = graph.node("Max", squares, number(0.0))
        steps = graph.node("Round", graph.node("Mul", squares, number(STEPS)))
        _, nearest = graph.nodes("TopK", 2, steps, number([one.neighbours]), axis=1, largest=0, sorted=1)
        near = graph.node("GatherElements", squares, nearest, axis=1)
        reach = graph.node("Max", near, graph.node("Gather", number(one.reaches), nearest, axis=0))
        reach = graph.node("Sqrt", graph.node("Max", reach, number(LEAST)))
        dense = graph.node("Gather", number(one.densities), nearest, axis=0)
        sums = [graph.node("ReduceSum", each, axis, keepdims=1) for each in (reach, dense)]
        return graph.node("Div", graph.node("Mul", *sums), number(float(one.neighbours) ** 2))
