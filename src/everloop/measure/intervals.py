"""Intervals for a number that was computed from a sample of a size fixed in advance.

For a number that is looked at again while rows arrive, use `everloop.measure.sequential`: these
intervals would call a difference too often.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.errors import UsageFault
from everloop.measure.arrays import numbers, same_length
from everloop.measure.weighted_mean import WeightedMean, weighted_mean


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and where the true number lies with the stated confidence.

    Example:
        >>> Interval(0.1, 0.2, 0.3).contains(0.25)
        True
    """

    low: float
    estimate: float
    high: float

    @property
    def known(self) -> bool:
        """Whether all three numbers are there."""
        return not (np.isnan(self.low) or np.isnan(self.estimate) or np.isnan(self.high))

    def contains(self, number: float) -> bool:
        """Says whether a number lies in the interval."""
        return self.low <= number <= self.high

    def shifted(self, by: float) -> Interval:
        """Moves the interval by a number that is known exactly."""
        return Interval(self.low + by, self.estimate + by, self.high + by)

    def scaled(self, by: float) -> Interval:
        """Multiplies the interval by a number that is known exactly."""
        ends = sorted((self.low * by, self.high * by))
        return Interval(ends[0], self.estimate * by, ends[1])

    def to_dict(self) -> dict[str, float]:
        """Gives the three numbers by name."""
        return {"low": self.low, "estimate": self.estimate, "high": self.high}

    def __str__(self) -> str:
        return f"{self.estimate:.4g} ({self.low:.4g} to {self.high:.4g})"


UNKNOWN = Interval(float("nan"), float("nan"), float("nan"))


def mean_interval(
    values: ArrayLike, *, confidence: float = 0.95, weights: ArrayLike | None = None
) -> Interval:
    """The mean of a sample with Student's interval.

    With weights it is the ratio estimate of the weighted mean with its linearised variance (Cochran,
    "Sampling Techniques", 1977, section 6.3).

    Args:
        values: Shape (n,).
        confidence: Such as 0.95.
        weights: Shape (n,), at least 0.

    Returns:
        The interval; its ends are infinite with one row, and all is NaN with none.
    """
    return interval_of(weighted_mean(values, weights), confidence=confidence)


def interval_of(mean: WeightedMean, *, confidence: float = 0.95) -> Interval:
    """Student's interval of a mean whose sums are there; see `mean_interval`."""
    _check_confidence(confidence)
    if mean.rows < 2:
        return Interval(-np.inf, mean.estimate, np.inf) if mean.rows else UNKNOWN
    half = student_quantile(1 - (1 - confidence) / 2, mean.rows - 1) * mean.error
    return Interval(mean.estimate - half, mean.estimate, mean.estimate + half)


def paired_interval(
    a: ArrayLike, b: ArrayLike, *, confidence: float = 0.95, weights: ArrayLike | None = None
) -> Interval:
    """The mean of b - a over rows that both were measured on, with Student's interval.

    Args:
        a: What there is, shape (n,).
        b: What is compared with it, on the same rows, shape (n,).
        confidence: Such as 0.95.
        weights: As `mean_interval` takes them.
    """
    first, second = numbers(a, "values of a"), numbers(b, "values of b")
    same_length(first.size, **{"values of b": second})
    return mean_interval(second - first, confidence=confidence, weights=weights)


def widest_gap(found: Sequence[Interval]) -> Interval:
    """The largest difference of independent estimates, as wide as its two ends together.

    Args:
        found: The intervals; one that is not known is left out.

    Returns:
        The difference; 0 with one, all NaN with none.
    """
    known = [each for each in found if each.known]
    if not known:
        return UNKNOWN
    least, most = min(known, key=lambda each: each.estimate), max(known, key=lambda each: each.estimate)
    gap = most.estimate - least.estimate
    low = gap - float(np.hypot(most.estimate - most.low, least.high - least.estimate))
    high = gap + float(np.hypot(most.high - most.estimate, least.estimate - least.low))
    return Interval(max(0.0, low), gap, high if len(known) > 1 else gap)


def proportion_interval(successes: float, trials: float, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share.

    Args:
        successes: How many, between 0 and ``trials``.
        trials: Of how many.
        confidence: Such as 0.95.

    Returns:
        The interval, within 0 and 1; all NaN with no trial.

    Source:
        Wilson, JASA 22 (1927).
    """
    _check_confidence(confidence)
    if trials <= 0:
        return UNKNOWN
    if not 0 <= successes <= trials:
        raise UsageFault(f"{successes:g} of {trials:g} is no share; between 0 and {trials:g} was expected.")
    z = normal_quantile(1 - (1 - confidence) / 2)
    share, spread = successes / trials, z * z / trials
    centre = (share + spread / 2) / (1 + spread)
    half = z / (1 + spread) * np.sqrt(share * (1 - share) / trials + spread / (4 * trials))
    low = 0.0 if successes == 0 else max(0.0, float(centre - half))
    high = 1.0 if successes == trials else min(1.0, float(centre + half))
    return Interval(low, float(share), high)


def bootstrap_interval(
    statistic: Callable[..., float],
    *arrays: ArrayLike,
    seed: int,
    repeats: int = 1000,
    confidence: float = 0.95,
) -> Interval:
    """The percentile bootstrap of any statistic over rows.

    Args:
        statistic: Called with the arrays, rows resampled together; a NaN (such as a resample of one
            class) is left out.
        arrays: One or more, all with n rows.
        seed: Of the resampling.
        repeats: How many resamples.
        confidence: Such as 0.95.

    Returns:
        The statistic on all rows, with its interval; NaN ends when under half of the resamples gave
        a number.

    Source:
        Efron and Tibshirani, "An Introduction to the Bootstrap" (1993), chapter 13.
    """
    _check_confidence(confidence)
    columns: list[NDArray[np.generic]] = [np.asarray(array) for array in arrays]
    if not columns:
        raise UsageFault("The bootstrap was given no array; at least one was expected.")
    size = len(columns[0])
    for column in columns:
        same_length(size, values=column)
    if size == 0:
        return UNKNOWN
    return interval_of_resamples(
        lambda rows: statistic(*(column[rows] for column in columns)),
        size,
        float(statistic(*columns)),
        seed=seed,
        repeats=repeats,
        confidence=confidence,
    )


def interval_of_resamples(
    of_rows: Callable[[NDArray[np.int64]], float],
    size: int,
    estimate: float,
    *,
    seed: int,
    repeats: int,
    confidence: float,
) -> Interval:
    """The bootstrap of a statistic that is known by the places of the rows that were drawn.

    Args:
        of_rows: Called with the places of as many rows as there are; NaN is left out.
        size: How many rows there are.
        estimate: The statistic on all of them.
        seed: Of the resampling.
        repeats: How many resamples.
        confidence: Such as 0.95.
    """
    random = np.random.default_rng(seed)
    found = np.array([of_rows(random.integers(0, size, size)) for _ in range(repeats)], dtype=np.float64)
    found = found[~np.isnan(found)]
    if found.size < max(1, repeats / 2):
        return Interval(float("nan"), estimate, float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(found, (tail, 1 - tail))
    return Interval(float(low), estimate, float(high))


def normal_quantile(chance: float) -> float:
    """The standard normal distribution's quantile."""
    return NormalDist().inv_cdf(chance)


def student_quantile(chance: float, degrees: float) -> float:
    """Student's t distribution's quantile."""
    from scipy.special import stdtrit

    return float(stdtrit(degrees, chance))


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageFault(f"The confidence is {confidence:g}; between 0 and 1 was expected, such as 0.95.")
