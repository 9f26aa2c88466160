"""Alarms that keep a budget: so many false alarms in so many windows, from the reference's own variation.

Each column's statistic is put on the scale of how much it varies between windows of the reference; a
window's statistic is the largest over its columns; the threshold is the quantile of the reference
windows' statistics that meets the budget. No p-value, no correction for many columns: the largest of them
is what was measured.

Example:
    >>> budget = fit_budget([[0.1], [0.2], [0.3], [0.2]], alarms=1, windows=2)
    >>> budget.judge([0.9]).exceeded
    True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats

_LEAST_SCALE = 1e-3
_NORMAL = 1.4826
_MANY = 150


@dataclass(frozen=True, slots=True)
class BudgetFinding:
    """What a budget says of one window.

    Attributes:
        exceeded: Whether it is an alarm.
        statistic: The largest standardised statistic of its columns; NaN when none is known.
        threshold: What it was compared with.
        standardised: Each column's, shape (columns,).
        order: The columns' places, the most moved first.
    """

    exceeded: bool
    statistic: float
    threshold: float
    standardised: tuple[float, ...]
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """A fitted threshold and what it can promise.

    Attributes:
        centre: Each column's median over reference windows, shape (columns,).
        scale: Each column's robust spread over them.
        threshold: Above it a window is an alarm.
        asked: The rate of false alarms that was asked for.
        attainable: Whether that rate can be had from so few reference windows.
        rate: The rate that the threshold stands for: what was asked, or the lowest attainable.
        windows: How many reference windows there were.
        reason: The same in a sentence.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    threshold: float
    asked: float
    attainable: bool
    rate: float
    windows: int
    reason: str

    def judge(self, statistics: ArrayLike) -> BudgetFinding:
        """Compares a window with the budget.

        Args:
            statistics: The window's statistic for each column, shape (columns,); NaN where not known.

        Raises:
            DataFault: When their number is not that of the reference.
        """
        values = np.asarray(statistics, dtype=np.float64)
        if values.shape != (len(self.centre),):
            raise DataFault(
                f"The window has statistics of shape {values.shape}; the reference has {len(self.centre)}."
            )
        moved = (values - np.asarray(self.centre)) / np.asarray(self.scale)
        known = moved[~np.isnan(moved)]
        largest = float(known.max()) if known.size else float("nan")
        order = np.argsort(np.where(np.isnan(moved), np.inf, -moved), kind="stable")
        return BudgetFinding(
            largest > self.threshold, largest, self.threshold, tuple(moved.tolist()), tuple(order.tolist())
        )

    def to_dict(self) -> dict[str, Any]:
        """Gives the budget as what JSON can carry."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Budget:
        """Reads what `to_dict` gave."""
        named = {name: data[name] for name in cls.__slots__}
        return cls(**{**named, "centre": tuple(data["centre"]), "scale": tuple(data["scale"])})


def fit_budget(reference_statistics: ArrayLike, alarms: float, windows: float) -> Budget:
    """Fits the threshold that gives so many false alarms in so many windows.

    With m reference windows the threshold is their statistic of rank ceil((m + 1)(1 - rate)), which a new
    window of the same kind exceeds with at most the chance asked. When that rank is above m the budget
    is out of reach: the threshold is then the largest statistic seen, and the rate is 1 / (m + 1). Each
    reference window is put on the scale of the others, as a new window will be.

    Args:
        reference_statistics: Shape (windows, columns), cut in time order so that season and
            autocorrelation are in them; NaN where not known.
        alarms: How many false alarms.
        windows: In how many windows.

    Returns:
        The budget.

    Raises:
        DataFault: When there are fewer than 2 reference windows, or no column.
        UsageFault: When the budget makes no sense.

    Source:
        The maximum over columns of statistics standardised by resamples: Westfall and Young (1993);
        the rank is split conformal's (Vovk et al., 2005), exact for exchangeable windows.
    """
    table = np.asarray(reference_statistics, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise DataFault(
            f"The reference statistics have shape {table.shape}; at least 2 windows and a column are needed."
        )
    if not 0 < alarms < windows:
        raise UsageFault(f"{alarms:g} false alarms in {windows:g} windows is no budget, such as 1 in 100.")
    count, asked = table.shape[0], alarms / windows
    largest = np.sort(_largest(table))
    rank = int(np.ceil((count + 1) * (1 - asked) - 1e-9))
    attainable = rank <= count
    centre, scale = _robust(table)
    rate = asked if attainable else 1 / (count + 1)
    return Budget(
        tuple(centre.tolist()),
        tuple(scale.tolist()),
        float(largest[min(rank, count) - 1]),
        asked,
        attainable,
        rate,
        count,
        _reason(asked, attainable, count),
    )


def _robust(table: Floats) -> tuple[Floats, Floats]:
    """The median and spread of each column; 0 and the least scale where nothing is known."""
    centre = _median(table)
    spread = _NORMAL * _median(np.abs(table - centre))
    # A statistic that never moved in the reference must not turn a grain of noise into an alarm.
    return centre, np.maximum(spread, np.maximum(_LEAST_SCALE, 0.1 * np.abs(centre)))


def _median(table: Floats) -> Floats:
    """The median of each column's known values; 0 where there is none."""
    # NaN sort to the end.
    known, rising = np.count_nonzero(~np.isnan(table), axis=0), np.sort(table, axis=0)
    columns = np.arange(table.shape[1])
    below, above = rising[np.maximum(known - 1, 0) // 2, columns], rising[known // 2 % len(table), columns]
    return np.where(known > 0, (below + above) / 2, 0.0)


def _largest(table: Floats) -> Floats:
    """The largest of each window on the scale of the others; of all, where one more changes nothing."""
    if len(table) > _MANY:
        return _above(table, *_robust(table))
    return np.concatenate(
        [_above(table[i : i + 1], *_robust(np.delete(table, i, axis=0))) for i in range(len(table))]
    )


def _above(table: Floats, centre: Floats, scale: Floats) -> Floats:
    moved = (table - centre) / scale
    largest: Floats = np.where(np.isnan(moved), -np.inf, moved).max(axis=1)
    return largest


def _reason(asked: float, attainable: bool, count: int) -> str:
    if attainable:
        return f"{count} reference windows reach {asked:.3g} false alarms a window."
    least = int(np.ceil(1 / asked - 1e-9)) - 1
    return (
        f"{count} reference windows can promise {1 / (count + 1):.3g} false alarms a window at best; "
        f"{asked:.3g} was asked for and needs {least}."
    )
