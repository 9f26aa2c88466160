"""A model that was trained on a scaled target, with its answers put back on the target's own scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scale:
    """A function of numbers above 0, and the one that undoes it."""

    forward: Callable[[Any], Any]
    back: Callable[[Any], Any]


SCALES = {"log": Scale(np.log, np.exp), "root": Scale(np.sqrt, np.square)}
"""Box and Cox's powers 0 and 1/2 ("An analysis of transformations", 1964), each by its name."""


class Rescaled:
    """Undoes what a scale did to the target.

    Answers are kept within those that were learned from: beyond them a small error would become a large one.

    Args:
        estimator: Fitted on ``(scale(y + shift) - centre) / spread``.
        scale: A name of `SCALES`.
        shift: What was added before.
        centre: What was taken off after.
        spread: What it was divided by.
        bounds: The least and the greatest number that the estimator was fitted on.
    """

    def __init__(
        self,
        estimator: Any,
        scale: str,
        shift: float,
        centre: float,
        spread: float,
        bounds: Sequence[float],
    ) -> None:
        self.estimator = estimator
        self.scale = scale
        self.shift, self.centre, self.spread = shift, centre, spread
        self.bounds = list(bounds)

    def predict(self, X: NDArray[Any]) -> NDArray[np.float64]:
        """Gives the number for each row, (n,)."""
        said = np.asarray(self.estimator.predict(X), dtype=np.float64).reshape(len(X))
        low, high = self.bounds
        bent = np.clip(said, low, high) * self.spread + self.centre
        numbers: NDArray[np.float64] = SCALES[self.scale].back(bent) - self.shift
        return numbers
