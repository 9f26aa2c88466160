"""What a model brings in a month, and when it has paid for itself.

Example:
    >>> from everloop.measure.intervals import Interval
    >>> found = outlook(Interval(1.0, 2.0, 3.0), per_month=100, cost_per_month=50, upfront=300)
    >>> found.gain_per_month.estimate, found.payback_days
    (150.0, 60.0)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everloop.measure.intervals import Interval

DAYS = 30
"""A month's days, as rates count them."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Money and time.

    Attributes:
        gain: What a decision adds to today's.
        gain_per_month: The same of a month's decisions, less what predictions cost; None without a volume.
        cost_per_month: What predictions cost.
        upfront: What is paid before the first prediction: labels and training.
        payback_days: When the gain has paid for it; 0 where nothing is paid, None where it never does or
            is not known.
        payback_days_at_worst: The same at the low end of the gain's interval.
    """

    gain: Interval
    gain_per_month: Interval | None
    cost_per_month: float
    upfront: float
    payback_days: float | None
    payback_days_at_worst: float | None

    def to_dict(self) -> dict[str, Any]:
        """Gives the outlook as what JSON can carry."""
        month = self.gain_per_month
        return {
            "gain": self.gain.to_dict(),
            "gain_per_month": month.to_dict() if month else None,
            "cost_per_month": self.cost_per_month,
            "upfront": self.upfront,
            "payback_days": self.payback_days,
            "payback_days_at_worst": self.payback_days_at_worst,
        }


def outlook(gain: Interval, *, per_month: float | None, cost_per_month: float, upfront: float) -> Outlook:
    """Carries a gain for each decision on to a month.

    Args:
        gain: What a decision adds to today's.
        per_month: Decisions in a month; None where it is not known.
        cost_per_month: Of the predictions.
        upfront: Paid once.
    """
    if per_month is None:
        return Outlook(gain, None, cost_per_month, upfront, None, None)
    low, middle, high = (per_month * end - cost_per_month for end in (gain.low, gain.estimate, gain.high))
    month = Interval(low, middle, high)
    return Outlook(gain, month, cost_per_month, upfront, _days(upfront, middle), _days(upfront, low))


def _days(upfront: float, gain_per_month: float) -> float | None:
    if not gain_per_month > 0:
        return None
    return upfront / gain_per_month * DAYS
