"""The slices of the rows on which a model does worst: found on one half of them, confirmed on the other.

The search looks at every value of a column and every pair of two, as SliceLine does (Sagadeeva and Boehm,
SIGMOD 2021): sums of losses over all pairs are products of indicator matrices. What it finds was chosen
among thousands and flatters nobody; so the worst few are measured again on rows that the search did not
see, and told only where the metric is worse there too, after Holm's correction (Scandinavian Journal of
Statistics 6, 1979).
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.measure.metric_intervals import metric_interval
from everloop.measure.metrics import METRICS, compute
from everloop.model.evaluation import Slice
from everloop.model.row_losses import RowLosses, losses_for
from everloop.table.groups import groups_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.measure.intervals import Interval
    from everloop.model.judged import Judged

FEWEST_ROWS = 50
FEWEST_SHARE = 0.01
MOST_COLUMNS = 60
MOST_PAIRED = 200
CANDIDATES = 12
SHOWN = 6
MOST_ROWS = 40_000
OVERLAP = 0.8
PAIR_PENALTY = 1.0
"""In standard errors: there are so many pairs that the surest of them is a little surer by chance."""

SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class SlicesFound:
    """What a search for slices came to.

    Attributes:
        slices: Those that hold on rows that the search did not see, the worst first.
        looked_at: How many slices with enough rows were compared.
        tried: How many of them were measured again.
    """

    slices: tuple[Slice, ...] = ()
    looked_at: int = 0
    tried: int = 0


@dataclass(frozen=True, slots=True)
class _Condition:
    column: str
    value: str
    rows: NDArray[np.bool_]


def worst_slices(judged: Judged) -> SlicesFound:
    """Gives the slices by one or two columns on which the metric is worse than on all other rows."""
    size = len(judged.actual)
    fewest = max(FEWEST_ROWS, int(FEWEST_SHARE * size))
    if size < 4 * fewest or judged.frame.metric not in METRICS:
        return SlicesFound()
    order = np.random.default_rng(judged.seed).permutation(size)
    searched = np.sort(order[: min(size // 2, MOST_ROWS)])
    kept = np.ones(size, dtype=bool)
    kept[order[: size // 2]] = False
    conditions = _conditions(judged, searched, fewest / 2 * len(searched) / (size / 2))
    losses = losses_for(judged)
    if not conditions or losses is None:
        return SlicesFound()
    found, looked_at = _search(conditions, losses.of(searched), searched, fewest * len(searched) / size)
    confirmed = _confirmed(judged, found, np.flatnonzero(kept), fewest / 2)
    return SlicesFound(confirmed, looked_at, len(found))


def _conditions(judged: Judged, rows: NDArray[np.int64], fewest: float) -> list[_Condition]:
    frame = judged.frame
    names = [name for name in (*frame.sensitive, *frame.inputs) if name in judged.table.columns]
    found = []
    for name in dict.fromkeys(names[:MOST_COLUMNS]):
        column = judged.table[name]
        if column.dtype.is_temporal() or column.dtype.is_nested():
            continue
        for value, mask in groups_of(column).items():
            inside = int(mask[rows].sum())
            if fewest <= inside <= len(rows) - fewest:
                found.append(_Condition(name, value, mask))
    return found


def _search(
    conditions: list[_Condition], losses: RowLosses, rows: NDArray[np.int64], fewest: float
) -> tuple[list[tuple[_Condition, ...]], int]:
    """Ranks conditions and pairs of them by how sure it is that they lose more than the other rows."""
    indicator = np.stack([each.rows[rows] for each in conditions], axis=1).astype(np.float64)
    alone = losses.excess(
        indicator.T @ losses.strata, indicator.T @ losses.sums, indicator.T @ losses.squares
    )
    paired = np.argsort(-np.nan_to_num(alone, nan=-np.inf), kind="stable")[:MOST_PAIRED]
    chosen = indicator[:, paired]
    counts = np.stack([chosen.T @ (chosen * stratum[:, None]) for stratum in losses.strata.T], axis=-1)
    sums = np.stack([chosen.T @ (chosen * each[:, None]) for each in losses.sums.T], axis=-1)
    squares = np.stack([chosen.T @ (chosen * each[:, None]) for each in losses.squares.T], axis=-1)
    both = losses.excess(counts, sums, squares)
    first, second = np.triu_indices(len(paired), k=1)
    columns = np.array([conditions[k].column for k in paired])
    inside = counts.sum(axis=-1)[first, second]
    open_ = (columns[first] != columns[second]) & (inside >= fewest) & ~np.isnan(both[first, second])
    ranked: list[tuple[float, tuple[int, ...]]] = [
        (float(alone[k]), (k,)) for k in range(len(conditions)) if not np.isnan(alone[k])
    ]
    looked_at = len(ranked) + int(open_.sum())
    ranked += [
        (float(both[a, b]) - PAIR_PENALTY, (int(paired[a]), int(paired[b])))
        for a, b in zip(first[open_], second[open_], strict=True)
        # A pair must lose more than either of its parts, or it says nothing that they do not.
        if both[a, b] > 0 and _means_rise(losses, counts, sums, a, b)
    ]
    return _unlike(sorted(ranked, key=lambda item: (-item[0], item[1])), conditions, indicator), looked_at


def _means_rise(losses: RowLosses, counts: Any, sums: Any, a: int, b: int) -> bool:
    means = [losses.mean(counts[k, m], sums[k, m]) for k, m in ((a, b), (a, a), (b, b))]
    return bool(means[0] > max(means[1:]))


def _unlike(
    ranked: list[tuple[float, tuple[int, ...]]], conditions: list[_Condition], indicator: NDArray[np.float64]
) -> list[tuple[_Condition, ...]]:
    """Takes the best, without what lies for the most part within a better one or holds it."""
    taken: list[NDArray[np.bool_]] = []
    found: list[tuple[_Condition, ...]] = []
    for certainty, parts in ranked:
        if certainty <= 0 or len(found) == CANDIDATES:
            break
        rows = np.asarray(indicator[:, parts].all(axis=1), dtype=np.bool_)
        if all((rows & other).sum() < OVERLAP * min(rows.sum(), other.sum()) for other in taken):
            taken.append(rows)
            found.append(tuple(conditions[k] for k in parts))
    return found


def _confirmed(
    judged: Judged, found: list[tuple[_Condition, ...]], rows: NDArray[np.int64], fewest: float
) -> tuple[Slice, ...]:
    metric = judged.frame.metric
    sign = 1.0 if METRICS[metric].greater_is_better else -1.0
    predicted = judged.predicted_for(metric)
    whole = _spread(metric_interval(metric, judged.actual[rows], predicted[rows], seed=judged.seed))
    measured = []
    for parts in found:
        mask = np.logical_and.reduce([each.rows[rows] for each in parts])
        inside, outside = rows[mask], rows[~mask]
        if min(len(inside), len(outside)) < fewest:
            continue
        score = metric_interval(metric, judged.actual[inside], predicted[inside], seed=judged.seed)
        rest = compute(metric, judged.actual[outside], predicted[outside])
        if not score.known or np.isnan(rest):
            continue
        error = np.hypot(_spread(score), whole * np.sqrt(len(rows) / len(outside)))
        gap = sign * (score.estimate - rest)
        chance = NormalDist().cdf(gap / error) if error > 0 else float(gap >= 0)
        conditions = tuple((each.column, each.value) for each in parts)
        measured.append((gap, chance, conditions, len(inside), score, rest))
    measured.sort(key=lambda item: (item[1], item[0]))
    slices = []
    for position, (gap, chance, conditions, size, score, rest) in enumerate(measured):
        corrected = min(1.0, chance * (len(found) - position))
        if corrected > SIGNIFICANT:
            break
        slices.append((gap, Slice(conditions, size, score, rest, corrected)))
    return tuple(each for _, each in sorted(slices, key=lambda item: item[0])[:SHOWN])


def _spread(interval: Interval) -> float:
    """The standard error that a 95 % interval stands for."""
    return (interval.high - interval.low) / (2 * 1.959964)
