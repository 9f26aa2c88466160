"""What more labels would bring: a learning curve, fitted and carried on with an interval.

Several families are fitted (inverse power laws with and without a shift, MMF, exponential); the interval
holds the noise of the measured points and the families' disagreement. A curve that is not well-behaved
is not carried on.

Source:
    Viering and Loog, "The shape of learning curves: a review", arXiv 2103.10948 (POW3, POW4, MMF4,
    EXP3); about one curve in seven is ill-behaved: LCDB 1.1, arXiv 2505.15657.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, NotFeasible
from everloop.measure.arrays import Floats, Integers, numbers, same_length
from everloop.measure.intervals import Interval, normal_quantile

Limits = tuple[float, float]
ANY: Limits = (-np.inf, np.inf)
"""Scores without a limit."""

_FEWEST_SIZES = 4
_DRAWS = 200
_MOVES = 21
_WORST_FIT = 2.0
_STEEPEST = 3.0
_DIP = 3.0
_RATES = np.geomspace(0.05, 2.0, 25)


@dataclass(frozen=True, slots=True)
class _Shape:
    """One curve up to offset and factor: score(n) = offset + factor * basis(n / smallest size)."""

    family: str
    rate: float
    shift: float

    def basis(self, ratio: Floats) -> Floats:
        if self.family == "power":
            basis: Floats = (ratio + self.shift) ** -self.rate
        elif self.family == "mmf":
            basis = self.shift / (self.shift + ratio**self.rate)
        else:
            basis = np.exp(-self.rate * self.shift * (ratio - 1))
        return basis


def _shapes() -> Iterator[_Shape]:
    for rate in _RATES:
        yield from (_Shape("power", float(rate), shift) for shift in (0.0, 1.0, 4.0))
        yield from (_Shape("mmf", float(rate), shift) for shift in (0.5, 2.0, 8.0))
        yield _Shape("exponential", float(rate), 0.25)


_SHAPES = tuple(_shapes())


@dataclass(frozen=True, slots=True)
class LearningCurve:
    """A fitted learning curve.

    Attributes:
        well_behaved: Whether it may be carried on.
        reason: Why it may not, or what was found.
        sizes: The distinct sizes that were measured, rising.
        means: The mean score at each.
    """

    well_behaved: bool
    reason: str
    sizes: Floats
    means: Floats
    _shape: tuple[int, ...]
    _offset: tuple[float, ...]
    _factor: tuple[float, ...]
    _common_error: float = 0.0

    def at(self, size: float, *, confidence: float = 0.95) -> Interval:
        """The score expected at a size, with its interval.

        Raises:
            NotFeasible: When the curve is not well-behaved.
            DataFault: When the size is not above 0.
        """
        if not self.well_behaved:
            raise NotFeasible(f"This learning curve is not carried on: {self.reason}")
        if not size > 0:
            raise DataFault(f"A size of {size:g} was asked for; a number of rows above 0 was expected.")
        found = _evaluate(self._shape, self._offset, self._factor, size / self.sizes[0])
        tail = (1 - confidence) / 2
        found = _moved(found, self._common_error)
        low, middle, high = np.quantile(found, (tail, 0.5, 1 - tail))
        return Interval(float(low), float(middle), float(high))


def fit_learning_curve(
    sizes: ArrayLike,
    scores: ArrayLike,
    *,
    common_error: float = 0.0,
    limits: Limits = ANY,
    seed: int = 0,
) -> LearningCurve:
    """Fits a learning curve to scores measured at several sizes.

    It is well-behaved when at least 4 sizes were measured, the mean score does not turn back by more than
    3 standard errors, and the curve fitted without the largest size foretells the score there.

    Args:
        sizes: Rows learned from, shape (n,); repeats of a size are separate entries.
        scores: The score of each, shape (n,); more may be better or worse.
        common_error: The standard error that all scores share, as they were measured on the same rows.
        limits: The least and the greatest score that there can be.
        seed: Of the draws behind the interval.

    Returns:
        The curve.

    Raises:
        DataFault: When the arrays do not fit each other, or a size is not above 0.
    """
    x, y = numbers(sizes, "sizes"), numbers(scores, "scores")
    same_length(x.size, scores=y)
    if (x <= 0).any():
        raise DataFault(f"A size is {x.min():g}; numbers of rows above 0 were expected.")
    distinct, group = np.unique(x, return_inverse=True)
    repeats = np.bincount(group, minlength=distinct.size).astype(np.int64)
    means = np.bincount(group, y, distinct.size) / np.maximum(repeats, 1)
    if distinct.size < _FEWEST_SIZES:
        reason = f"scores at {distinct.size} sizes; at least {_FEWEST_SIZES} are needed"
        return LearningCurve(False, reason, distinct, means, (), (), ())
    noise = _noise_of_means(distinct, means, y, group, repeats)
    fault = _turns_back(means, noise) or _misses_the_largest(distinct, means, noise, limits, seed)
    # What the best curve leaves over is noise too, for repeats of a size share most of their rows.
    errors = noise * max(1.0, _left_over(distinct, means, noise, limits))
    reason = fault or f"{distinct.size} sizes follow a curve that also foretells the largest"
    drawn = _draw(distinct, means, errors, limits, seed)
    return LearningCurve(not fault, reason, distinct, means, *drawn, common_error)


def _moved(found: Floats, error: float) -> Floats:
    """Each drawn score moved by the quantiles of an error that all share."""
    steps = np.array([normal_quantile((place + 0.5) / _MOVES) for place in range(_MOVES)])
    return np.asarray((found[:, np.newaxis] + error * steps).ravel())


def _left_over(sizes: Floats, means: Floats, errors: Floats, limits: Limits = ANY) -> float:
    """The deviation of the means from the best curve, in units of their errors."""
    _, left = _fit_all(sizes, means[None, :], errors, limits)
    return float(np.sqrt(left.min() / max(1, sizes.size - 3)))


def _noise_of_means(
    sizes: Floats, means: Floats, scores: Floats, group: Integers, repeats: Integers
) -> Floats:
    """The standard error of each mean: from repeats, or from what a curve without the largest leaves.

    The spread of repeats falls with the size by a power, as it does for losses above all.
    """
    # A wiggle of a hundredth of the whole rise is no fault of a curve.
    floor = max(0.01 * float(np.ptp(means)), 1e-9 * max(1.0, float(np.abs(means).max())))
    if scores.size == sizes.size:
        ones = np.ones(sizes.size - 1)
        return np.full(means.shape, max(_left_over(sizes[:-1], means[:-1], ones), floor))
    squares = np.bincount(group, (scores - means[group]) ** 2, sizes.size)
    freedom = np.maximum(repeats - 1, 0)
    pooled = float(squares.sum() / freedom.sum())
    told = (freedom > 0) & (squares > 0)
    slope = 0.0
    if told.sum() > 2:
        slope = float(np.polyfit(np.log(sizes[told]), np.log(squares[told] / freedom[told]), 1)[0])
    shape = sizes ** float(np.clip(slope, -_STEEPEST, 0.0))
    spread = np.sqrt(pooled * shape * freedom.sum() / np.sum(shape * freedom))
    return np.asarray(np.maximum(spread / np.sqrt(repeats), floor))


def _fit_all(sizes: Floats, targets: Floats, errors: Floats, limits: Limits = ANY) -> tuple[Floats, Floats]:
    """Fits every shape to every row of targets by weighted least squares.

    Returns:
        Offsets and factors, shape (2, draws, shapes); and the sums of squares left, (draws, shapes).
    """
    basis = np.stack([shape.basis(sizes / sizes[0]) for shape in _SHAPES])
    weight = 1 / errors**2 / np.sum(1 / errors**2)
    centre = basis @ weight
    moved = basis - centre[:, None]
    scale = np.maximum((moved**2) @ weight, 1e-300)
    level = targets @ weight
    factor = ((targets * weight) @ moved.T) / scale
    offset = level[:, None] - factor * centre
    # A curve ends at its offset, which no score can be beyond: there it is held, and its factor fitted again.
    held = np.clip(offset, *limits)
    through = np.maximum((basis**2) @ weight, 1e-300)
    again = ((targets * weight) @ basis.T - held * centre) / through
    factor = np.where(held == offset, factor, again)
    fitted = held[:, :, None] + factor[:, :, None] * basis
    left = np.sum(((targets[:, None, :] - fitted) / errors) ** 2, axis=2)
    return np.stack((held, factor)), left


def _draw(
    sizes: Floats, means: Floats, errors: Floats, limits: Limits, seed: int
) -> tuple[tuple[int, ...], tuple[float, ...], tuple[float, ...]]:
    """Draws the means again within their errors and fits each draw with every family that fits."""
    random = np.random.default_rng(seed)
    targets = means + errors * random.standard_normal((_DRAWS, means.size))
    (offset, factor), left = _fit_all(sizes, targets, errors, limits)
    families = np.array([shape.family for shape in _SHAPES])
    shapes, offsets, factors = [], [], []
    for family in np.unique(families):
        members = np.flatnonzero(families == family)
        best = members[np.argmin(left[:, members], axis=1)]
        rows = np.arange(_DRAWS)
        fits = left[rows, best] <= _WORST_FIT * left.min(axis=1) + sizes.size
        shapes.extend(best[fits].tolist())
        offsets.extend(offset[rows, best][fits].tolist())
        factors.extend(factor[rows, best][fits].tolist())
    return tuple(shapes), tuple(offsets), tuple(factors)


def _evaluate(
    shapes: tuple[int, ...], offsets: tuple[float, ...], factors: tuple[float, ...], ratio: float
) -> Floats:
    basis = np.array([float(shape.basis(np.array(ratio))) for shape in _SHAPES])
    found: Floats = np.asarray(offsets) + np.asarray(factors) * basis[list(shapes)]
    return found


def _turns_back(means: Floats, errors: Floats) -> str:
    """Says where the curve moves against its direction by more than noise."""
    direction = 1.0 if means[-1] >= means[0] else -1.0
    moved = direction * means
    reached = np.maximum.accumulate(moved)
    drop = (reached - moved) / (errors * np.sqrt(2))
    worst = int(np.argmax(drop))
    return f"the score turns back at its point {worst + 1} of {means.size}" if drop[worst] > _DIP else ""


def _misses_the_largest(sizes: Floats, means: Floats, errors: Floats, limits: Limits, seed: int) -> str:
    """Says whether the curve of all sizes but the largest fails to foretell the largest."""
    drawn = _draw(sizes[:-1], means[:-1], errors[:-1], limits, seed)
    found = _evaluate(*drawn, float(sizes[-1] / sizes[0]))
    low, high = np.quantile(found, (0.005, 0.995))
    slack = _DIP * errors[-1]
    if low - slack <= means[-1] <= high + slack:
        return ""
    return (
        f"the smaller sizes foretell {low:.4g} to {high:.4g} at {sizes[-1]:g} rows; "
        f"measured was {means[-1]:.4g}"
    )
