"""Alarms that keep a budget: so many false alarms in so many windows, from the reference's own variation.

Each column's statistic is told by how rare it is among windows of the reference, in powers of ten: 2 is one
window in a hundred. A window's statistic is the evidence of its columns together; the threshold is the
quantile of the reference windows' evidence that meets the budget. So each column pays its share of it,
however its statistic is spread, and many columns that moved a little are evidence, too.

Example:
    >>> budget = fit_budget([[0.1], [0.2], [0.3], [0.2]], alarms=1, windows=2)
    >>> budget.judge([0.9]).exceeded
    True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from everloop.core.errors import DataFault, UsageFault
from everloop.measure.arrays import Floats

_LEAST_SCALE = 1e-3
_LEAST_PART = 0.01
_TAIL = 10
_MANY = 150
_PARTS = 20
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class BudgetFinding:
    """What a budget says of one window.

    Attributes:
        exceeded: Whether it is an alarm.
        statistic: The evidence of its columns together; NaN when none is known.
        threshold: What it was compared with.
        standardised: How rare each column's statistic is, in powers of ten, shape (columns,).
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
        centre: What each column's statistic is where it is not rare, shape (columns,).
        scale: By how much each column's statistic is larger where it is ten times rarer.
        threshold: A window with more evidence is an alarm.
        asked: The rate of false alarms that was asked for.
        attainable: Whether that rate can be had from so few reference windows.
        rate: The rate that the threshold stands for: what was asked, or the lowest attainable.
        windows: How many reference windows there were.
        reason: The same in a sentence.
        weight: How much each column's evidence counts, shape (columns,); empty where all count alike.
    """

    centre: tuple[float, ...]
    scale: tuple[float, ...]
    threshold: float
    asked: float
    attainable: bool
    rate: float
    windows: int
    reason: str
    weight: tuple[float, ...] = ()

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
        return self.judge_rarity(self.rarity(values, range(len(self.centre))))

    def rarity(self, statistics: ArrayLike, places: Sequence[int]) -> Floats:
        """Tells how rare some columns' statistics are, in powers of ten, shape (places,)."""
        centre, scale = (np.asarray(each)[list(places)] for each in (self.centre, self.scale))
        found: Floats = (np.asarray(statistics, dtype=np.float64) - centre) / scale
        return found

    def judge_rarity(self, moved: Floats) -> BudgetFinding:
        """Compares a window with the budget, by how rare each column's statistic is; NaN where not known."""
        found = float(together(moved, self.weight)) if not np.isnan(moved).all() else float("nan")
        order = np.argsort(np.where(np.isnan(moved), np.inf, -moved), kind="stable")
        # The same numbers, summed in another order, are no alarm.
        exceeded = found > self.threshold + _ROUNDING
        return BudgetFinding(exceeded, found, self.threshold, tuple(moved.tolist()), tuple(order.tolist()))

    def to_dict(self) -> dict[str, Any]:
        """Gives the budget as what JSON can carry."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Budget:
        """Reads what `to_dict` gave."""
        named = {name: data[name] for name in cls.__slots__ if name in data}
        listed = {name: tuple(data.get(name, ())) for name in ("centre", "scale", "weight")}
        return cls(**{**named, **listed})


def together(standardised: Floats, weight: tuple[float, ...] = ()) -> Floats:
    """Gives the evidence of columns together: the logarithm of the sum of how rare each of them is.

    One column that is very rare is all of it; several that hang together count about as one. That makes
    it hold where columns depend on each other, which a sum of the logarithms would not.

    Args:
        standardised: Powers of ten, shape (..., columns); NaN where not known.
        weight: How much each of them counts, shape (columns,); empty where all count alike.

    Returns:
        A power of ten, shape (...); -infinity where nothing is known.

    Source:
        The harmonic mean of p-values: Wilson, PNAS 116 (2019).
    """
    counted = standardised + np.log10(weight) if weight else standardised
    known = np.where(np.isnan(counted), -np.inf, counted)
    largest = known.max(axis=-1)
    finite = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        found: Floats = finite + np.log10((10.0 ** (known - finite[..., None])).sum(axis=-1))
    return found


def beyond(standardised: ArrayLike, threshold: float) -> int:
    """Counts the columns that make an alarm, of those that it has, the most moved first.

    Those are the ones that alone have more evidence than is allowed; where none has, the fewest that have
    it together.
    """
    falling = np.asarray(standardised, dtype=np.float64)
    alone = int(np.count_nonzero(falling > threshold))
    places = range(1, np.count_nonzero(~np.isnan(falling)) + 1)
    return alone or next((n for n in places if together(falling[:n]) > threshold), 0)


def fit_budget(
    reference_statistics: ArrayLike, alarms: float, windows: float, weight: tuple[float, ...] = ()
) -> Budget:
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
        weight: How much each column's evidence counts, shape (columns,); empty where all count alike.

    Returns:
        The budget.

    Raises:
        DataFault: When there are fewer than 2 reference windows, or no column.
        UsageFault: When the budget makes no sense.

    Source:
        Statistics of many columns on one scale, by resamples: Westfall and Young (1993); the rank is
        split conformal's (Vovk et al., 2005), exact for exchangeable windows.
    """
    table = np.asarray(reference_statistics, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] < 2 or table.shape[1] < 1:
        raise DataFault(
            f"The reference statistics have shape {table.shape}; at least 2 windows and a column are needed."
        )
    if not 0 < alarms < windows:
        raise UsageFault(f"{alarms:g} false alarms in {windows:g} windows is no budget, such as 1 in 100.")
    count, asked = table.shape[0], alarms / windows
    evidence = np.sort(_evidence(table, weight))
    rank = int(np.ceil((count + 1) * (1 - asked) - 1e-9))
    attainable = rank <= count
    centre, scale = _tails(table)
    rate = asked if attainable else 1 / (count + 1)
    return Budget(
        tuple(centre.tolist()),
        tuple(scale.tolist()),
        float(evidence[min(rank, count) - 1]),
        asked,
        attainable,
        rate,
        count,
        _reason(asked, attainable, count),
        weight,
    )


