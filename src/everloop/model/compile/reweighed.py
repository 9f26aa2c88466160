"""A reweighed estimator as a `ScoreForm`: the form of what is inside, its chances times their factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.model.compile.form import Floats, ScoreForm

if TYPE_CHECKING:
    from everloop.model.estimators.reweighed import Reweighed
    from everloop.table.expression import GraphBuilder


@dataclass(frozen=True)
class WrappedForm(ScoreForm):
    """The form of an estimator within another, which changes its answers alone.

    Attributes:
        inner: The form of the estimator inside.
    """

    inner: ScoreForm | None = None

    @property
    def takes_missing(self) -> bool:
        """Whether the estimator inside has an answer for a missing number."""
        return self._within().takes_missing

    @property
    def tolerance(self) -> float:
        """How far a compiled score may be from the trained one."""
        return self._within().tolerance

    def split_values(self) -> dict[int, Floats]:
        """Gives the split values of the estimator inside."""
        return self._within().split_values()

    def _within(self) -> ScoreForm:
        if self.inner is None:
            raise ValueError("a wrapped form has one inside")
        return self.inner


@dataclass(frozen=True)
class _Factors:
    form: ScoreForm
    factors: Floats

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the inner nodes, the factors and the division by the sum."""
        from everloop.model.compile.score import add_answer

        chances = add_answer(graph, x, self.form, (), 0)
        if self.form.scores == 1:
            rest = graph.node("Sub", graph.constant(np.array(1.0)), chances)
            part = graph.node("Mul", chances, graph.constant(np.array(self.factors[1])))
            other = graph.node("Mul", rest, graph.constant(np.array(self.factors[0])))
            return graph.node("Div", part, graph.node("Add", other, part))
        parts = graph.node("Mul", chances, graph.constant(self.factors))
        whole = graph.node("ReduceSum", parts, graph.constant(np.array([1])), keepdims=1)
        return graph.node("Div", parts, whole)


def reweighed_form(estimator: Reweighed) -> ScoreForm:
    """Reads a reweighed estimator."""
    from everloop.model.compile.registry import score_form

    inner = score_form(estimator.estimator)
    return WrappedForm(
        width=inner.width,
        outputs=inner.scores,
        link="identity",
        part=_Factors(inner, estimator.factors),
        inner=inner,
    )
