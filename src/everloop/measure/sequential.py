"""Comparisons that may be looked at at any time, and stopped at any time.

An interval from `everloop.measure.intervals` is right at one look planned in advance. These intervals are
right at all looks together: the chance that one of them, ever, misses the truth is at most alpha. So a
rollout may watch them after every request and stop when they answer.

In every comparison ``a`` is what there is (the champion), ``b`` what is compared with it (the challenger),
and the difference is mean(b) - mean(a).

Example:
    >>> comparison = always_valid([0.0, 1.0] * 200, [1.0, 2.0] * 200)
    >>> comparison.answer
    'better'
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats, numbers, same_length
from everloop.measure.betting import mean_sequence, rate_sequence

Answer = Literal["harm", "non_inferior", "better", "undecided"]
FEWEST = 50
"""Rows in each arm below which an interval without a bound is not given: it rests on large samples."""

_TUNED_FOR = 1000


@dataclass(frozen=True, slots=True)
class Comparison:
    """The difference b - a, where it lies at this and at every other look, and what that says.

    Attributes:
        difference: The mean of b less the mean of a.
        low: The interval's low end.
        high: Its high end.
        answer: ``harm``: b is worse than a by more than the margin; ``non_inferior``: b is not worse by
            more than the margin; ``better``: b is better than a; ``undecided``: not enough evidence.
        method: ``betting`` (exact, for bounded values), ``asymptotic`` or ``beta_binomial``.
        rows_a: How many rows a has.
        rows_b: How many rows b has.
    """

    difference: float
    low: float
    high: float
    answer: Answer
    method: str
    rows_a: int
    rows_b: int

    def to_dict(self) -> dict[str, Any]:
        """Gives the comparison as what JSON can carry."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Moments:
    """What an unbounded comparison needs of one arm; moments of parts add up with `plus`."""

    rows: int = 0
    mean: float = 0.0
    square: float = 0.0

    @classmethod
    def of(cls, values: ArrayLike) -> Moments:
        """Takes the moments of values, shape (n,); ``square`` is the sum of squared deviations."""
        array = numbers(values, "values")
        if not array.size:
            return cls()
        mean = float(array.mean())
        return cls(array.size, mean, float(np.sum((array - mean) ** 2)))

    def plus(self, other: Moments) -> Moments:
        """Adds another part (Chan, Golub and LeVeque, 1979)."""
        rows = self.rows + other.rows
        if rows == 0:
            return Moments()
        step = other.mean - self.mean
        mean = self.mean + step * other.rows / rows
        square = self.square + other.square + step**2 * self.rows * other.rows / rows
        return Moments(rows, mean, square)

    def to_dict(self) -> dict[str, float]:
        """Gives the moments as what JSON can carry."""
        return {"rows": self.rows, "mean": self.mean, "square": self.square}

    @classmethod
    def from_dict(cls, data: Mapping[str, float]) -> Moments:
        """Reads what `to_dict` gave."""
        return cls(int(data["rows"]), float(data["mean"]), float(data["square"]))


def always_valid(
    a: ArrayLike,
    b: ArrayLike,
    *,
    bound: tuple[float, float] | None = None,
    margin: float = 0.0,
    alpha: float = 0.05,
    greater_is_better: bool = True,
    paired: bool = False,
) -> Comparison:
    """Compares the means of two arms, validly at any look.

    Args:
        a: Values of what there is, in the order they came, shape (n,).
        b: Values of what is compared with it, shape (m,).
        bound: The lowest and highest value that can occur. With it the interval is exact (betting);
            values outside are refused. Without it the interval rests on large samples, and none is given
            below 50 rows in an arm.
        margin: How much worse b may be and still pass as not inferior, in the values' unit, at least 0.
        alpha: The chance of ever being wrong.
        greater_is_better: False for errors, latency and the like.
        paired: Whether row i of a and of b are the same case: their differences are tested, which needs
            far fewer rows.

    Returns:
        The comparison.

    Raises:
        UsageFault: When alpha, margin or bound make no sense.
        DataFault: When a value is missing or outside the bound, or pairs do not match.

    Source:
        Bounded: Waudby-Smith and Ramdas, arXiv 2010.09686. Unbounded: Waudby-Smith et al.,
        arXiv 2103.06476, for two randomised arms with their means as regression.
    """
    _check(alpha, margin)
    first, second = numbers(a, "values of a"), numbers(b, "values of b")
    if paired:
        same_length(first.size, **{"values of b": second})
    if bound is None and not paired:
        return compare_moments(
            Moments.of(first),
            Moments.of(second),
            margin=margin,
            alpha=alpha,
            greater_is_better=greater_is_better,
        )
    difference = _mean(second) - _mean(first)
    if bound is None:
        low, high = _asymptotic_of_pairs(second - first, alpha)
        method = "asymptotic"
    else:
        low, high = _by_betting(first, second, bound, alpha, paired)
        method = "betting"
    answer = answer_of(low, high, margin, greater_is_better)
    return Comparison(difference, low, high, answer, method, first.size, second.size)


