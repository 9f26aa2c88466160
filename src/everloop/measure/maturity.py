"""Actuals that come late: when they come, and what is known meanwhile without bias.

Example:
    >>> curve = delay_curve([1.0, 2.0, 3.0], [False, False, True])
    >>> curve.known_by([2.5]).round(3).tolist()
    [0.667]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault
from everloop.measure.arrays import Floats, binary, numbers, possibly_missing, same_length
from everloop.measure.intervals import UNKNOWN, Interval, interval_of
from everloop.measure.weighted_mean import WeightedMean, weighted_mean

_LEAST_CHANCE = 0.05


@dataclass(frozen=True, slots=True)
class DelayCurve:
    """The chance that a prediction's actual is known by an age.

    Attributes:
        ages: Where the chance rises, in seconds, rising.
        chances: The chance from that age on.
    """

    ages: tuple[float, ...]
    chances: tuple[float, ...]

    def known_by(self, age: ArrayLike) -> Floats:
        """The chance at each age in seconds, shape (n,)."""
        chances = np.concatenate(([0.0], self.chances))
        found: Floats = chances[np.searchsorted(np.asarray(self.ages), numbers(age, "ages"), side="right")]
        return found

    def age_for(self, share: float) -> float:
        """The age in seconds by which a share of actuals is known; infinite when it never is."""
        reached = np.flatnonzero(np.asarray(self.chances) >= share - 1e-12)
        return self.ages[int(reached[0])] if reached.size else float("inf")

    def to_dict(self) -> dict[str, list[float]]:
        """Gives the curve as lists."""
        return {"ages": list(self.ages), "chances": list(self.chances)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> DelayCurve:
        """Reads what `to_dict` gave."""
        return cls(tuple(data["ages"]), tuple(data["chances"]))


@dataclass(frozen=True, slots=True)
class MaturedMean:
    """A mean from the actuals that are known so far.

    Attributes:
        status: ``known``, or ``too early`` when too small a share of actuals can be known.
        interval: The mean; unknown while it is too early.
        maturity: The share of all rows whose actual is expected to be known now.
        known: How many actuals are behind the mean.
    """

    status: Literal["known", "too early"]
    interval: Interval
    maturity: float
    known: int


def delay_curve(delays: ArrayLike, censored: ArrayLike) -> DelayCurve:
    """Estimates when actuals come, counting predictions that still wait for theirs.

    Args:
        delays: From prediction to actual in seconds; for one that still waits, its age now; shape (n,).
        censored: Whether it still waits, shape (n,).

    Returns:
        The curve.

    Raises:
        DataFault: When there is no row, or a delay is negative.

    Source:
        Kaplan and Meier, JASA 53 (1958).
    """
    time, waits = numbers(delays, "delays"), binary(censored, "censored marks")
    same_length(time.size, **{"censored marks": waits})
    if not time.size:
        raise DataFault("There is no prediction to learn the delay of actuals from.")
    if time.min() < 0:
        raise DataFault(f"A delay is {time.min():g} seconds; an actual cannot come before its prediction.")
    ages, events = np.unique(time[~waits], return_counts=True)
    at_risk = time.size - np.searchsorted(np.sort(time), ages, side="left")
    chances = 1 - np.cumprod(1 - events / at_risk)
    return DelayCurve(tuple(ages.tolist()), tuple(chances.tolist()))


@dataclass(frozen=True, slots=True)
class MaturedSums:
    """What `matured_mean` is made of, of some rows or a part of them; parts add up.

    Attributes:
        rows: How many there are.
        chances: The sum of their chances to be known by now.
        known: The known ones, each weighing 1 / its chance.
    """

    rows: int = 0
    chances: float = 0.0
    known: WeightedMean = field(default_factory=WeightedMean)

    def merge(self, other: MaturedSums) -> MaturedSums:
        """Adds other rows."""
        known = self.known.merge(other.known)
        return MaturedSums(self.rows + other.rows, self.chances + other.chances, known)

    def mean(self, *, maturity: float = 0.5, confidence: float = 0.95) -> MaturedMean:
        """Gives the mean, or that it is too early; see `matured_mean`."""
        reached = self.chances / self.rows if self.rows else 0.0
        if self.known.rows == 0 or reached < maturity:
            return MaturedMean("too early", UNKNOWN, reached, self.known.rows)
        interval = interval_of(self.known, confidence=confidence)
        return MaturedMean("known", interval, reached, self.known.rows)


def matured_sums(values: ArrayLike, chances: ArrayLike) -> MaturedSums:
    """Sums up rows for `matured_mean`; takes what that takes."""
    value, chance = possibly_missing(values, "values"), numbers(chances, "chances")
    same_length(value.size, chances=chance)
    used = ~np.isnan(value) & (chance >= _LEAST_CHANCE)
    return MaturedSums(value.size, float(chance.sum()), weighted_mean(value[used], 1 / chance[used]))


def matured_mean(
    values: ArrayLike,
    chances: ArrayLike,
    *,
    maturity: float = 0.5,
    confidence: float = 0.95,
) -> MaturedMean:
    """The mean over all rows of a window, from those whose actual is known.

    Each known row counts 1 / its chance to be known by now. Rows so young that this chance is below 5 %
    are left out, known or not. Where delay and outcome hang together (a fraud is reported early), take
    the chances from curves of strata in which they do not; otherwise the mean is biased.

    Args:
        values: What is averaged; NaN where the actual is not known yet; shape (n,).
        chances: Each row's chance to be known by now, `DelayCurve.known_by` of its age, shape (n,).
        maturity: The mean chance below which it is too early to say.
        confidence: Of the interval.

    Returns:
        The mean, or that it is too early.

    Source:
        Inverse-probability weighting: Horvitz and Thompson, JASA 47 (1952), normalised (Hajek).
    """
    return matured_sums(values, chances).mean(maturity=maturity, confidence=confidence)
