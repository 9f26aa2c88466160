"""A rescaled estimator as a `ScoreForm`: the form of what is inside, then the scale undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.model.compile.form import ScoreForm
from everloop.model.compile.reweighed import WrappedForm

if TYPE_CHECKING:
    from everloop.model.estimators.rescaled import Rescaled
    from everloop.table.expression import GraphBuilder

_BACK: dict[str, Callable[[GraphBuilder, str], str]] = {
    "log": lambda graph, x: graph.node("Exp", x),
    "root": lambda graph, x: graph.node("Mul", x, x),
}
"""What undoes each of `rescaled.SCALES`, as a node."""


@dataclass(frozen=True)
class _Back:
    form: ScoreForm
    estimator: Rescaled

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the inner nodes, the bounds, the unit and what undoes the scale."""
        from everloop.model.compile.score import add_answer

        one = self.estimator
        said = add_answer(graph, x, self.form, (0,), 0)
        low, high = (graph.constant(np.array(bound)) for bound in one.bounds)
        said = graph.node("Where", graph.node("Less", said, low), low, said)
        said = graph.node("Where", graph.node("Greater", said, high), high, said)
        said = graph.node("Mul", said, graph.constant(np.array(one.spread)))
        said = graph.node("Add", said, graph.constant(np.array(one.centre)))
        return graph.node("Sub", _BACK[one.scale](graph, said), graph.constant(np.array(one.shift)))


def rescaled_form(estimator: Rescaled) -> ScoreForm:
    """Reads a rescaled estimator."""
    from everloop.model.compile.registry import score_form

    inner = score_form(estimator.estimator)
    return WrappedForm(
        width=inner.width, outputs=1, link="identity", part=_Back(inner, estimator), inner=inner
    )
