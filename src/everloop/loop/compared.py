"""What policies came to, compared on the same decisions, window by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.values import to_jsonable
from everloop.measure.intervals import Interval, paired_interval

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

_RESAMPLES = 4000


@dataclass(frozen=True)
class Lived:
    """A policy that has lived through history.

    Attributes:
        name: The policy.
        worth: What each row's decision was worth, (rows,); NaN where there was none or it is not known.
        retrains: When a pass was made, and what it cost with the labels that it was the first to learn from.
        promoted: When a challenger took over.
        alarms: When an alert was raised.
        failed: When a retrain failed.
    """

    name: str
    worth: NDArray[np.float64]
    retrains: tuple[tuple[datetime, float], ...]
    promoted: tuple[datetime, ...]
    alarms: tuple[datetime, ...]
    failed: tuple[datetime, ...] = ()


@dataclass(frozen=True)
class PolicyWindow:
    """A span of history under one policy.

    Attributes:
        since: Its start.
        value: What its decisions were worth.
        cost: What its retrains and their labels cost.
        retrains: How many passes were made in it.
        alarms: How many alerts were raised in it.
    """

    since: datetime
    value: float
    cost: float
    retrains: int
    alarms: int


@dataclass(frozen=True)
class PolicyResult:
    """What one policy came to.

    Attributes:
        name: The policy.
        months: Value per decision by month.
        windows: The same history in spans of equal length.
        value: What all decisions together were worth.
        value_per_decision: The same for one.
        against_never: What a decision was worth more than without any retrain, paired by row.
        retrains: How many passes were made after the first.
        promoted: How many challengers took over.
        alarms: How many alerts there were.
        failed: How many retrains failed.
        cost: What the retrains and the labels that they learned from cost.
        best_in: The share of resamples of the windows in which it earns most after its costs.
    """

    name: str
    months: dict[str, float]
    windows: tuple[PolicyWindow, ...]
    value: float
    value_per_decision: float
    against_never: Interval | None
    retrains: int
    promoted: int
    alarms: int
    failed: int
    cost: float
    best_in: float

    @property
    def net(self) -> float:
        """The value less the cost."""
        return self.value - self.cost

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        return dict(to_jsonable(vars(self) | {"net": self.net}))


@dataclass(frozen=True)
class BacktestResult:
    """What the policies came to, on the same rows.

    Attributes:
        since: Where history began; the first version was trained on what was known then.
        until: Where it ended.
        decisions: How many decisions are compared.
        currency: The money's name.
        window: How long a window is, in seconds.
        policies: In the order in which they were asked for.
        margin: What the best earned more than the next, after costs: the total, with an interval from
            the windows' paired differences. None with one policy.
        meaning: What value means, where that has to be said; else empty.
    """

    since: datetime
    until: datetime
    decisions: int
    currency: str
    window: float
    policies: tuple[PolicyResult, ...]
    margin: Interval | None
    meaning: str = ""

    @property
    def ranked(self) -> list[PolicyResult]:
        """The policies, those that earned most after their costs first."""
        return sorted(self.policies, key=lambda policy: -policy.net)

    @property
    def best(self) -> PolicyResult:
        """The policy that earned most after its costs."""
        return self.ranked[0]

    @property
    def verdict(self) -> str:
        """The best policy, and how sure that is, in a sentence or two."""
        best, money = self.best, self.currency or "units of value"
        if self.margin is None or len(self.policies) == 1:
            return f"{best.name} is the only policy."
        next_best = self.ranked[1]
        told = (
            f"{best.name} earned most after its costs: {self.margin.estimate:,.0f} {money} more than "
            f"{next_best.name} (95 % of {self.margin.low:,.0f} to {self.margin.high:,.0f}, over "
            f"{len(best.windows)} windows); it is the best in {best.best_in:.0%} of resampled histories."
        )
        if self.margin.low > 0:
            return told
        return told + f" That is no proof: {next_best.name} may be as good."

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        named = ("since", "until", "decisions", "currency", "window", "margin", "verdict", "meaning")
        facts = {name: getattr(self, name) for name in named}
        policies = [policy.to_dict() for policy in self.policies]
        return dict(to_jsonable(facts | {"policies": policies, "best": self.best.name}))


def compare(
    lived: Sequence[Lived],
    times: pl.Series,
    span: tuple[datetime, datetime],
    window: timedelta,
    currency: str,
    meaning: str = "",
) -> BacktestResult:
    """Compares policies on the decisions that all of them made and whose actual came.

    Args:
        lived: The policies; the others are held against the first.
        times: When each row was decided on.
        span: Where history began and ended.
        window: How it is cut for the picture and for the interval of the difference.
        currency: The money's name.
        meaning: What value means, where that has to be said.
    """
    since, until = span
    known = ~np.isnan(np.stack([one.worth for one in lived])).any(axis=0)
    edges = [since + window * number for number in range(-(-(until - since) // window))]
    cut = _Cut(edges, window)
    placed = cut.places(times.dt.epoch("us").to_numpy()[known] / 1e6)
    months = times.dt.strftime("%Y-%m").to_numpy()[known]
    cuts = [_windows(one, one.worth[known], cut, placed) for one in lived]
    net = np.array([[each.value - each.cost for each in windows] for windows in cuts])
    shares = _best_shares(net)
    results = tuple(
        _result(
            one, windows, one.worth[known], months, None if one is lived[0] else lived[0].worth[known], share
        )
        for one, windows, share in zip(lived, cuts, shares, strict=True)
    )
    order = np.argsort(-net.sum(axis=1), kind="stable")
    margin = None if len(lived) == 1 else _margin(net[order[1]], net[order[0]])
    seconds = window.total_seconds()
    return BacktestResult(since, until, int(known.sum()), currency, seconds, results, margin, meaning)


@dataclass(frozen=True)
class _Cut:
    """Spans of equal length."""

    edges: list[datetime]
    window: timedelta

    def places(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:
        """In which span each moment lies, (n,)."""
        begun = (seconds - self.edges[0].timestamp()) // self.window.total_seconds()
        return np.clip(begun, 0, len(self.edges) - 1).astype(np.int64)

    def counts(
        self, moments: Sequence[datetime], weights: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """How many moments lie in each span, or the sum of their weights."""
        seconds = np.array([moment.timestamp() for moment in moments], dtype=np.float64)
        return np.bincount(self.places(seconds), weights, minlength=len(self.edges)).astype(np.float64)


def _windows(
    one: Lived, worth: NDArray[np.float64], cut: _Cut, placed: NDArray[np.int64]
) -> tuple[PolicyWindow, ...]:
    values = np.bincount(placed, worth, minlength=len(cut.edges))
    retrained = [moment for moment, _ in one.retrains]
    costs = cut.counts(retrained, [cost for _, cost in one.retrains])
    counts = zip(values, costs, cut.counts(retrained), cut.counts(one.alarms), strict=True)
    return tuple(
        PolicyWindow(since, float(value), float(cost), int(retrains), int(alarms))
        for since, (value, cost, retrains, alarms) in zip(cut.edges, counts, strict=True)
    )


def _result(
    one: Lived,
    windows: tuple[PolicyWindow, ...],
    worth: NDArray[np.float64],
    months: NDArray[np.str_],
    base: NDArray[np.float64] | None,
    share: float,
) -> PolicyResult:
    return PolicyResult(
        name=one.name,
        months={month: float(worth[months == month].mean()) for month in sorted(set(months))},
        windows=windows,
        value=float(worth.sum()),
        value_per_decision=float(worth.mean()) if worth.size else float("nan"),
        against_never=None if base is None else paired_interval(base, worth),
        retrains=len(one.retrains),
        promoted=len(one.promoted),
        alarms=len(one.alarms),
        failed=len(one.failed),
        cost=sum(cost for _, cost in one.retrains),
        best_in=share,
    )


def _margin(second: NDArray[np.float64], first: NDArray[np.float64]) -> Interval:
    """The total of what windows differ by, with its interval: windows vary more than rows say."""
    return paired_interval(second, first).scaled(first.size)


def _best_shares(net: NDArray[np.float64], seed: int = 0) -> list[float]:
    """The share of resampled histories in which each policy earns most; ties are shared.

    Args:
        net: What each policy earned in each window after its costs, (policies, windows).
        seed: Of the resampling.
    """
    drawn = np.random.default_rng(seed).integers(0, net.shape[1], (_RESAMPLES, net.shape[1]))
    totals = net[:, drawn].sum(axis=2)
    first = totals == totals.max(axis=0)
    shares: list[float] = (first / first.sum(axis=0)).mean(axis=1).tolist()
    return shares