def _tails(table: Floats) -> tuple[Floats, Floats]:
    """Where the upper tail of each column begins, less the powers of ten that it is rare, and its steepness.

    Above a tenth of the windows (of few: a half) a statistic becomes rarer as an exponential does, whose
    scale is the mean excess.

    Source:
        Pickands, Annals of Statistics 3 (1975), with the shape 0.
    """
    known, rising = np.count_nonzero(~np.isnan(table), axis=0), np.sort(table, axis=0)
    few = np.minimum(np.maximum(_TAIL, known // 10), known // 2)
    begin = np.where(known > 0, rising[np.maximum(known - few - 1, 0), np.arange(table.shape[1])], 0.0)
    above = table > begin
    excess = np.where(above, table - begin, 0.0).sum(axis=0) / np.maximum(above.sum(axis=0), 1)
    # A statistic that never moved in the reference must not turn a grain of noise into an alarm.
    scale = np.maximum(np.log(10) * excess, np.maximum(_LEAST_SCALE, _LEAST_PART * np.abs(begin)))
    share = np.count_nonzero(table >= begin, axis=0) / (known + 1)
    return begin + scale * np.log10(np.where(known > 0, share, 1.0)), scale


def _evidence(table: Floats, weight: tuple[float, ...]) -> Floats:
    """The evidence of each window by the tails of the others: its own would make it look less rare.

    Of many windows a part is left out at once.
    """
    windows = np.arange(len(table))
    parts = np.array_split(windows, len(table) if len(table) <= _MANY else _PARTS)
    others = [_tails(np.delete(table, part, axis=0)) for part in parts]
    return np.concatenate(
        [
            together((table[part] - centre) / scale, weight)
            for part, (centre, scale) in zip(parts, others, strict=True)
        ]
    )


def _reason(asked: float, attainable: bool, count: int) -> str:
    if attainable:
        return f"{count} reference windows reach {asked:.3g} false alarms a window."
    least = int(np.ceil(1 / asked - 1e-9)) - 1
    return (
        f"{count} reference windows can promise {1 / (count + 1):.3g} false alarms a window at best; "
        f"{asked:.3g} was asked for and needs {least}."
    )
