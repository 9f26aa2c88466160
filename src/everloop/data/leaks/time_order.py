"""A split by chance over rows whose order in time matters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.groups import intraclass
from everloop.data.leaks.parts import JUDGED_ROWS
from everloop.data.leaks.values import moment_text, target_of, times_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts

KIND = "time order"
BLOCKS = 10
NEAREST = 5
FEWEST_ROWS = 200
MIXED = 0.1
"""Parts are mixed where this share of the later one lies before the end of the earlier one."""

DRIFT = 0.005
NEIGHBOURS = 0.1
UNLIKELY = 1e-4


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds time columns along which parts are mixed, while the target changes along them."""
    if parts.split_by == "time":
        return
    named = [parts.frame.time] if parts.frame.time else parts.train.columns
    for name in named:
        for _, later in parts.pairs()[:1]:
            yield from _mixed(parts, name, later)


def _mixed(parts: Parts, name: str, later: str) -> Iterator[LeakFinding]:
    import polars as pl

    target = parts.frame.target
    if name in (target, parts.frame.label_time) or name not in parts.tables[later].columns:
        return
    if target not in parts.tables[later].columns:
        return
    learned, judged = parts.judged, parts.with_target(name, later)
    judged = judged if judged.height <= JUDGED_ROWS else judged.sample(JUDGED_ROWS, seed=0)
    times, others = times_of(learned[name]), times_of(judged[name])
    if times is None or others is None or len(others) == 0 or len(times) < FEWEST_ROWS:
        return
    known, seen = ~np.isnan(times), ~np.isnan(others)
    times, others = times[known], others[seen]
    if len(np.unique(times)) < 2 * BLOCKS or (others < times.max()).mean() < MIXED:
        return
    matrix = target_of(
        pl.concat([learned[target].cast(judged.schema[target]), judged[target]]), parts.frame.task
    ).matrix
    y, actual = matrix[: learned.height][known], matrix[learned.height :][seen]
    drift, chance = _drift(times, y)
    agreement, surprise = _neighbours(times, y, others, actual)
    trend, luck = _trend(times, y)
    matters = (drift >= DRIFT and chance < UNLIKELY) or (agreement >= NEIGHBOURS and surprise < UNLIKELY)
    if not matters and not (trend >= DRIFT and luck < UNLIKELY):
        return
    yield LeakFinding(
        KIND,
        name,
        "error",
        f"The split is by {parts.split_by}, and {target} changes along {name}: its share or level differs "
        f"between tenths of the time ({drift:.1%} of its variance), it goes one way ({trend:.1%} of the "
        f"order in time), and rows of the {later} part agree with the training rows next to them in time "
        f"(correlation {agreement:.2f}). In production there are none of later: split by time.",
        {
            "drift": drift,
            "trend": trend,
            "agreement": agreement,
            "from": moment_text(times.min()),
            "to": moment_text(times.max()),
            "tenths": _tenths(times, y),
        },
    )


def _blocks(times: Any) -> Any:
    """Gives each row's tenth of the rows in time; equal times are in one."""
    edges = np.quantile(times, np.arange(1, BLOCKS) / BLOCKS)
    return np.unique(np.searchsorted(edges, times, side="right"), return_inverse=True)[1]


def _drift(times: Any, y: Any) -> tuple[float, float]:
    blocks = _blocks(times)
    found, chance = intraclass(blocks, int(blocks.max()) + 1, y)
    return max(found, 0.0), chance


def _trend(times: Any, y: Any) -> tuple[float, float]:
    """Gives how much of the order in time the target tells, and how likely chance tells as much.

    Of numbers that is Spearman's correlation, squared, and of classes Kruskal's and Wallis's (1952) share;
    less what chance alone would tell. It has one degree of freedom for each class but one, where a
    comparison of tenths has nine for each: a change that goes one way is seen in far fewer rows.
    """
    from scipy.stats import chi2, rankdata

    ranks = rankdata(times)
    ranks -= ranks.mean()
    if y.shape[1] == 1:
        values, free = y[:, 0] - y[:, 0].mean(), 1
        spread = float((values**2).sum() * (ranks**2).sum())
        told = float(values @ ranks) ** 2 / spread if spread > 0 else 0.0
    else:
        classes = np.unique(y.argmax(axis=1), return_inverse=True)[1]
        counts, free = np.bincount(classes), int(classes.max())
        told = float((np.bincount(classes, weights=ranks) ** 2 / counts).sum() / (ranks**2).sum())
    if not free:
        return 0.0, 1.0
    left = (1 - told) * (len(ranks) - 1) / max(1, len(ranks) - 1 - free)
    return max(1 - left, 0.0), float(chi2.sf(told * (len(ranks) - 1), free))


def _tenths(times: Any, y: Any) -> list[float]:
    """Gives the target's mean in each tenth: of classes the share of the last, of numbers the mean rank."""
    blocks = _blocks(times)
    sums = np.bincount(blocks, weights=y[:, -1])
    return [round(float(one), 4) for one in sums / np.bincount(blocks)]


def _neighbours(times: Any, y: Any, others: Any, actual: Any) -> tuple[float, float]:
    """Correlates each later row's target with the mean of the training rows nearest to it in time."""
    from scipy.stats import norm

    order = np.argsort(times, kind="stable")
    sums = np.vstack([np.zeros(y.shape[1]), np.cumsum(y[order], axis=0)])
    width = min(NEAREST, len(times))
    start = np.clip(np.searchsorted(times[order], others) - width // 2, 0, len(times) - width)
    near = (sums[start + width] - sums[start]) / width
    a, b = near - near.mean(axis=0), actual - actual.mean(axis=0)
    spread = float(np.sqrt((a**2).sum() * (b**2).sum()))
    found = float((a * b).sum()) / spread if spread > 0 else 0.0
    return found, float(norm.sf(found * np.sqrt(len(others))))
