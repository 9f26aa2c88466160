"""Folds that fit the split: what a trial may learn from and what it is judged on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.table.labels import label_codes
from everloop.table.twins import twin_keys

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame

ONE_HOLDOUT_ABOVE = 100_000
"""With more rows a single holdout is as sure as folds, at a fraction of the time and memory."""

HOLDOUT = 0.2
FEWEST_ROWS = 4
STRETCHES = 8
"""Held-out rows in the order of time are divided into so many stretches, to see what lasts."""

FEWEST_STRETCHES = 3
BY_LOT = "data: {split: {by: random}}"


@dataclass(frozen=True, slots=True)
class Fold:
    """Positions of rows: those that are learned from and those that judge."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FoldPlan:
    """How the rows are divided.

    Attributes:
        by: ``time``, ``group``, ``stratified`` or ``random``.
        group: The column whose values are never divided, where there is one.
        count: How many folds.
        seed: Of what is drawn.
        twins: Whether rows that are equal in all inputs, and not by chance, are kept in one drawn fold.
    """

    by: str = "stratified"
    group: str | None = None
    count: int = 4
    seed: int = 0
    twins: bool = True


def make_folds(
    table: pl.DataFrame,
    frame: Frame,
    actual: NDArray[Any],
    plan: FoldPlan,
    held_out: NDArray[np.int64] | None = None,
) -> tuple[Fold, ...]:
    """Divides rows into folds.

    By time each fold learns from the rows before it, less those whose actual was not yet known when
    it begins, and those whose group it judges; otherwise each row judges once. Above `ONE_HOLDOUT_ABOVE`
    rows there is one fold: the held-out rows, or the last (by time) or a drawn fifth of the rows.

    Args:
        table: The rows, the time and group columns among them.
        frame: The problem: its time column and label delay.
        actual: Class indices or numbers, (n,).
        plan: How to divide.
        held_out: Positions of a validation part, where the split made one.

    Returns:
        At least one fold; each has rows on both sides.

    Raises:
        DataFault: When there are too few rows, or a column that the division needs is missing or not named.
    """
    if table.height < FEWEST_ROWS:
        raise DataFault(
            f"{table.height} rows are too few to train and to judge; at least {FEWEST_ROWS} are needed."
        )
    single = table.height > ONE_HOLDOUT_ABOVE
    if plan.by == "time":
        times = _times(table, frame)
        known = _known(table, frame, times)
        folds = _by_time(times, known, 1 if single else plan.count, held_out if single else None)
        folds = _without_shared_groups(table, plan, folds)
    elif single and held_out is not None and 0 < len(held_out) < table.height:
        folds = (_complement(held_out, table.height),)
    elif plan.by == "group" or plan.group:
        folds = _by_group(table, plan)
    else:
        first = _first_twins(table, frame) if plan.twins else np.arange(table.height)
        folds = _drawn(actual, frame, plan, first)
    folds = tuple(fold for fold in folds if len(fold.train) and len(fold.validation))
    if not folds:
        raise DataFault(f"{table.height} rows cannot be divided by {plan.by}.", hint=BY_LOT)
    return folds[:1] if single else folds


def _complement(held_out: NDArray[np.int64], rows: int) -> Fold:
    mask = np.ones(rows, dtype=bool)
    mask[held_out] = False
    return Fold(np.flatnonzero(mask), np.sort(held_out))


def _times(table: pl.DataFrame, frame: Frame) -> NDArray[np.float64]:
    """Gives when each row was decided on; nothing is drawn in its place, since drawn folds see the future."""
    if frame.time is None:
        raise DataFault("The rows are divided by time, and the problem names no time column.", hint=BY_LOT)
    if frame.time not in table.columns:
        raise DataFault(f"The rows are divided by time, and the table has no column {frame.time!r}.")
    return _seconds(table[frame.time])


