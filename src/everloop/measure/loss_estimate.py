"""The error of predicted numbers before their actuals are known (direct loss estimation).

How large errors are is learned on the reference, in cells of something that tells it: the prediction
itself, or a model of the error. It supposes that this relation stays (no concept drift).

Example:
    >>> import numpy as np
    >>> told = np.linspace(1, 2, 1000)
    >>> losses = told * np.random.default_rng(0).exponential(size=1000)
    >>> estimate_loss(told, told, losses, "mae").contains(1.5)
    True
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats, numbers, same_length, weight_by
from everloop.measure.intervals import Interval

_FEWEST_ROWS = 20
_ROWS_A_CELL = 50
_MOST_CELLS = 50

LOSSES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "mae": lambda actual, predicted: np.abs(actual - predicted),
    "mse": lambda actual, predicted: (actual - predicted) ** 2,
    "rmse": lambda actual, predicted: (actual - predicted) ** 2,
}
"""The loss of a row, by the metric that is its mean (or the root of its mean)."""


def estimate_loss(
    told: ArrayLike,
    reference_told: ArrayLike,
    reference_losses: ArrayLike,
    metric: str,
    *,
    confidence: float = 0.95,
) -> Interval:
    """Estimates a metric of a window from how large losses were where the reference was alike.

    Args:
        told: What tells the loss of each row of the window, shape (n,).
        reference_told: The same of rows with known losses, which it was not learned from, shape (m,).
        reference_losses: Their losses as `LOSSES` has them, shape (m,).
        metric: A key of `LOSSES`.
        confidence: How often the interval shall hold what will be measured.

    Returns:
        The estimate; the interval holds the error of the reference's means and that of the window's rows.

    Raises:
        UsageFault: When the metric is not known.
        DataFault: When there are fewer than 20 rows with losses.

    Source:
        The idea of NannyML's direct loss estimation; means in cells, with the variance of a stratified
        mean (Cochran, "Sampling Techniques", 1977, chapter 5).
    """
    if metric not in LOSSES:
        raise UsageFault(f"{metric!r} is no mean of losses; known are {', '.join(LOSSES)}.")
    window, reference = numbers(told, "window"), numbers(reference_told, "reference")
    losses = numbers(reference_losses, "losses")
    same_length(reference.size, losses=losses)
    if reference.size < _FEWEST_ROWS:
        raise DataFault(f"There are {reference.size} rows with known losses; {_FEWEST_ROWS} are needed.")
    if not window.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    cells = int(np.clip(reference.size // _ROWS_A_CELL, 1, _MOST_CELLS))
    edges = np.unique(np.quantile(reference, np.arange(1, cells) / cells, method="inverted_cdf"))
    place, known = (np.searchsorted(edges, each, side="right") for each in (window, reference))
    rows = weight_by(known, np.ones(losses.size), edges.size + 1)
    mean = weight_by(known, losses, rows.size) / np.maximum(rows, 1)
    variance = weight_by(known, (losses - mean[known]) ** 2, rows.size) / np.maximum(rows - 1, 1)
    share = weight_by(place, np.ones(window.size), rows.size) / window.size
    empty = rows == 0
    mean[empty], variance[empty] = losses.mean(), losses.var()
    error = np.sum(share**2 * variance / np.maximum(rows, 1)) + np.sum(share * variance) / window.size
    reach = NormalDist().inv_cdf((1 + confidence) / 2) * float(np.sqrt(error))
    middle = float(share @ mean)
    ends = (max(0.0, middle - reach), middle, middle + reach)
    return Interval(*(float(np.sqrt(end)) if metric == "rmse" else end for end in ends))
