"""Whether a window moved further than the reference does by itself: from its counts alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from everloop.measure.histogram import Histogram
from everloop.monitor.columns import all_distances
from everloop.monitor.finding import ColumnDrift, DriftFinding, JointDrift
from everloop.monitor.references import Reference
from everloop.monitor.state import ACTUAL, WindowState, thinned
from everloop.monitor.variation import statistics_of

_SETTLED = 0.9
_HALF = 0.5


def judge_state(state: WindowState, reference: Reference, *, seed: int = 0) -> DriftFinding:
    """Says whether inputs, score or actuals moved more than the alarm budget allows.

    The window is thinned to the next smaller size that the reference has a threshold for, so that both
    carry the same noise. Actuals are compared once nine in ten of them are known: those that come early
    may be others than those that come late. The threshold is that of all columns together, so asking
    again when the actuals are there spends no more of the budget.

    Args:
        state: The window, from `count_window`, its parts merged.
        reference: What it is compared with.
        seed: Of the thinning.

    Returns:
        The finding, with every distance of every column.
    """
    counted = _comparable(state)
    distances = {name: all_distances(reference.histograms[name], part) for name, part in counted.items()}
    absent = tuple(
        name
        for name in reference.histograms
        if name not in state.histograms and name != ACTUAL and name not in reference.within
    )
    size = max((size for size in reference.budgets if size <= state.rows), default=None)
    if size is None:
        columns = tuple(
            ColumnDrift(column, statistic, distances.get(column, {}).get(statistic, np.nan), np.nan)
            for column, statistic in reference.watched
        )
        status, reason = _unjudged(state.rows, reference)
        return DriftFinding(status, np.nan, np.nan, columns, reason, distances, absent)
    budget = reference.budgets[size]
    random = np.random.default_rng(seed)
    standardised = _standardised(counted, distances, reference, (state.rows, size), random)
    joint = _joint(state, reference, size, random)
    judged = budget.judge_rarity(np.append(standardised, [each.standardised for each in joint]))
    columns = tuple(
        ColumnDrift(column, statistic, distances.get(column, {}).get(statistic, np.nan), standardised[i])
        for i, (column, statistic) in (
            (i, reference.watched[i]) for i in judged.order if i < len(reference.watched)
        )
    )
    moved = "further" if judged.exceeded else "no further"
    reason = f"The columns moved {moved} than windows of the reference move by themselves."
    if not budget.attainable:
        reason = f"{reason} {budget.reason}"
    if absent:
        reason = f"{reason} Not in the window: {', '.join(absent)}."
    status = "drift" if judged.exceeded else "none"
    return DriftFinding(status, judged.statistic, budget.threshold, columns, reason, distances, absent, joint)


def _standardised(
    counted: Mapping[str, Histogram],
    distances: Mapping[str, Mapping[str, float]],
    reference: Reference,
    sizes: tuple[int, int],
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """How rare each watched distance is, in powers of ten; NaN where it is not known.

    Actuals of which some are not known are held to the next smaller size; so is a segment that fewer rows
    are in than chance explains.

    Args:
        counted: The window's columns.
        distances: Every distance of each of them, for what is judged as it is.
        reference: What the window is compared with.
        sizes: How many rows the window has, and the size that it is thinned to.
        random: Of the thinning.
    """
    rows, size = sizes
    found = np.full(len(reference.watched), np.nan)
    held = {name: _held_to(reference, name, part.rows, size, rows) for name, part in counted.items()}
    for own in {each for each, _ in held.values() if each}:
        drawn = {
            name: thinned(counted[name], number, random)
            for name, (each, number) in held.items()
            if each == own
        }
        thinner = {name: part for name, part in drawn.items() if part is not counted[name]}
        whole = {name: distances[name] for name in drawn.keys() - thinner.keys()}
        statistics = statistics_of(reference.histograms, thinner, reference.watched, whole)
        rarity = reference.budgets[own].rarity(statistics, range(len(found)))
        found = np.where(np.isnan(rarity), found, rarity)
    return found


def _joint(
    state: WindowState, reference: Reference, size: int, random: np.random.Generator
) -> tuple[JointDrift, ...]:
    """How far the window's columns moved together; not known where one of them has no row.

    The window cannot be thinned row by row: what fewer rows would have of noise is drawn.
    """
    found = []
    for i, joint in enumerate(reference.joint, start=len(reference.watched)):
        weight = reference.budgets[size].weight[i]
        if not all(name in state.histograms and state.histograms[name].rows for name in joint.columns):
            found.append(JointDrift((), np.nan, np.nan, weight))
            continue
        sides = (
            {name: np.array([[*side[name].counts, side[name].missing]], float) for name in joint.columns}
            for side in (reference.histograms, state.histograms)
        )
        moved = joint.moves(reference.histograms, *sides)
        share = (1 / state.rows + 1 / reference.rows) / (1 / size + 1 / reference.rows)
        moved = moved if state.rows == size else joint.thinned(moved, share, random)
        distance = joint.distances(moved)
        rarity = reference.budgets[size].rarity(distance, [i])
        parts = joint.shares(reference.histograms, moved)
        named = int(np.searchsorted(np.cumsum(list(parts.values())), _HALF)) + 1
        found.append(JointDrift(tuple(parts)[:named], float(distance[0]), float(rarity[0]), weight))
    return tuple(found)


def _held_to(reference: Reference, name: str, rows: int, size: int, whole: int) -> tuple[int, int]:
    """The size of windows that a column is held against, and how many of its rows that takes; 0 for none.

    Args:
        reference: What the window is compared with.
        name: The column, or one within a segment.
        rows: How many rows the column has.
        size: The size that the window is thinned to.
        whole: How many rows the window has.
    """
    if name not in reference.within:
        own = max((each for each in reference.budgets if each <= min(rows, size)), default=0)
        return own, own
    segment = reference.within[name][1]
    thinner = round(rows * size / whole)
    sizes = (each for each in reference.budgets if each <= size and thinner >= segment.fewest(each))
    own = max(sizes, default=0)
    return own, thinner if own == size else min(thinner, segment.expected(own))


def _comparable(state: WindowState) -> Mapping[str, Histogram]:
    """The columns to compare: all, but the actuals while too few are known."""
    return {
        name: part
        for name, part in state.histograms.items()
        if name != ACTUAL or part.rows >= _SETTLED * state.rows > 0
    }


def _unjudged(rows: int, reference: Reference) -> tuple[str, str]:
    if not reference.budgets:
        return "no budget", "The reference has too few windows to know its own variation."
    if not rows:
        return "too few", "There was no prediction in the window."
    least = min(reference.budgets)
    return "too few", f"{rows} predictions are too few to be told from noise; {least} are needed."
