"""Scales of a target that is a number: one more thing that the search may vary where it is skewed.

A model learns the logarithm or the square root of the number, and its answers are put back afterwards
(`estimators.rescaled`), so that they can be compared and averaged with the others. Whether that is better
is seen on rows that it did not learn from, as for everything that the search varies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.estimators.rescaled import SCALES, Rescaled
from everloop.model.learners.learner import Parameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

TARGET_SCALE = "target_scale"
"""The key in a configuration: a name of `rescaled.SCALES`."""

DIMENSION = Parameter(TARGET_SCALE, "choice", choices=(None, *SCALES))
SKEWED = 0.25
"""Scales are tried where the target's third standardised moment is greater: a long tail upwards."""

ABOVE = 0.05
"""So much of the mean is added before a number is scaled: a logarithm has no answer at 0."""


def rescales(frame: Frame, actual: NDArray[Any]) -> bool:
    """Whether scales of the target are worth trying: where large numbers are rare and far away."""
    if frame.task != "regression" or actual.std() <= 0:
        return False
    apart = (actual - actual.mean()) / actual.std()
    return bool(np.mean(apart**3) > SKEWED)


class TargetScale:
    """A scale, with what it takes from the numbers that are learned from.

    Args:
        y: The numbers that are learned from, (n,).
        configuration: Where a scale may be named; otherwise numbers are left as they are.
    """

    def __init__(self, y: NDArray[Any], configuration: Mapping[str, Any]) -> None:
        self.name = configuration.get(TARGET_SCALE)
        if self.name is None:
            return
        lowest = min(0.0, float(y.min()))
        self.shift = ABOVE * (float(np.mean(y)) - lowest) - lowest
        if self.shift <= -lowest:  # all numbers are the same, or 0
            self.shift = 1.0 - lowest
        bent = SCALES[self.name].forward(y + self.shift)
        self.centre, self.spread = float(bent.mean()), float(bent.std()) or 1.0
        within = (bent - self.centre) / self.spread
        self.bounds = (float(within.min()), float(within.max()))

    def forward(self, y: NDArray[Any]) -> NDArray[Any]:
        """Gives numbers as they are learned; those below all that were learned from are the lowest."""
        if self.name is None:
            return y
        low = SCALES[self.name].back(self.bounds[0] * self.spread + self.centre)
        scaled: NDArray[Any] = SCALES[self.name].forward(np.maximum(y + self.shift, low))
        return (scaled - self.centre) / self.spread

    def put_back(self, estimator: Any) -> Any:
        """Gives an estimator whose answers are on the target's own scale."""
        if self.name is None:
            return estimator
        return Rescaled(estimator, self.name, self.shift, self.centre, self.spread, self.bounds)