def compare_moments(
    a: Moments, b: Moments, *, margin: float = 0.0, alpha: float = 0.05, greater_is_better: bool = True
) -> Comparison:
    """Compares two unbounded means from their moments, so that nothing else need be kept between looks.

    Returns:
        As `always_valid` without a bound.
    """
    _check(alpha, margin)
    difference = b.mean - a.mean if a.rows and b.rows else float("nan")
    low, high = -np.inf, np.inf
    if min(a.rows, b.rows) >= FEWEST:
        total = a.rows + b.rows
        variance = total * (a.square / a.rows / (a.rows - 1) + b.square / b.rows / (b.rows - 1))
        half = float(np.sqrt(variance) * asymptotic_radius(total, alpha))
        low, high = difference - half, difference + half
    answer = answer_of(low, high, margin, greater_is_better)
    return Comparison(difference, low, high, answer, "asymptotic", a.rows, b.rows)


def rate_comparison(
    events_a: int,
    rows_a: int,
    events_b: int,
    rows_b: int,
    *,
    margin: float = 0.0,
    alpha: float = 0.05,
    greater_is_better: bool = False,
) -> Comparison:
    """Compares two rates from their counts, validly at any look; fewer events are better by default.

    Each rate has an exact sequence at alpha / 2 (beta-binomial mixture, uniform prior), and the interval
    of the difference is what both leave: somewhat wide, never wrong too often. It supposes that a rate
    does not change meanwhile; where both drift together, compare over the same times.

    Args:
        events_a: Events among the rows of what there is.
        rows_a: Its rows.
        events_b: Events among the rows of what is compared with it.
        rows_b: Its rows.
        margin: How much worse b may be, as a share.
        alpha: The chance of ever being wrong.
        greater_is_better: True when more events are better.

    Source:
        Robbins, Annals of Mathematical Statistics 41 (1970); Lindon and Malek, arXiv 2011.03567.
    """
    _check(alpha, margin)
    a, b = rate_sequence(events_a, rows_a, alpha / 2), rate_sequence(events_b, rows_b, alpha / 2)
    low, high = b.low - a.high, b.high - a.low
    answer = answer_of(low, high, margin, greater_is_better)
    return Comparison(b.estimate - a.estimate, low, high, answer, "beta_binomial", rows_a, rows_b)


def bound_comparison(values: ArrayLike, limit: float, *, alpha: float = 0.05) -> Comparison:
    """Compares an unbounded mean with a number that is known exactly; more is better.

    Returns:
        As `always_valid`, a being the number.
    """
    _check(alpha, 0.0)
    array = numbers(values, "values") - limit
    low, high = _asymptotic_of_pairs(array, alpha)
    return Comparison(_mean(array), low, high, answer_of(low, high, 0.0), "asymptotic", 0, array.size)


def answer_of(low: float, high: float, margin: float, greater_is_better: bool = True) -> Answer:
    """Says what an interval of b - a shows, given how much worse b may be."""
    if not greater_is_better:
        low, high = -high, -low
    if low > 0:
        return "better"
    if margin > 0 and low > -margin:
        return "non_inferior"
    return "harm" if high < -margin else "undecided"


def asymptotic_radius(rows: ArrayLike, alpha: float) -> Floats:
    """The half width, in standard deviations, of the asymptotic confidence sequence after n rows.

    It is tightest near 1,000 rows.

    Source:
        Waudby-Smith et al., arXiv 2103.06476, theorem 2.2 and its choice of rho (equation 10).
    """
    n = np.asarray(rows, dtype=np.float64)
    log_alpha = -2 * np.log(alpha)
    rho2 = (log_alpha + np.log(log_alpha + 1)) / _TUNED_FOR
    inside = n * rho2 + 1
    radius: Floats = np.sqrt(2 * inside / (n**2 * rho2) * np.log(np.sqrt(inside) / alpha))
    return radius


def _asymptotic_of_pairs(differences: Floats, alpha: float) -> tuple[float, float]:
    if differences.size < FEWEST:
        return -np.inf, np.inf
    half = float(differences.std(ddof=1) * asymptotic_radius(differences.size, alpha))
    return float(differences.mean()) - half, float(differences.mean()) + half


def _by_betting(
    a: Floats, b: Floats, bound: tuple[float, float], alpha: float, paired: bool
) -> tuple[float, float]:
    low, high = bound
    if not low < high:
        raise UsageFault(f"The bound is {low:g} to {high:g}; the first must be below the second.")
    for name, values in (("a", a), ("b", b)):
        if values.size and (values.min() < low or values.max() > high):
            raise DataFault(
                f"A value of {name} lies outside the stated bound {low:g} to {high:g}.",
                hint="widen the bound, or clip the values to it and compare clipped means",
            )
    span = high - low
    if paired:
        found = mean_sequence((b - a + span) / (2 * span), alpha)
        return found.low * 2 * span - span, found.high * 2 * span - span
    # Half of alpha for each arm.
    of_a, of_b = (mean_sequence((values - low) / span, alpha / 2) for values in (a, b))
    return (of_b.low - of_a.high) * span, (of_b.high - of_a.low) * span


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else float("nan")


def _check(alpha: float, margin: float) -> None:
    if not 0 < alpha < 1:
        raise UsageFault(f"alpha is {alpha:g}; between 0 and 1 was expected, such as 0.05.")
    if not margin >= 0:
        raise UsageFault(f"The margin is {margin:g}; at least 0 was expected.")
