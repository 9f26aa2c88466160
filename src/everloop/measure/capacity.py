"""What is found by looking at the highest scores alone: measures for a limited number of reviews."""

from __future__ import annotations

import numpy as np

from everloop.measure.arrays import Booleans, Floats
from everloop.measure.ranking import steps_down

MASSES = np.linspace(0.9, 0.999, 100)
"""The shares of the rows that are to be enclosed; the tail beyond them is what anomalies are sought in."""


def found_within(share: float, actual: Booleans, scores: Floats, weights: Floats) -> tuple[float, float]:
    """Gives how many positives lie within the highest-scored share of the rows, and how many rows that are.

    Of rows with the same score at the border a part is taken, as if drawn by chance.

    Args:
        share: Between 0 and 1.
        actual: True where the row is positive, (n,).
        scores: (n,).
        weights: (n,).
    """
    if not scores.size:
        return float("nan"), 0.0
    _, positive, negative = steps_down(scores, actual, weights)
    taken, found = np.cumsum(positive + negative), np.cumsum(positive)
    capacity = share * taken[-1]
    return float(np.interp(capacity, [0.0, *taken], [0.0, *found])), float(capacity)


def recall_at(share: float, actual: Booleans, scores: Floats, weights: Floats) -> float:
    """The share of all positives that lie within the highest-scored share of the rows; NaN with none."""
    found, _ = found_within(share, actual, scores, weights)
    positives = float(weights[actual].sum())
    return found / positives if positives > 0 else float("nan")


def precision_at(share: float, actual: Booleans, scores: Floats, weights: Floats) -> float:
    """The share of positives within the highest-scored share of the rows; NaN with no row."""
    found, capacity = found_within(share, actual, scores, weights)
    return found / capacity if capacity > 0 else float("nan")


def volume_excluded(actual: Booleans, scores: Floats, weights: Floats) -> float:
    """How much of the space a score calls more unusual than the rows, needing no labels; greater is better.

    One less the area under the mass-volume curve over masses of 0.9 to 0.999: for each mass the threshold
    that encloses so much of the rows, and the share of points drawn evenly from the space that lie within
    it. A score that knows where the rows are encloses them in little room.

    Args:
        actual: True for a row, False for a point drawn evenly from the space around them, (n,).
        scores: How unusual, (n,).
        weights: (n,).

    Source:
        Clemencon and Jakubowicz, AISTATS 2013; Goix, "How to Evaluate the Quality of Unsupervised Anomaly
        Detection Algorithms?" (2016).
    """
    rows, space = scores[actual], scores[~actual]
    if weights[actual].sum() <= 0 or weights[~actual].sum() <= 0:
        return float("nan")
    order = np.argsort(rows, kind="stable")
    mass = np.cumsum(weights[actual][order]) / weights[actual].sum()
    places = np.minimum(np.searchsorted(mass, MASSES - 1e-12), rows.size - 1)
    outward = np.argsort(space, kind="stable")
    room = np.concatenate([[0.0], np.cumsum(weights[~actual][outward])]) / weights[~actual].sum()
    within = room[np.searchsorted(space[outward], rows[order][places], side="right")]
    return float(1.0 - within.mean())
