"""Clusterings as a `ScoreForm`: log-chances of the clusters, then a softmax."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.compile.form import Floats, ScoreForm

if TYPE_CHECKING:
    from everloop.model.estimators import ClusterExemplars
    from everloop.table.expression import GraphBuilder


def centres_form(estimator: Any) -> ScoreForm:
    """Reads `ClusterCentres`: the square of the row cancels, so what is left is linear."""
    return ScoreForm(
        width=estimator.centres_.shape[1],
        outputs=len(estimator.centres_),
        link="softmax",
        coefficients=estimator.coefficients,
        bias=tuple(estimator.bias.tolist()),
    )


def exemplars_form(estimator: Any) -> ScoreForm:
    """Reads `ClusterExemplars`: the log-chance of a cluster is that of its nearest exemplar."""
    return ScoreForm(
        width=estimator.exemplars_.shape[1],
        outputs=len(estimator.counts_),
        link="softmax",
        part=ExemplarsPart(estimator),
    )


@dataclass(frozen=True)
class ExemplarsPart:
    """The nodes from a row to the log-chance of each cluster."""

    model: ClusterExemplars

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to log-chances (n, clusters)."""
        product = graph.node("MatMul", x, graph.constant(self.model.coefficients))
        nearness = graph.node("Add", product, graph.constant(self.model.bias))
        ends = np.cumsum(self.model.counts_)
        nearest = [
            graph.node(
                "ReduceMax",
                graph.node("Gather", nearness, graph.constant(np.arange(end - count, end)), axis=1),
                graph.constant(np.array([1])),
                keepdims=1,
            )
            for end, count in zip(ends, self.model.counts_, strict=True)
        ]
        return graph.node("Concat", *nearest, axis=1)


def mixture_form(estimator: Any) -> ScoreForm:
    """Reads scikit-learn's Gaussian mixture, whatever the shape of its covariances."""
    means = np.asarray(estimator.means_, dtype=np.float64)
    clusters, width = means.shape
    roots = _roots(np.asarray(estimator.precisions_cholesky_), estimator.covariance_type, clusters, width)
    # Distances of all components at once: one product, squares, and a sum over each one's columns.
    stretched = np.concatenate(list(roots), axis=1)
    shift = np.concatenate([mean @ root for mean, root in zip(means, roots, strict=True)])
    summing = -0.5 * np.repeat(np.eye(clusters), width, axis=0)
    volume = np.array([np.log(np.diag(root)).sum() for root in roots])
    start = volume + np.log(np.asarray(estimator.weights_, dtype=np.float64))

    part = MixturePart(stretched, shift, summing, start)
    return ScoreForm(width=width, outputs=clusters, link="softmax", part=part)


@dataclass(frozen=True)
class MixturePart:
    """The nodes from a row to the log-chance of each component.

    Attributes:
        stretched: The components' factors beside each other, (width, clusters * width).
        shift: Where their means come to lie, (clusters * width,).
        summing: What adds up each component's squares, (clusters * width, clusters).
        start: What a component has at its mean, (clusters,).
    """

    stretched: Floats
    shift: Floats
    summing: Floats
    start: Floats

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the nodes from rows (n, width) to log-chances (n, clusters)."""
        product = graph.node("MatMul", x, graph.constant(self.stretched))
        away = graph.node("Sub", product, graph.constant(self.shift))
        squares = graph.node("MatMul", graph.node("Mul", away, away), graph.constant(self.summing))
        return graph.node("Add", squares, graph.constant(self.start))


def _roots(precisions: Any, kind: str, clusters: int, width: int) -> Floats:
    """Gives each component's Cholesky factor of the precision as a matrix, (clusters, width, width)."""
    if kind == "full":
        return np.asarray(precisions, dtype=np.float64)
    if kind == "tied":
        return np.broadcast_to(precisions, (clusters, width, width))
    if kind == "diag":
        return np.stack([np.diag(row) for row in precisions])
    return np.stack([np.eye(width) * number for number in precisions])
