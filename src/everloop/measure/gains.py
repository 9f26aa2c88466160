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


def holm(chances: ArrayLike) -> NDArray[np.float64]:
    """Corrects chances for how many were looked at, so that one of them errs no more often than stated.

    Args:
        chances: Of each thing alone, shape (n,).

    Returns:
        The corrected ones, shape (n,): those below a level hold together at that level.

    Example:
        >>> holm([0.01, 0.04, 0.02]).tolist()
        [0.03, 0.04, 0.04]

    Source:
        Holm, "A simple sequentially rejective multiple test procedure" (1979).
    """
    values = np.asarray(chances, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * np.arange(len(values), 0, -1)
    corrected = np.empty_like(values)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(steps))
    return corrected
