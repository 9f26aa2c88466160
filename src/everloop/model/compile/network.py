"""A network's layers as a `ScoreForm`: the same steps, in double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.compile.form import ScoreForm

if TYPE_CHECKING:
    from everloop.model.learners.network import Layer
    from everloop.table.expression import GraphBuilder

Arrays = dict[str, Any]


def network_form(estimator: Any) -> ScoreForm:
    """Reads a `Network`."""
    outputs = int(estimator.outputs(np.zeros((1, estimator.width))).shape[1])
    classes = estimator.classes_ is not None
    return ScoreForm(
        width=estimator.width,
        outputs=outputs,
        link="softmax" if classes else "identity",
        part=NetworkPart(tuple(estimator.layers)),
        column=1 if classes and outputs == 2 else None,
    )


@dataclass(frozen=True)
class NetworkPart:
    """The nodes of each layer in turn."""

    layers: tuple[Layer, ...]

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to what the last layer says."""
        for kind, arrays in self.layers:
            x = LAYERS[kind](graph, x, arrays)
        return x


def _number(graph: GraphBuilder, value: Any) -> str:
    return graph.constant(np.asarray(value, dtype=np.float64))


def _scale(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    x = graph.node("Mul", x, _number(graph, arrays["factor"][None, :]))
    return graph.node("Add", x, _number(graph, arrays["shift"][None, :]))


def _soft_clip(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    share = graph.node("Div", x, _number(graph, arrays["limit"]))
    bend = graph.node("Add", _number(graph, 1.0), graph.node("Mul", share, share))
    return graph.node("Div", x, graph.node("Sqrt", bend))


def _dense(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    product = graph.node("MatMul", x, _number(graph, arrays["weight"]))
    return graph.node("Add", product, _number(graph, arrays["bias"]))


def _patches(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    ends = graph.constant(np.array([0, 0, 0, 1], dtype=np.int64))
    wider = graph.node("Pad", x, ends, _number(graph, 0.0))
    return graph.node("Gather", wider, graph.constant(arrays["positions"].astype(np.int64)), axis=1)


def _flat(graph: GraphBuilder, x: str) -> str:
    return graph.node("Flatten", x, axis=1)


def _convolution(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    return _flat(graph, _dense(graph, _patches(graph, x, arrays), arrays))


def _over_patches(operator: str) -> Callable[[GraphBuilder, str, Arrays], str]:
    def add(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
        axis = graph.constant(np.array([2], dtype=np.int64))
        return graph.node(operator, _patches(graph, x, arrays), axis, keepdims=0)

    return add


def _relu(graph: GraphBuilder, x: str, _: Arrays) -> str:
    return graph.node("Max", x, _number(graph, 0.0))


def _leaky_relu(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    less = graph.node("Mul", x, _number(graph, arrays["slope"]))
    return graph.node("Where", graph.node("Greater", x, _number(graph, 0.0)), x, less)


def _one_and_power(graph: GraphBuilder, x: str) -> str:
    return graph.node("Add", _number(graph, 1.0), graph.node("Exp", graph.node("Neg", x)))


def _silu(graph: GraphBuilder, x: str, _: Arrays) -> str:
    return graph.node("Div", x, _one_and_power(graph, x))


def _sigmoid(graph: GraphBuilder, x: str, _: Arrays) -> str:
    return graph.node("Div", _number(graph, 1.0), _one_and_power(graph, x))


def _tanh(graph: GraphBuilder, x: str, _: Arrays) -> str:
    return graph.node("Tanh", x)


def _softmax(graph: GraphBuilder, x: str, _: Arrays) -> str:
    axis = graph.constant(np.array([1], dtype=np.int64))
    powers = graph.node("Exp", graph.node("Sub", x, graph.node("ReduceMax", x, axis, keepdims=1)))
    return graph.node("Div", powers, graph.node("ReduceSum", powers, axis, keepdims=1))


def _bound(graph: GraphBuilder, x: str, arrays: Arrays) -> str:
    above = graph.node("Max", x, _number(graph, arrays["low"]))
    return graph.node("Min", above, _number(graph, arrays["high"]))


LAYERS: dict[str, Callable[[GraphBuilder, str, Arrays], str]] = {
    "scale": _scale,
    "soft_clip": _soft_clip,
    "dense": _dense,
    "convolution": _convolution,
    "greatest": _over_patches("ReduceMax"),
    "mean": _over_patches("ReduceMean"),
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "silu": _silu,
    "sigmoid": _sigmoid,
    "softmax": _softmax,
    "tanh": _tanh,
    "bound": _bound,
}
"""The nodes of each kind of layer in `learners.network.LAYERS`."""
