"""How a model does before the actuals are known, from its own calibrated scores.

The estimate supposes that a score still means what it meant on the reference (no concept drift): inputs
may have moved, the chance of the outcome given the score not. Say so wherever the number is shown. With
weights of the reference's rows (how much more frequent they are in the window) a score may also mean
something else where the inputs have moved.

Example:
    >>> import numpy as np
    >>> scores = np.linspace(0.01, 0.99, 2000)
    >>> actual = np.random.default_rng(0).random(2000) < scores
    >>> estimate_performance(scores, scores, actual, "accuracy").contains(0.75)
    True
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import (
    Booleans,
    Floats,
    Integers,
    binary,
    numbers,
    same_length,
    weight_by,
    weights_for,
)
from everloop.measure.confusion import DECISION_MEASURES, Confusion
from everloop.measure.intervals import Interval
from everloop.measure.isotonic import Isotonic, fit_isotonic
from everloop.measure.places import Places, places_of
from everloop.measure.pricing import prices_for

_FEWEST_ROWS = 20
_ROWS_A_BIN = 50
_MOST_BINS = 300
_FEWEST_BINS = 5
_DRAWS = 200
_NORMAL_FROM = 25.0
_PLACES = 1 << 14
_VALUE = "value_per_decision"
ESTIMATED = (*DECISION_MEASURES, "roc_auc", "average_precision", _VALUE)
"""The metrics that can be estimated."""


@dataclass(frozen=True)
class Estimator:
    """What scores mean on the reference, and how sure that is.

    Attributes:
        calibration: From a score to its chance; None where scores are chances already.
        edges: Inner edges of cells of the score, shape (cells - 1,).
        chances: The chance in each cell, shape (cells,).
        redrawn: The same as it might have been with other actuals, shape (draws, cells).
    """

    calibration: Isotonic | None
    edges: Floats
    chances: Floats
    redrawn: Floats

    def estimate(
        self,
        scores: ArrayLike,
        metrics: Sequence[str],
        *,
        threshold: float = 0.5,
        prices: ArrayLike | None = None,
        confidence: float = 0.95,
        seed: int = 0,
    ) -> dict[str, Interval]:
        """Estimates metrics of a window whose actuals are not known; see `estimate_performance`."""
        for metric in metrics:
            _check(metric, prices)
        window = numbers(scores, "scores")
        places = self._places(window, threshold)
        cells = _Cells.of(self, window, places, threshold, prices if _VALUE in metrics else None)
        exact = _exact(places, threshold)
        random = np.random.default_rng(seed)
        drawn = _Positives(cells, _drawn(cells, random))
        middle = _Positives(cells, (cells.chances * cells.rows)[None, :])
        found = {}
        for metric in metrics:
            value = self._value(window, threshold, prices) if metric == _VALUE else exact(metric)
            found[metric] = _around(value, drawn.measure(metric) - middle.measure(metric), confidence)
        return found

    def _places(self, window: Floats, threshold: float) -> Places:
        knots = () if self.calibration is None else self.calibration.scores
        edges = np.unique(np.concatenate((self.edges, knots, [threshold])))
        return places_of(window, self._chance, edges)

    def _chance(self, scores: Floats) -> Floats:
        return scores if self.calibration is None else self.calibration.apply(scores)

    def _value(self, window: Floats, threshold: float, prices: ArrayLike | None) -> float:
        """The value per decision, row by row, each with its own prices."""
        if prices is None or not window.size:
            return float("nan")
        chance = self._chance(window)
        positive, negative = _money(window, threshold, prices)
        return float(np.mean(chance * positive + (1 - chance) * negative))


def fit_estimator(
    reference_scores: ArrayLike,
    reference_actuals: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    calibrated: bool = False,
    seed: int = 0,
) -> Estimator:
    """Learns what scores mean from rows whose actuals are known.

    Args:
        reference_scores: Shape (m,), at least 20.
        reference_actuals: 0/1, shape (m,).
        weights: How much more frequent each row is in the window, shape (m,).
        calibrated: Whether scores are taken as chances as they are.
        seed: Of the calibrations that might have been.

    Raises:
        DataFault: When there are too few rows, or the arrays do not fit.

    Source:
        With weights, importance-weighted calibration (PAPE): Bialek et al., arXiv 2401.08348.
    """
    reference = numbers(reference_scores, "reference scores")
    truth = binary(reference_actuals, "reference actuals")
    same_length(reference.size, **{"reference actuals": truth})
    if reference.size < _FEWEST_ROWS:
        raise DataFault(
            f"The reference has {reference.size} rows with actuals; at least {_FEWEST_ROWS} are needed."
        )
    weight = weights_for(weights, reference.size)
    calibration = None if calibrated else fit_isotonic(reference, truth, weight)
    size = int(np.clip(reference.size // _ROWS_A_BIN, _FEWEST_BINS, _MOST_BINS))
    edges = np.unique(np.quantile(reference, np.arange(1, size) / size, method="inverted_cdf"))
    cell = _place(edges, reference)
    mass = weight_by(cell, weight, edges.size + 1)
    # So many equal rows would be as uncertain as these of unequal weight.
    known = np.divide(mass**2, weight_by(cell, weight**2, mass.size), out=np.zeros_like(mass), where=mass > 0)
    rate = np.divide(
        weight_by(cell, weight * truth, mass.size), mass, out=np.full(mass.size, 0.5), where=mass > 0
    )
    if calibrated:
        middle = np.divide(weight_by(cell, weight * reference, mass.size), mass, out=rate, where=mass > 0)
        chances = np.clip(middle, 0.0, 1.0)
        return Estimator(None, edges, chances, np.repeat(chances[None, :], _DRAWS, axis=0))
    chances = _rising(rate, known)
    random = np.random.default_rng(seed)
    rows = np.maximum(np.rint(known), 0).astype(np.int64)
    positives = random.binomial(rows, chances, (_DRAWS, chances.size))
    rates = np.divide(positives, rows, out=np.full(positives.shape, 0.5), where=rows > 0)
    return Estimator(calibration, edges, chances, np.stack([_rising(each, known) for each in rates]))


def estimate_performance(
    scores: ArrayLike,
    reference_scores: ArrayLike,
    reference_actuals: ArrayLike,
    metric: str,
    *,
    threshold: float = 0.5,
    prices: ArrayLike | None = None,
    seed: int = 0,
) -> Interval:
    """Estimates a metric of a window whose actuals are not known.

    The 95 % interval holds the error of the calibration (the reference's positives drawn again) and that
    of the window (its own actuals, drawn from the calibrated chances); it is meant to hold the metric that
    will be measured when the actuals arrive. Several metrics, another confidence or weights: `fit_estimator`.

    Args:
        scores: The window's scores, shape (n,).
        reference_scores: Scores with known actuals, shape (m,), at least 20.
        reference_actuals: 0/1, shape (m,).
        metric: One of `ESTIMATED`.
        threshold: The decision is ``score >= threshold``.
        prices: For ``value_per_decision``: of the window's rows, shape (n, 4) or (4,).
        seed: Of the draws.

    Returns:
        The estimate with its interval; NaN where it is not defined.

    Raises:
        UsageFault: When the metric cannot be estimated, or prices are missing.
        DataFault: When the arrays do not fit.

    Source:
        Confidence-based performance estimation (CBPE); see Bialek et al., arXiv 2401.08348.
    """
    _check(metric, prices)
    fitted = fit_estimator(reference_scores, reference_actuals, seed=seed)
    return fitted.estimate(scores, (metric,), threshold=threshold, prices=prices, seed=seed)[metric]


def _check(metric: str, prices: ArrayLike | None) -> None:
    if metric not in ESTIMATED:
        raise UsageFault(f"{metric!r} cannot be estimated without actuals; known are {', '.join(ESTIMATED)}.")
    if metric == _VALUE and prices is None:
        raise UsageFault("The value cannot be estimated without prices; give prices=(n, 4).")


@dataclass(frozen=True, slots=True)
class _Cells:
    """A window in cells of the score, lowest first.

    ``money`` is, for each cell, the value of its decisions if all its rows are positive, and if none is.
    """

    rows: Floats
    chosen: Booleans
    chances: Floats
    redrawn: Floats
    money: tuple[Floats, Floats]

    @classmethod
    def of(
        cls, fitted: Estimator, window: Floats, places: Places, threshold: float, prices: ArrayLike | None
    ) -> _Cells:
        # The threshold divides the cell that it falls into.
        edges = np.unique(np.append(fitted.edges, threshold))
        upto = np.concatenate(([0.0], np.cumsum(places.rows)))
        origin = _place(fitted.edges, np.concatenate(([-np.inf], edges)))
        count = edges.size + 1
        money = (np.zeros(count), np.zeros(count))
        if prices is not None:
            cell = _place(edges, window)
            positive, negative = _money(window, threshold, prices)
            money = (weight_by(cell, positive, count), weight_by(cell, negative, count))
        return cls(
            rows=np.diff(upto[places.below(edges)], prepend=0.0, append=upto[-1]),
            chosen=np.concatenate(([False], edges >= threshold)),
            chances=fitted.chances[origin],
            redrawn=fitted.redrawn[:, origin],
            money=money,
        )


def _money(window: Floats, threshold: float, prices: ArrayLike) -> tuple[Floats, Floats]:
    """What each decision is worth if its row is positive, and if it is not."""
    price, chosen = prices_for(prices, window.size), window >= threshold
    return np.where(chosen, price[:, 0], price[:, 2]), np.where(chosen, price[:, 1], price[:, 3])


def _place(edges: Floats, scores: Floats) -> Integers:
    return np.searchsorted(edges, scores, side="right").astype(np.int64)


def _rising(rate: Floats, weight: Floats) -> Floats:
    """The rising rate nearest to a rate; a cell without weight takes that of its neighbours."""
    from scipy.optimize import isotonic_regression

    some = weight > 0
    if not some.any():
        return np.full(rate.size, 0.5)
    fitted = isotonic_regression(rate[some], weights=weight[some]).x
    place = np.clip(np.cumsum(some) - 1, 0, None)
    rising: Floats = np.clip(fitted[place], 0.0, 1.0)
    return rising


def _exact(places: Places, threshold: float) -> Callable[[str], float]:
    """From a metric's name to its expectation over all rows."""
    split = int(places.below(np.array([threshold]))[0])
    rows, found = (
        (float(each[split:].sum()), float(each[:split].sum())) for each in (places.rows, places.found)
    )
    counts = (found[0], rows[0] - found[0], found[1], rows[1] - found[1])
    ranking = _Ranking(places.found[None, :], places.rows, places.spread)

    def value(metric: str) -> float:
        if not places.rows.size:
            return float("nan")
        if metric in DECISION_MEASURES:
            return float(DECISION_MEASURES[metric](Confusion(*map(np.asarray, counts))))
        return float(ranking.measure(metric)[0])

    return value


@dataclass(frozen=True)
class _Ranking:
    """Positives among rows that are ranked, the lowest score first; ties lie in one place.

    ``found`` has shape (draws, places), ``rows`` (places,), and so has ``spread``, which says where rows are
    none: they follow each other through their place, each with the same chance; None where all are ties.
    """

    found: Floats
    rows: Floats
    spread: Booleans | None = None

    @cached_property
    def _sums(self) -> tuple[Floats, Floats, Floats]:
        """The positives, the pairs in which one is above a negative, and the sum of their precisions.

        A part of the places at a time, which stays in the processor's cache; shapes (draws,).
        """
        true, pairs, precise = np.zeros((3, len(self.found)))
        reached = 0.0
        for stop in range(self.rows.size, 0, -_PLACES):
            part = slice(max(0, stop - _PLACES), stop)
            found, rows = self.found[:, part][:, ::-1], self.rows[part][::-1]
            # The positives at each place and at higher scores, and the rows.
            upto = np.cumsum(found, axis=1)
            upto += true[:, None]
            most = reached + self._counted(rows)
            # A pair within a place counts a half.
            pairs += np.einsum("c,dc->d", rows, upto) - np.einsum("dc,dc->d", found, upto)
            pairs -= (np.einsum("dc,c->d", found, rows) - np.einsum("dc,dc->d", found, found)) / 2
            # A place without rows has no positive either, whatever its precision.
            precise += np.einsum("dc,dc->d", found, upto / np.maximum(most, 1.0))
            if self.spread is not None:
                precise += _spread(
                    *(each[..., self.spread[part][::-1]] for each in (found, rows, upto, most))
                )
            true, reached = upto[:, -1].copy(), float(most[-1])
        return true, pairs, precise

    def _counted(self, rows: Floats) -> Floats:
        one_each = self.rows.strides == (0,)
        return np.arange(1.0, rows.size + 1) if one_each else np.cumsum(rows)

    def measure(self, metric: str) -> Floats:
        """Area under the curve, or average precision, shape (draws,)."""
        true, pairs, precise = self._sums
        if metric == "roc_auc":
            area, whole = pairs, true * (self.rows.sum() - true)
        else:
            area, whole = precise, true
        measured: Floats = np.divide(area, whole, out=np.full(true.shape, np.nan), where=whole > 0)
        return measured


def _spread(found: Floats, rows: Floats, upto: Floats, most: Floats) -> Floats:
    """What precisions sum to beyond those of ties, where rows are spread over their place.

    The i-th of n rows of chance c, behind M rows with U positives, has the precision (U + ic) / (M + i); they
    sum to nc + (U - cM) (H(M + n) - H(M)) by the harmonic numbers H.
    """
    from scipy.special import digamma

    chance, before = found / rows, most - rows
    harmonic = digamma(most + 1) - digamma(before + 1)
    precise = found + (upto - found - chance * before) * harmonic
    return np.asarray((chance * precise - found * upto / most).sum(axis=1))


@dataclass(frozen=True)
class _Positives:
    """How many rows of each cell are positive, shape (draws, cells)."""

    cells: _Cells
    found: Floats

    @cached_property
    def _ranking(self) -> _Ranking:
        return _Ranking(self.found, self.cells.rows)

    @cached_property
    def _counts(self) -> Confusion:
        left, chosen = self.cells.rows - self.found, self.cells.chosen
        parts = (self.found[:, chosen], left[:, chosen], self.found[:, ~chosen], left[:, ~chosen])
        return Confusion(*(part.sum(axis=1) for part in parts))

    def measure(self, metric: str) -> Floats:
        """The metric of each draw, shape (draws,)."""
        if metric in DECISION_MEASURES:
            return DECISION_MEASURES[metric](self._counts)
        if metric != _VALUE:
            return self._ranking.measure(metric)
        rows = self.cells.rows
        share = np.divide(self.found, rows, out=np.zeros_like(self.found), where=rows > 0)
        positive, negative = self.cells.money
        earned: Floats = (share * positive + (1 - share) * negative).sum(axis=1) / (rows.sum() or np.nan)
        return earned


def _drawn(cells: _Cells, random: np.random.Generator) -> Floats:
    """Draws how many rows of each cell are positive, by the normal distribution where a cell is large."""
    variance = cells.rows * cells.chances * (1 - cells.chances)
    large = variance > _NORMAL_FROM
    drawn = np.empty(cells.redrawn.shape)
    chance, rows = cells.redrawn[:, large], cells.rows[large]
    spread = np.sqrt(rows * chance * (1 - chance))
    drawn[:, large] = np.clip(rows * chance + spread * random.standard_normal(chance.shape), 0, rows)
    drawn[:, ~large] = random.binomial(cells.rows[~large].astype(np.int64), cells.redrawn[:, ~large])
    return drawn


def _around(estimate: float, errors: Floats, confidence: float) -> Interval:
    known = errors[~np.isnan(errors)]
    if np.isnan(estimate) or known.size < _DRAWS / 2:
        return Interval(float("nan"), float(estimate), float("nan"))
    tail = (1 - confidence) / 2
    low, high = np.quantile(known, (tail, 1 - tail))
    return Interval(float(min(low, 0.0) + estimate), float(estimate), float(max(high, 0.0) + estimate))