def _seconds(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    if column.dtype in (pl.Date, pl.Datetime):
        return (
            column.cast(pl.Datetime("us")).to_physical().cast(pl.Float64).fill_null(-np.inf).to_numpy() / 1e6
        )
    return column.cast(pl.Float64, strict=False).fill_null(-np.inf).to_numpy()


def _known(table: pl.DataFrame, frame: Frame, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives when each row's actual was known: as it is stated, else after the delay."""
    known = times + (frame.label_delay_seconds or 0.0)
    if frame.label_time is None or frame.label_time not in table.columns:
        return known
    stated = _seconds(table[frame.label_time])
    return np.where(np.isfinite(stated), stated, known)


def _without_shared_groups(table: pl.DataFrame, plan: FoldPlan, folds: tuple[Fold, ...]) -> tuple[Fold, ...]:
    if plan.group is None:
        return folds
    groups, _ = _groups(table, plan.group)
    return tuple(
        Fold(one.train[~np.isin(groups[one.train], groups[one.validation])], one.validation) for one in folds
    )


def _first_twins(table: pl.DataFrame, frame: Frame) -> NDArray[np.int64]:
    """Gives each row the position of the first of its twins, which have the same inputs."""
    return twin_keys(table, [name for name in frame.inputs if name in table.columns]).astype(np.int64)


def _by_time(
    times: NDArray[np.float64], known: NDArray[np.float64], count: int, held_out: NDArray[np.int64] | None
) -> tuple[Fold, ...]:
    if held_out is not None and len(held_out):
        starts: list[tuple[NDArray[np.int64], float]] = [(np.sort(held_out), float(times[held_out].min()))]
    else:
        order = np.argsort(times, kind="stable")
        first = int(len(order) * (1 - HOLDOUT if count == 1 else 1 / (count + 1)))
        blocks = np.array_split(order[max(1, first) :], count)
        starts = [(np.sort(block), float(times[block].min())) for block in blocks if len(block)]
    folds = [Fold(np.flatnonzero((times < start) & (known < start)), block) for block, start in starts]
    usable = tuple(fold for fold in folds if len(fold.train) >= max(2, len(times) // 100))
    # A delay as long as the table leaves nothing to learn from: then the order alone is kept.
    return usable or tuple(Fold(np.flatnonzero(times < start), block) for block, start in starts)


def _by_group(table: pl.DataFrame, plan: FoldPlan) -> tuple[Fold, ...]:
    places, groups = _groups(table, plan.group)
    count = min(plan.count, groups)
    if count < 2:
        raise DataFault(f"Column {plan.group!r} has one group; at least two are needed to divide by it.")
    part = np.random.default_rng(plan.seed).permutation(groups) % count
    return _parts(part[places], count)


def _groups(table: pl.DataFrame, column: str | None) -> tuple[NDArray[np.int64], int]:
    """Gives each row's group, rows without one being one together, and how many groups there are."""
    if column is None or column not in table.columns:
        raise DataFault(
            f"The rows are divided by group, and the table has no column {column!r}.",
            hint="data: {split: {by: group, group: COLUMN}}",
        )
    labels, codes = label_codes(table[column])
    missing = codes < 0
    return np.where(missing, len(labels), codes), len(labels) + int(missing.any())


def _drawn(actual: NDArray[Any], frame: Frame, plan: FoldPlan, first: NDArray[np.int64]) -> tuple[Fold, ...]:
    """Draws the parts, within each class in turn, so that each part has its share of every class."""
    random = np.random.default_rng(plan.seed)
    size = len(actual)
    count = min(plan.count, size // 2)
    order = random.permutation(size)
    if frame.task != "regression" and plan.by != "random":
        order = order[np.argsort(actual[order], kind="stable")]
    part = np.empty(size, dtype=np.int64)
    part[order] = np.arange(size) % count
    return _parts(part[first], count)


def _parts(part: NDArray[np.int64], count: int) -> tuple[Fold, ...]:
    return tuple(Fold(np.flatnonzero(part != k), np.flatnonzero(part == k)) for k in range(count))


def stretches_of(table: pl.DataFrame, frame: Frame) -> NDArray[np.int64] | None:
    """Gives the stretch of time that each row is of, 0 the earliest, each with about as many rows.

    Rows of one time are of one stretch. None where that leaves fewer than three, which show nothing.

    Args:
        table: The rows, the time column among them.
        frame: The problem.
    """
    times = _times(table, frame)
    order = np.sort(times)
    starts = np.unique(order[np.arange(1, STRETCHES) * len(order) // STRETCHES])
    found = np.searchsorted(starts, times, side="right")
    return np.unique(found, return_inverse=True)[1] if len(np.unique(found)) >= FEWEST_STRETCHES else None


def thinned(rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Gives at most so many of the rows, evenly over their order."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
