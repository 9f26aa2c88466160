"""Lists of recommended items as a `ScoreForm`: they lie in the graph, an entity's number finds its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.model.compile.form import ScoreForm

if TYPE_CHECKING:
    from everloop.model.estimators import TopItems
    from everloop.table.expression import GraphBuilder


def top_items_form(estimator: Any) -> ScoreForm:
    """Reads a `TopItems`."""
    width = int(estimator.lists_.shape[1])
    return ScoreForm(width=1, outputs=width, link="identity", part=TopItemsPart(estimator))


@dataclass(frozen=True)
class TopItemsPart:
    """The node that takes the list of an entity's number."""

    model: TopItems

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from numbers (n, 1) to positions and scores (n, 2 * places)."""
        number = graph.node("Squeeze", graph.cast(x, "integer"), graph.constant([1]))
        return graph.node("Gather", graph.constant(self.model.lists_), number, axis=0)
