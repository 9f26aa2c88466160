"""How a model does before the actuals are known, from its own calibrated scores.

The estimate supposes that a score still means what it meant on the reference (no concept drift): inputs
may have moved, the chance of the outcome given the score not. Say so wherever the number is shown.

Example:
    >>> import numpy as np
    >>> scores = np.linspace(0.01, 0.99, 2000)
    >>> actual = np.random.default_rng(0).random(2000) < scores
    >>> estimate_performance(scores, scores, actual, "accuracy").contains(0.75)
    True
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Booleans, Floats, Integers, binary, numbers, same_length, weight_by
from everloop.measure.confusion import DECISION_MEASURES, Confusion
from everloop.measure.intervals import Interval
from everloop.measure.pricing import prices_for

_ROWS_A_BIN = 50
_MOST_BINS = 300
_FEWEST_BINS = 5
_DRAWS = 200
ESTIMATED = (*DECISION_MEASURES, "roc_auc", "average_precision", "value_per_decision")
"""The metrics that can be estimated."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """Window and reference in the same cells of the score, lowest first.

    ``money`` is, for each cell, the value of its decisions if all its rows are positive, and if none is.
    """

    known: Floats
    positive: Floats
    rows: Floats
    chosen: Booleans
    money: tuple[Floats, Floats]


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

    The interval holds the error of the calibration (the reference's positives drawn again) and that of
    the window (its own actuals, drawn from the calibrated chances); it is meant to hold the metric that
    will be measured when the actuals arrive.

    Args:
        scores: The window's scores, shape (n,).
        reference_scores: Scores with known actuals, shape (m,), at least 20.
        reference_actuals: 0/1, shape (m,).
        metric: One of `ESTIMATED`.
        threshold: The decision is ``score >= threshold``.
        prices: For ``value_per_decision``: of the window's rows, shape (n, 4) or (4,).
        seed: Of the draws.

    Returns:
        The estimate with its 95 % interval; NaN where it is not defined (no rows in the window).

    Raises:
        UsageFault: When the metric cannot be estimated, or value is asked for without prices.
        DataFault: When the reference is too small.

    Source:
        CBPE: expected confusion matrix from calibrated scores, as in Bialek et al., arXiv 2401.08348,
        section 3; calibration by isotonic regression over bins of the reference score.
    """
    _check(metric, prices)
    window, reference = numbers(scores, "scores"), numbers(reference_scores, "reference scores")
    truth = binary(reference_actuals, "reference actuals")
    same_length(reference.size, **{"reference actuals": truth})
    if reference.size < 20:
        raise DataFault(f"The reference has {reference.size} rows with actuals; at least 20 are needed.")
    cells = _cells(window, reference, truth, threshold, prices)
    chance = _isotonic(cells.positive, cells.known)
    measure = _measure(metric, cells)
    estimate = measure((chance * cells.rows)[None, :])[0]
    random = np.random.default_rng(seed)
    redrawn = random.binomial(cells.known.astype(np.int64), chance, (_DRAWS, chance.size))
    chances = np.stack([_isotonic(row.astype(np.float64), cells.known) for row in redrawn])
    positives = random.binomial(cells.rows.astype(np.int64), chances).astype(np.float64)
    drawn = measure(positives)
    drawn = drawn[~np.isnan(drawn)]
    if np.isnan(estimate) or drawn.size < _DRAWS / 2:
        return Interval(float("nan"), float(estimate), float("nan"))
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Interval(float(min(low, estimate)), float(estimate), float(max(high, estimate)))


def _check(metric: str, prices: ArrayLike | None) -> None:
    if metric not in ESTIMATED:
        raise UsageFault(f"{metric!r} cannot be estimated without actuals; known are {', '.join(ESTIMATED)}.")
    if metric == "value_per_decision" and prices is None:
        raise UsageFault("The value cannot be estimated without prices; give prices=(n, 4).")


def _cells(
    window: Floats, reference: Floats, truth: Booleans, threshold: float, prices: ArrayLike | None
) -> _Cells:
    size = int(np.clip(reference.size // _ROWS_A_BIN, _FEWEST_BINS, _MOST_BINS))
    inner = np.quantile(reference, np.arange(1, size) / size, method="inverted_cdf")
    edges = np.unique(np.concatenate((inner, [threshold])))
    cell, known = _place(edges, window), _place(edges, reference)
    count = edges.size + 1
    ones = np.ones(window.size)
    money = (np.zeros(count), np.zeros(count))
    if prices is not None:
        price, chosen = prices_for(prices, window.size), window >= threshold
        money = (
            weight_by(cell, np.where(chosen, price[:, 0], price[:, 2]), count),
            weight_by(cell, np.where(chosen, price[:, 1], price[:, 3]), count),
        )
    return _Cells(
        known=weight_by(known, np.ones(reference.size), count),
        positive=weight_by(known, truth.astype(np.float64), count),
        rows=weight_by(cell, ones, count),
        chosen=np.concatenate(([False], edges >= threshold)),
        money=money,
    )


def _place(edges: Floats, scores: Floats) -> Integers:
    return np.searchsorted(edges, scores, side="right").astype(np.int64)


def _isotonic(positive: Floats, rows: Floats) -> Floats:
    """The rising rate nearest to positive / rows: pool adjacent violators (Ayer et al., 1955).

    A cell without rows takes the rate of its neighbours.
    """
    blocks: list[list[float]] = []
    for successes, size in zip(positive.tolist(), rows.tolist(), strict=True):
        blocks.append([successes, size, 1.0])
        while len(blocks) > 1 and _not_rising(blocks[-2], blocks[-1]):
            last = blocks.pop()
            blocks[-1] = [before + after for before, after in zip(blocks[-1], last, strict=True)]
    rates = [successes / size if size else 0.5 for successes, size, _ in blocks]
    return np.repeat(rates, [int(cells) for _, _, cells in blocks])


def _not_rising(left: list[float], right: list[float]) -> bool:
    return left[0] * right[1] >= right[0] * left[1]


def _measure(metric: str, cells: _Cells) -> Callable[[Floats], Floats]:
    """From the number of positives in each cell, shape (draws, cells), to the metric, shape (draws,)."""
    rows = cells.rows
    if metric == "value_per_decision":
        share = np.divide(1.0, rows, out=np.zeros_like(rows), where=rows > 0)
        positive, negative = cells.money
        total = max(rows.sum(), 1.0) if rows.sum() else np.nan
        return lambda found: ((found * share) @ positive + (1 - found * share) @ negative) / total
    if metric in {"roc_auc", "average_precision"}:
        return lambda found: _ranked(metric, found, rows)
    chosen = cells.chosen

    def decided(found: Floats) -> Floats:
        left = rows - found
        counts = Confusion(
            found[:, chosen].sum(axis=1),
            left[:, chosen].sum(axis=1),
            found[:, ~chosen].sum(axis=1),
            left[:, ~chosen].sum(axis=1),
        )
        return DECISION_MEASURES[metric](counts)

    return decided


def _ranked(metric: str, found: Floats, rows: Floats) -> Floats:
    from everloop.measure.ranking import average_precision, roc_auc

    function = roc_auc if metric == "roc_auc" else average_precision
    place = np.arange(rows.size, dtype=np.float64)
    scores = np.concatenate((place, place))
    actual = np.repeat([True, False], rows.size)
    return np.array([function(actual, scores, np.concatenate((row, rows - row))) for row in found])
