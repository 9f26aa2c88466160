"""What training a network is, whatever trains it: the lesson, its schedule, and what is left of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.learners.network import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

KEPT_ASIDE = 0.15
"""The share of rows that choose the epoch and are not learned from."""

PATIENCE = 0.35
"""Training ends when this share of all epochs has passed without a better one."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network learns.

    Attributes:
        epochs: Passes over the rows.
        rate: The greatest learning rate.
        decay: AdamW's weight decay.
        smoothing: How much of a class's certainty is spread over all.
    """

    epochs: int
    rate: float
    decay: float
    smoothing: float

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Schedule:
        """Reads a learner's configuration."""
        return cls(
            epochs=int(configuration.get("epochs", 40)),
            rate=float(configuration.get("learning_rate", 0.003)),
            decay=float(configuration.get("weight_decay", 0.01)),
            smoothing=float(configuration.get("smoothing", 0.0)),
        )


@dataclass(frozen=True, slots=True)
class TrainedModule:
    """What training leaves: the module at its best epoch, its classes, and layers that follow it."""

    module: Any
    classes: NDArray[Any] | None
    last: tuple[Layer, ...] = ()


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a network learns from.

    Attributes:
        X: Rows of a weight above 0, (n, width).
        goal: Class indices from 0, or numbers on their own scale, (n,).
        weights: One for each row, 1 on average, (n,).
        classes: What each output stands for; None for a number.
        last: Layers that give a number its unit back, and keep it within those that were learned from.
    """

    X: Matrix
    goal: NDArray[Any]
    weights: Matrix
    classes: NDArray[Any] | None
    last: tuple[Layer, ...]

    @property
    def outputs(self) -> int:
        """How many outputs the network has."""
        return 1 if self.classes is None else len(self.classes)


def lesson_of(X: Matrix, y: NDArray[Any], weights: Matrix | None, task: Task) -> Lesson:
    """Puts a lesson together: classes are learned by cross-entropy, numbers by squared error."""
    each = np.ones(len(X)) if weights is None else np.asarray(weights, dtype=np.float64)
    known = each > 0
    X, y, each = X[known], y[known], each[known]
    each = each / each.mean()
    if task != "regression":
        classes = np.unique(y)
        return Lesson(X, np.searchsorted(classes, y), each, classes, ())
    centre, spread = float(np.average(y, weights=each)), float(y.std()) or 1.0
    bounds: Layer = ("bound", {"low": np.array(float(y.min())), "high": np.array(float(y.max()))})
    unit: Layer = ("scale", {"factor": np.array([spread]), "shift": np.array([centre])})
    return Lesson(X, (y - centre) / spread, each, None, (unit, bounds))


def kept_aside(lesson: Lesson, seed: int) -> NDArray[np.bool_]:
    """Chooses rows evenly; of classes, each gives its share."""
    order = np.random.default_rng(seed).permutation(len(lesson.goal))
    if lesson.classes is not None:
        order = order[np.argsort(lesson.goal[order], kind="stable")]
    every = round(1.0 / KEPT_ASIDE)
    aside = np.zeros(len(lesson.goal), dtype=bool)
    aside[order[every // 2 :: every]] = True
    return aside
