"""All of a window that adds up: counted in parts, it is that of the whole, however many rows there are.

Where a window is too large to be held, this is of all its rows, and what needs the rows themselves
(intervals of metrics, estimates) is of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from everloop.measure.maturity import DelayCurve, MaturedSums, matured_sums
from everloop.monitor.references import Reference
from everloop.monitor.state import WindowState, count_window
from everloop.monitor.window import Window
from everloop.table.contract import ContractReport, check


@dataclass(frozen=True)
class WindowTally:
    """What was counted of a window's rows, or of a part of them.

    Attributes:
        state: Inputs, scores and actuals in the bins of the reference.
        actuals: How many rows have their actual.
        chances: The sum of their chances to have it by now.
        scores: The sum of the scores.
        value: What decisions were worth; None without prices.
        gain: The same less what today's rule would have earned on the same rows; None without one.
        refused: How many requests were refused as they broke the contract, where it was counted.
        held: What the rows broke of the contract; None without one.
    """

    state: WindowState
    actuals: int
    chances: float
    scores: float
    value: MaturedSums | None = None
    gain: MaturedSums | None = None
    refused: int | None = None
    held: ContractReport | None = None

    @property
    def rows(self) -> int:
        """How many rows were counted."""
        return self.state.rows

    @property
    def maturity(self) -> float:
        """The share of rows whose actual can be expected to be known by now."""
        return self.chances / self.rows if self.rows else 0.0

    @property
    def score_mean(self) -> float:
        """The mean score; NaN with no row."""
        return self.scores / self.rows if self.rows else float("nan")

    @property
    def violation_share(self) -> float | None:
        """The share of requests that broke the contract; None where that was not counted."""
        if self.refused is None and self.held is None:
            return None
        refused, broken = self.refused or 0, self.held.broken if self.held else 0
        requests = self.rows + refused
        return (refused + broken) / requests if requests else 0.0

    def merge(self, later: WindowTally) -> WindowTally:
        """Adds a part behind this one that was counted in the same way."""
        return WindowTally(
            self.state.merge(later.state),
            self.actuals + later.actuals,
            self.chances + later.chances,
            self.scores + later.scores,
            None if self.value is None or later.value is None else self.value.merge(later.value),
            None if self.gain is None or later.gain is None else self.gain.merge(later.gain),
            None if self.refused is None or later.refused is None else self.refused + later.refused,
            None if self.held is None or later.held is None else self.held.merge(later.held),
        )


def tally_window(window: Window, reference: Reference, delay: DelayCurve | None = None) -> WindowTally:
    """Counts the rows of a window, or of a part of one.

    Args:
        window: The rows.
        reference: What they will be compared with.
        delay: When actuals come; a part cannot do without.
    """
    known, chances = ~np.isnan(window.actuals), chances_of(window, delay)
    value, gain = _values(window, known, chances)
    return WindowTally(
        count_window(window.inputs, reference, scores=window.scores, actuals=window.actuals),
        int(known.sum()),
        float(chances.sum()),
        float(window.scores.sum()),
        value,
        gain,
        window.violations,
        None if window.contract is None else check(window.inputs, window.contract.for_rows()),
    )


def chances_of(window: Window, delay: DelayCurve | None) -> NDArray[np.float64]:
    """Gives each row's chance that its actual is known by now, (n,); without a curve the share that is."""
    if delay is None:
        known = ~np.isnan(window.actuals)
        return np.full(known.shape, known.mean() if known.size else 0.0)
    return delay.known_by(window.ages)


def _values(
    window: Window, known: NDArray[np.bool_], chances: NDArray[np.float64]
) -> tuple[MaturedSums | None, MaturedSums | None]:
    """Value per decision, and the same less today's, from the actuals that are known."""
    worth = window.worth
    if worth is None:
        return None, None

    def earned(decisions: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.full(known.shape, np.nan)
        if known.any():
            values[known] = worth.only(known).values(window.actuals[known], decisions[known])
        return values

    ours = earned(window.decisions)
    value = matured_sums(ours, chances)
    return value, None if window.today is None else matured_sums(ours - earned(window.today), chances)
