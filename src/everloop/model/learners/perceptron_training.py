"""Trains a small multilayer perceptron with NumPy alone: AdamW, dropout, a rate that falls along a cosine."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Single = NDArray[np.float32]

BATCH = 256
EPOCHS = 60
MOST_STEPS = 6_000
"""With many rows there are fewer passes over them."""

WARM_UP = 0.05
FIRST_MOMENT, SECOND_MOMENT, TINY = 0.9, 0.98, 1e-8


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast it learns.

    Attributes:
        units: Of each hidden layer.
        rate: The greatest learning rate.
        dropout: The share of a hidden layer that is silent in a step.
        decay: How much of each weight is lost in a step, times the rate.
        epochs: Over how many the rate falls.
    """

    units: tuple[int, ...]
    rate: float
    dropout: float
    decay: float
    epochs: int

    @classmethod
    def of(cls, configuration: Mapping[str, Any], rows: int) -> Schedule:
        """Reads a learner's configuration."""
        layers = int(configuration.get("layers", 2))
        steps = max(1, -(-rows // BATCH))
        return cls(
            units=(int(configuration.get("units", 128)),) * layers,
            rate=float(configuration.get("learning_rate", 0.003)),
            dropout=float(configuration.get("dropout", 0.1)),
            decay=float(configuration.get("weight_decay", 0.02)),
            epochs=max(2, min(EPOCHS, MOST_STEPS // steps)),
        )


class Perceptron:
    """Weights as they are learned; rows and answers are single precision.

    Args:
        width: The length of a row.
        outputs: How many numbers it gives.
        schedule: How it learns.
        softmax: Whether the outputs are chances of classes; otherwise one number.
        seed: What chance is drawn from.
    """

    def __init__(self, width: int, outputs: int, schedule: Schedule, *, softmax: bool, seed: int) -> None:
        self.schedule, self.softmax = schedule, softmax
        self._random = np.random.default_rng(seed)
        sizes = (width, *schedule.units)
        self.weights = [
            (self._random.standard_normal((low, high)) * math.sqrt(1.5 / max(low, 1))).astype(np.float32)
            for low, high in pairwise(sizes)
        ]
        self.weights.append(np.zeros((sizes[-1], outputs), dtype=np.float32))
        self.biases = [np.zeros(one.shape[1], dtype=np.float32) for one in self.weights]
        self._moments = [(np.zeros_like(one), np.zeros_like(one)) for one in self.parameters()]
        self._step = 0

    def parameters(self) -> list[Single]:
        """Gives everything that is learned, as it is."""
        return [*self.weights, *self.biases]

    def outputs(self, x: Single) -> Single:
        """Gives what the last layer says, before any softmax."""
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = x @ weight + bias
            x = z / (1.0 + np.exp(-z))
        said: Single = x @ self.weights[-1] + self.biases[-1]
        return said

    def loss(self, x: Single, goal: NDArray[Any], each: Single) -> float:
        """Gives the mean cross-entropy, or squared error."""
        said = self.outputs(x).astype(np.float64)
        if not self.softmax:
            return float(np.average((said[:, 0] - goal) ** 2, weights=each))
        said -= said.max(axis=1, keepdims=True)
        chosen = said[np.arange(len(goal)), goal] - np.log(np.exp(said).sum(axis=1))
        return float(-np.average(chosen, weights=each))

    def epoch(self, x: Single, goal: NDArray[Any], each: Single) -> None:
        """Learns from every row once, in an order that is drawn."""
        order = self._random.permutation(len(x))
        steps = max(1, -(-len(x) // BATCH))
        for rows in np.array_split(order, steps):
            self._learn(x[rows], goal[rows], each[rows], self.schedule.epochs * steps)

    def _learn(self, x: Single, goal: NDArray[Any], each: Single, all_steps: int) -> None:
        kept = np.float32(1.0 - self.schedule.dropout)
        inputs, slopes = [x], []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            z = inputs[-1] @ weight + bias
            gate = 1.0 / (1.0 + np.exp(-z))
            mask = (self._random.random(z.shape, dtype=np.float32) < kept) / kept
            inputs.append(z * gate * mask)
            slopes.append(gate * (1.0 + z * (1.0 - gate)) * mask)
        error = self._error(inputs[-1] @ self.weights[-1] + self.biases[-1], goal)
        error *= (each / max(float(each.sum()), TINY))[:, None]
        of_weights: list[Single] = []
        of_biases: list[Single] = []
        for place in range(len(self.weights) - 1, -1, -1):
            of_weights.insert(0, inputs[place].T @ error)
            of_biases.insert(0, error.sum(axis=0))
            if place:
                error = (error @ self.weights[place].T) * slopes[place - 1]
        self._move([*of_weights, *of_biases], all_steps)

    def _error(self, said: Single, goal: NDArray[Any]) -> Single:
        if not self.softmax:
            slopes: Single = 2.0 * (said - goal[:, None])
            return slopes
        powers = np.exp(said - said.max(axis=1, keepdims=True))
        chances: Single = powers / powers.sum(axis=1, keepdims=True)
        chances[np.arange(len(goal)), goal] -= 1.0
        return chances

    def _move(self, gradients: list[Single], all_steps: int) -> None:
        self._step += 1
        done = self._step / all_steps
        rate = (
            self.schedule.rate * min(1.0, done / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))
        )
        first, second = 1.0 - FIRST_MOMENT**self._step, 1.0 - SECOND_MOMENT**self._step
        moved = zip(self.parameters(), gradients, self._moments, strict=True)
        for number, (value, gradient, (mean, square)) in enumerate(moved):
            mean[...] += (1.0 - FIRST_MOMENT) * (gradient - mean)
            square[...] += (1.0 - SECOND_MOMENT) * (gradient * gradient - square)
            if number < len(self.weights):
                value[...] *= np.float32(1.0 - rate * self.schedule.decay)
            value[...] -= np.float32(rate / first) * mean / (np.sqrt(square / np.float32(second)) + TINY)


def learn(
    model: Perceptron,
    rows: tuple[Single, NDArray[Any], Single],
    *,
    rounds: int,
    judges: tuple[Single, NDArray[Any], Single] | None = None,
    seconds: float = float("inf"),
    patience: int = 0,
    timer: Callable[[], float] = time.perf_counter,
) -> int:
    """Learns for so many epochs, or until other rows gain nothing; gives the epochs that were best.

    Args:
        model: What learns; it is left with the weights of its best epoch.
        rows: Rows, their goals and weights.
        rounds: The most epochs.
        judges: Rows that are not learned from, where the best epoch is to be found.
        seconds: After so many it ends.
        patience: It ends after so many epochs without a gain.
        timer: Seconds from any start.
    """
    until = timer() + seconds
    best, best_loss, kept = 0, math.inf, [one.copy() for one in model.parameters()]
    for number in range(1, rounds + 1):
        model.epoch(*rows)
        if judges is None:
            continue
        loss = model.loss(*judges)
        if loss < best_loss:
            best, best_loss, kept = number, loss, [one.copy() for one in model.parameters()]
        if number - best >= patience or timer() >= until:
            break
    if judges is None:
        return rounds
    for value, was in zip(model.parameters(), kept, strict=True):
        value[...] = was
    return max(1, best)
