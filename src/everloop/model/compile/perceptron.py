"""scikit-learn's MLP as a `ScoreForm`: its layers in double precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import Floats, Link, ScoreForm

if TYPE_CHECKING:
    from everloop.table.expression import GraphBuilder

_BENDS = {"identity": "Identity", "relu": "Relu", "tanh": "Tanh"}
_LINKS: dict[str, Link] = {"identity": "identity", "logistic": "sigmoid", "softmax": "softmax"}


def perceptron_form(estimator: Any) -> ScoreForm:
    """Reads an MLP, classifier or regressor, that was trained in double precision."""
    name = type(estimator).__name__
    if estimator.activation not in (*_BENDS, "logistic"):
        raise ModelFault(f"{name} with activation {estimator.activation!r} has no compiled form.")
    if estimator.out_activation_ not in _LINKS:
        raise ModelFault(f"{name} with output {estimator.out_activation_!r} has no compiled form.")
    layers = tuple(
        (np.asarray(weights, dtype=np.float64), np.asarray(bias, dtype=np.float64))
        for weights, bias in zip(estimator.coefs_, estimator.intercepts_, strict=True)
    )
    outputs = layers[-1][0].shape[1]
    if outputs > 1 and estimator.out_activation_ != "softmax":
        raise ModelFault(f"{name} gives {outputs} targets at once; a package answers with one.")
    return ScoreForm(
        width=int(estimator.n_features_in_),
        outputs=outputs,
        link=_LINKS[estimator.out_activation_],
        part=PerceptronPart(layers, estimator.activation),
    )


@dataclass(frozen=True)
class PerceptronPart:
    """The nodes of each layer in turn; the last one's bend is the form's link.

    Attributes:
        layers: Weights (in, out) and bias (out,) of each.
        activation: scikit-learn's name of what bends the inner ones.
    """

    layers: tuple[tuple[Floats, Floats], ...]
    activation: str

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to (n, outputs)."""
        from everloop.model.compile.score import logistic

        for place, (weights, bias) in enumerate(self.layers):
            if place:
                logit = self.activation == "logistic"
                x = logistic(graph, x) if logit else graph.node(_BENDS[self.activation], x)
            product = graph.node("MatMul", x, graph.constant(weights))
            x = graph.node("Add", product, graph.constant(bias))
        return x
