"""A small neural net for tables that needs no library of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.network import ROWS_AT_ONCE, Layer, Network
from everloop.model.learners.perceptron_training import Perceptron, Schedule, learn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task, Watch

    Matrix = NDArray[np.float64]

FEWEST_STEPS = 8
"""A column of fewer different values is read as it is."""

NARROWEST = 0.02
"""A bin is at least so wide, in standard deviations: a narrower one would blow up what rounding leaves."""

MOST_BENT = 600
"""Bins of all columns together; of many columns each has fewer."""

SOFT_LIMIT = 4.0
PATIENCE = 12


class SmallPerceptron:
    """A multilayer perceptron over numbers that are bent at their quantiles.

    Each number becomes a few, one for each bin between its quantiles: 0 below, 1 above, a slope within
    (piecewise linear encoding: Gorishniy, Rubachev, Babenko 2022), so that a short network can bend where
    the data does. It is trained by NumPy in float32 and answers in doubles. Beside trees it errs in other
    places, which is what a mean of several wants.
    """

    name: ClassVar[str] = "perceptron"
    capabilities: ClassVar[Capabilities] = Capabilities(wants_scaling=True, cost=6.0, most_rows=50_000)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("bins", "choice", choices=(0, 8, 16, 32)),
        Parameter("layers", "integer", 1, 3),
        Parameter("units", "choice", choices=(64, 128, 256)),
        Parameter("learning_rate", "number", 5e-4, 1e-2, log=True),
        Parameter("dropout", "number", 0.0, 0.4),
        Parameter("weight_decay", "number", 1e-3, 0.3, log=True),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"bins": 16, "layers": 2, "units": 128, "learning_rate": 0.002, "dropout": 0.15},
        {"bins": 0, "layers": 3, "units": 128, "learning_rate": 0.003, "dropout": 0.1},
        {"bins": 32, "layers": 1, "units": 256, "learning_rate": 0.003, "dropout": 0.3, "weight_decay": 0.1},
    )

    def fit(
        self,
        X: Matrix,
        y: NDArray[Any],
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: Matrix | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`."""
        made = _Made(X, y, weights, task, configuration, seed)
        rounds = min(int(configuration.get("rounds", made.schedule.epochs)), made.schedule.epochs)
        with _threads(threads):
            learn(made.model, made.rows, rounds=rounds)
        return made.network()

    def fit_watched(  # noqa: PLR0913  (what `fit` takes, and what watches)
        self,
        X: Matrix,
        y: NDArray[Any],
        watch: Watch,
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: Matrix | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> tuple[Any, int]:
        """Fits until nothing is gained; see `StopsEarly.fit_watched`. A round is a pass over the rows."""
        made = _Made(X, y, weights, task, configuration, seed)
        with _threads(threads):
            rounds = learn(
                made.model,
                made.rows,
                rounds=min(watch.most_rounds, made.schedule.epochs),
                judges=made.read(watch.X, watch.y, watch.weights),
                seconds=watch.seconds,
                patience=min(watch.patience, PATIENCE),
            )
        return made.network(), rounds


def _threads(threads: int) -> Any:
    from everloop.core.extras import require

    return require("threadpoolctl", extra="train").threadpool_limits(limits=threads)


class _Made:
    """What is trained, with the rows as it reads them."""

    def __init__(
        self,
        X: Matrix,
        y: NDArray[Any],
        weights: Matrix | None,
        task: Task,
        configuration: Mapping[str, Any],
        seed: int,
    ) -> None:
        each = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
        known = each > 0
        X, y, each = X[known], y[known], each[known]
        self.classes = None if task == "regression" else np.unique(y)
        self.centre = float(np.average(y, weights=each)) if self.classes is None else 0.0
        self.spread = (float(y.std()) or 1.0) if self.classes is None else 1.0
        self.bounds = (float(y.min()), float(y.max()))
        self.first = [*_bent(X, int(configuration.get("bins", 16)))]
        self.reading = Network(X.shape[1], self.first, None)
        self.width = X.shape[1]
        self.rows = self.read(X, y, each)
        self.schedule = Schedule.of(configuration, len(X))
        outputs = 1 if self.classes is None else len(self.classes)
        self.model = Perceptron(
            self.rows[0].shape[1], outputs, self.schedule, softmax=self.classes is not None, seed=seed
        )

    def read(self, X: Matrix, y: NDArray[Any], weights: Matrix | None) -> tuple[Any, Any, Any]:
        """Gives rows as the model reads them, their goals, and their weights."""
        each = np.ones(len(X)) if weights is None else weights
        goal = (y - self.centre) / self.spread if self.classes is None else np.searchsorted(self.classes, y)
        kind = np.float32 if self.classes is None else np.int64
        starts = range(0, max(len(X), 1), ROWS_AT_ONCE)
        bent = [self.reading.outputs(X[at : at + ROWS_AT_ONCE]).astype(np.float32) for at in starts]
        return np.concatenate(bent), goal.astype(kind), each.astype(np.float32)

    def network(self) -> Network:
        """Gives what was learned, in doubles."""
        layers: list[Layer] = [*self.first]
        parts = list(zip(self.model.weights, self.model.biases, strict=True))
        for number, (weight, bias) in enumerate(parts):
            arrays = {"weight": weight.astype(np.float64), "bias": bias.astype(np.float64)}
            layers.append(("dense", arrays))
            if number < len(parts) - 1:
                layers.append(("silu", {}))
        if self.classes is None:
            low, high = (np.array(one) for one in self.bounds)
            layers.append(("scale", {"factor": np.array([self.spread]), "shift": np.array([self.centre])}))
            layers.append(("bound", {"low": low, "high": high}))
        return Network(self.width, layers, self.classes)


def _bent(X: Matrix, bins: int) -> list[Layer]:
    """Gives the layers that bend numbers at their quantiles; without bins they are only kept from far out."""
    soft: Layer = ("soft_clip", {"limit": np.array(SOFT_LIMIT)})
    bins = min(bins, MOST_BENT // max(X.shape[1], 1))
    edges = [_edges(X[:, place], bins) for place in range(X.shape[1])]
    if not any(len(one) for one in edges):
        return [soft]
    width = sum(max(1, len(one) - 1) for one in edges)
    weight, bias = np.zeros((X.shape[1], width)), np.zeros(width)
    low, high = np.zeros(width), np.ones(width)
    start = 0
    for place, one in enumerate(edges):
        if not len(one):
            weight[place, start] = 1.0
            low[start], high[start] = -SOFT_LIMIT, SOFT_LIMIT
            start += 1
            continue
        slopes = 1.0 / np.diff(one)
        own = slice(start, start + len(slopes))
        weight[place, own], bias[own] = slopes, -one[:-1] * slopes
        start += len(slopes)
    return [("dense", {"weight": weight, "bias": bias}), ("bound", {"low": low, "high": high})]


def _edges(values: Matrix, bins: int) -> Matrix:
    """Gives the quantiles of a column that are apart; none for one with few different values."""
    if bins < 2 or len(np.unique(values)) < FEWEST_STEPS:
        return np.zeros(0)
    found = np.quantile(values, np.linspace(0.0, 1.0, bins + 1))
    kept = [float(found[0])]
    for edge in found[1:]:
        if edge - kept[-1] >= NARROWEST:
            kept.append(float(edge))
    return np.array(kept) if len(kept) > 2 else np.zeros(0)
