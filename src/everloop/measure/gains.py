"""Whether gains that were measured row by row are more than chance, of one thing or of many at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def gain_chances(gains: ArrayLike, *, widened: float = 1.0) -> NDArray[np.float64]:
    """The chance of a mean gain at least as large where nothing is gained: Student's test, one-sided.

    Args:
        gains: A row for each sample, shape (samples, things), at least two samples.
        widened: How many times the mean's error is that of samples that are independent.

    Returns:
        Between 0 and 1, shape (things,); 0.5 where all gains are 0.

    Example:
        >>> gain_chances([[0.9, 0.0], [1.1, 0.0], [1.0, 0.0]]).round(3).tolist()
        [0.002, 0.5]
    """
    from scipy.special import stdtr

    values = np.asarray(gains, dtype=np.float64)
    mean = values.mean(axis=0)
    error = widened * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    sure = np.where(mean == 0, 0.0, np.copysign(np.inf, mean))
    certainty = np.divide(mean, error, out=sure, where=error > 0)
    return np.asarray(stdtr(len(values) - 1, -certainty), dtype=np.float64)


def false_share(chances: ArrayLike) -> NDArray[np.float64]:
    """Corrects chances for how many were looked at, by the share of false ones among those that are told.

    Args:
        chances: Of each thing alone, shape (n,).

    Returns:
        The corrected ones, shape (n,): of the things whose number is at most a level, no greater share than
        the level gains nothing, in the mean.

    Example:
        >>> false_share([0.01, 0.06, 0.02]).tolist()
        [0.03, 0.06, 0.03]

    Source:
        Benjamini and Hochberg, "Controlling the false discovery rate" (1995).
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    shares = values[order] * len(values) / np.arange(1, len(values) + 1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum.accumulate(shares[::-1])[::-1]
    return corrected
