"""The traces that a mean of the target leaves in a column, known by grouping the targets by its values.

- *a known estimate*: the values are the targets' means, the means drawn to the overall one by one number
  of rows (Micci-Barreca 2001), or by as many as the scatter within a category asks for (empirical
  Bayes, as scikit-learn's `TargetEncoder` does);
- *a known shape*: the values lie on a line over the means, their logarithms or their log-odds;
- *too close*: the means scatter about a smooth curve of the values less than chance lets targets
  scatter. A column that does not know the rows' targets cannot foresee their noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from everloop.data.leaks.target_sums import TargetSums
    from everloop.data.leaks.values import Floats

FEWEST_VALUES = 4
FEWEST_ON_A_LINE = 6
FEWEST_TO_SCATTER = 15
EXACT = 1e-6
ON_A_LINE = 1e-9
ROUNDING = 1e-12
UNLIKELY = 1e-8
EXPECTED_ROWS = 3.0
"""Chi-square describes values of which so many rows of each class are to be expected (Cochran 1954)."""

SCATTER = 0.5
"""Means that scatter less than this part of what chance gives are too close."""

MOST_MISSES = 0.25
"""Values that two categories share by chance are off; so may this part of them be."""


@dataclass(frozen=True)
class Grouped:
    """Targets, grouped by a column's values.

    Attributes:
        values: The values, in order, (m,).
        counts: Rows of each, (m,).
        means: The mean target of each, (m,).
        variances: The variance of the targets of each, (m,).
        overall: The mean target.
        variance: The variance of all targets.
        binary: Whether the target is 0 or 1.
    """

    values: Floats
    counts: Floats
    means: Floats
    variances: Floats
    overall: float
    variance: float
    binary: bool

    @property
    def within(self) -> float:
        """The variance of a target among rows of one value."""
        freedom = max(float(self.counts.sum()) - len(self.values), 1.0)
        return float((self.variances * self.counts).sum()) / freedom


def group_targets(numbers: Floats, summed: TargetSums) -> Grouped:
    """Groups targets by a column's values.

    Args:
        numbers: The values as numbers, NaN where missing, (m,).
        summed: The targets of each value.
    """
    known = ~np.isnan(numbers)
    # The last digits of equal means may differ by the order in which they were summed.
    values, codes = np.unique(np.round(numbers[known], 12), return_inverse=True)
    counts, sums, squares = (
        np.bincount(codes, weights=one[known], minlength=len(values)).astype(np.float64)
        for one in (summed.rows, summed.sums, summed.squares)
    )
    means = sums / counts
    variances = np.maximum(squares / counts - means**2, 0.0)
    rows = float(counts.sum())
    overall = float(sums.sum()) / rows
    variance = max(float(squares.sum()) / rows - overall**2, 0.0)
    centre = summed.centre
    return Grouped(values, counts, means + centre, variances, overall + centre, variance, summed.binary)


def trace_of(grouped: Grouped) -> dict[str, Any] | None:
    """Gives the trace of a mean of the target, with its numbers; None where there is none."""
    if len(grouped.values) < FEWEST_VALUES or np.ptp(grouped.means) < EXACT:
        return None
    if not grouped.within > ROUNDING * grouped.variance:
        return None
    return next((found for look in _TRACES if (found := look(grouped)) is not None), None)


def _plain(grouped: Grouped) -> dict[str, Any] | None:
    if not _fits(grouped, grouped.means):
        return None
    return {"trace": "its values are the means"}


def _drawn(grouped: Grouped) -> dict[str, Any] | None:
    """Recognises value * (rows + m) = sum + m * overall, with one m for all."""
    pull = grouped.overall - grouped.values
    usable = np.abs(pull) > 1e-3 * np.sqrt(grouped.variance)
    if usable.sum() < FEWEST_VALUES or len(np.unique(grouped.counts[usable])) < FEWEST_VALUES:
        return None
    drawn = (grouped.values - grouped.means)[usable] * grouped.counts[usable] / pull[usable]
    for rows in np.quantile(drawn, (0.5, 0.25, 0.1), method="nearest"):
        if rows <= 0:
            continue
        # Categories with equal means share a value, whose rows are then theirs together.
        sharing = np.ones_like(grouped.counts)
        sharing[usable] = np.maximum(np.round(drawn / rows), 1.0)
        counts = grouped.counts / sharing
        if _fits(grouped, (counts * grouped.means + rows * grouped.overall) / (counts + rows)):
            return {"trace": f"its values are the means, drawn to the overall one by {rows:.3g} rows"}
    return None


def _empirical_bayes(grouped: Grouped) -> dict[str, Any] | None:
    off = grouped.means - grouped.overall
    seen = np.clip((grouped.values - grouped.overall) / np.where(off == 0, 1.0, off), 0.0, 1 - 1e-12)
    rows = seen * grouped.variances / (grouped.variance * (1 - seen))
    sharing = np.maximum(np.round(grouped.counts / np.maximum(rows, 1e-12)), 1.0)
    informed = grouped.variance * grouped.counts / np.where(rows > 0, sharing, 1.0)
    weight = informed / np.maximum(informed + grouped.variances, 1e-300)
    if not _fits(grouped, weight * grouped.means + (1 - weight) * grouped.overall):
        return None
    return {"trace": "its values are the means, drawn to the overall one by empirical Bayes"}


def _fits(grouped: Grouped, estimate: Floats) -> bool:
    off = np.abs(grouped.values - estimate) / np.sqrt(grouped.variance)
    return bool((off < EXACT).mean() >= 1 - MOST_MISSES)


def _on_a_line(grouped: Grouped) -> dict[str, Any] | None:
    inside = (grouped.means > 0) & (grouped.means < 1) if grouped.binary else grouped.means > 0
    shapes: dict[str, tuple[Any, Callable[[Floats], Floats]]] = {
        "means": (np.ones_like(inside), lambda x: x),
        "logarithms of the means": (inside, np.log),
    }
    if grouped.binary:
        shapes["log-odds of the means"] = (inside, lambda x: np.log(x / (1 - x)))
    for shape, (use, of) in shapes.items():
        if use.sum() < max(FEWEST_ON_A_LINE, (1 - MOST_MISSES) * len(use)):
            continue
        x, y = of(grouped.means[use]), grouped.values[use]
        if np.ptp(x) > 0 and 1 - float(np.corrcoef(x, y)[0, 1]) ** 2 < ON_A_LINE:
            return {"trace": f"its values lie on a line over the {shape}"}
    return None


def _too_close(grouped: Grouped) -> dict[str, Any] | None:
    """Compares the scatter of the means about a curve with what chance gives: chi-square's lower tail."""
    from scipy.stats import chi2

    rarer = min(grouped.overall, 1 - grouped.overall) if grouped.binary else 1.0
    use = grouped.counts * rarer >= (EXPECTED_ROWS if grouped.binary else 2)
    if use.sum() < FEWEST_TO_SCATTER:
        return None
    values, counts, means = grouped.values[use], grouped.counts[use], grouped.means[use]
    v, few = (values - values.mean()) / (values.std() or 1.0), 1 / counts
    terms = np.stack([np.ones_like(v), v, v**2, v**3, v * few, few], axis=1)
    noise = np.full(len(v), grouped.overall * (1 - grouped.overall) if grouped.binary else grouped.within)
    for _ in range(2):  # of a class the noise follows from the curve, which is fitted with it
        weights = np.sqrt(counts / noise)
        fit, *_ = np.linalg.lstsq(terms * weights[:, None], means * weights, rcond=None)
        curve = terms @ fit
        if grouped.binary:
            likely = np.clip(curve, rarer / 5, 1 - rarer / 5)
            noise = likely * (1 - likely)
    scatter = float(((means - curve) ** 2 * counts / noise).sum())
    degrees = len(v) - terms.shape[1]
    chance = float(chi2.cdf(scatter, degrees))
    if scatter > SCATTER * degrees or chance > UNLIKELY:
        return None
    share = scatter / degrees
    return {
        "trace": f"the means scatter about its values {share:.2g} times as much as chance gives",
        "scatter": share,
        "chance": chance,
    }


_TRACES = (_plain, _drawn, _empirical_bayes, _on_a_line, _too_close)
