"""Rows of one person, device or case on both sides of a split."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.values import codes_of, numbers_of, target_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats

KIND = "groups"
FEWEST_GROUPS = 30
MOST_ROWS_OF_A_GROUP = 50
AGREEMENT = 0.3
"""From this intraclass correlation of the target on, knowing a group's other rows is knowing the answer."""

NEIGHBOURS = 0.5
"""Amounts that lie close agree as well; names agree with themselves alone."""

UNLIKELY = 1e-6


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds groups, stated or not, of which a later part has rows as well as an earlier one.

    A split by time may cut through an entity: the same customer comes again in production, too. A
    stated group may not be cut by any split.
    """
    stated = [parts.group] if parts.group else []
    if parts.split_by != "time" and parts.frame.entity:
        stated.append(parts.frame.entity)
    for name in dict.fromkeys(stated):
        yield from _straddling(parts, name, None)
    if parts.split_by == "time" or not parts.frame.is_labelled:
        return
    others = {parts.frame.target, parts.frame.time, parts.frame.label_time, *stated}
    for name in parts.train.columns:
        if name in others or not all(name in table.columns for table in parts.tables.values()):
            continue
        agreement = _agreement(parts, name)
        if agreement is not None:
            yield from _straddling(parts, name, agreement)


def _straddling(parts: Parts, name: str, agreement: float | None) -> Iterator[LeakFinding]:
    if name not in parts.train.columns:
        return
    for earlier, later in parts.pairs():
        if name not in parts.tables[later].columns:
            continue
        known = parts.tables[earlier][name].drop_nulls().unique()
        column = parts.tables[later][name]
        shared = column.filter(column.is_in(known.implode()) & column.is_not_null())
        if shared.is_empty() or (agreement is not None and shared.n_unique() < FEWEST_GROUPS):
            continue
        evidence: dict[str, Any] = {
            "earlier": earlier,
            "later": later,
            "rows": len(shared),
            "groups": shared.n_unique(),
            "examples": shared.unique(maintain_order=True).head(5).to_list(),
        }
        because = "" if agreement is None else f", and rows of one {name} agree in {parts.frame.target}"
        if agreement is not None:
            evidence["agreement"] = agreement
            because += f" (intraclass correlation {agreement:.2f})"
        yield LeakFinding(
            KIND,
            name,
            "error",
            f"{len(shared):,} of {len(column):,} rows of the {later} part are of {shared.n_unique():,} "
            "values of "
            f"{name} that the {earlier} part has rows of{because}.",
            evidence,
        )
        return


def _agreement(parts: Parts, name: str) -> float | None:
    """Gives how much rows of one value agree in the target, where the column names groups; else None."""
    import polars as pl

    dtype = parts.schema[name]
    if not (dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum)):
        return None
    rows = parts.with_target(name, "train")
    distinct = rows[name].n_unique()
    if distinct < FEWEST_GROUPS or not 1.2 <= rows.height / distinct <= MOST_ROWS_OF_A_GROUP:
        return None
    sizes = rows.select(pl.len().over(name))["len"]
    rows = rows.filter((sizes > 1) & (sizes <= MOST_ROWS_OF_A_GROUP))
    if rows[name].n_unique() < FEWEST_GROUPS:
        return None
    if rows.height > 20 * parts.judged.height:  # whole groups are drawn
        rows = rows.filter(pl.col(name).hash(seed=0) % (rows.height // parts.judged.height) == 0)
    codes, groups = codes_of(rows[name])
    matrix = target_of(rows[parts.frame.target], parts.frame.task).matrix
    found, chance = intraclass(codes, groups, matrix)
    if found < AGREEMENT or chance > UNLIKELY:
        return None
    if numbers_of(rows[name]) is not None and _neighbours(codes, groups, matrix) > NEIGHBOURS * found:
        return None
    return found


def intraclass(codes: Any, groups: int, matrix: Floats) -> tuple[float, float]:
    """Gives the intraclass correlation of a target, and the chance that it is as high without any.

    One-way analysis of variance, ICC(1) of Shrout and Fleiss (1979), over the target's columns together.

    Args:
        codes: Each row's group, (n,).
        groups: How many groups there are.
        matrix: The target, (n, k).
    """
    from scipy.stats import f as f_distribution

    counts = np.bincount(codes, minlength=groups).astype(np.float64)
    sums = np.stack([np.bincount(codes, weights=one, minlength=groups) for one in matrix.T], axis=1)
    rows, mean = len(codes), matrix.mean(axis=0)
    between = float(((sums**2).sum(axis=1) / counts).sum() - rows * (mean**2).sum())
    total = float(((matrix - mean) ** 2).sum())
    above, below = groups - 1, rows - groups
    if above < 1 or below < 1 or total <= 0:
        return 0.0, 1.0
    over, within = between / above, max(total - between, 0.0) / below
    size = (rows - float((counts**2).sum()) / rows) / above
    share = (over - within) / (over + (size - 1) * within)
    chance = float(f_distribution.sf(over / within, above, below)) if within > 0 else 0.0
    return float(share), chance


def _neighbours(codes: Any, groups: int, matrix: Floats) -> float:
    """Gives how the targets of values that are next to each other agree."""
    counts = np.bincount(codes, minlength=groups)
    means = np.stack([np.bincount(codes, weights=one, minlength=groups) for one in matrix.T], axis=1)
    means = means / counts[:, None] - matrix.mean(axis=0)
    variance = float(((matrix - matrix.mean(axis=0)) ** 2).sum() / len(matrix))
    return float((means[1:] * means[:-1]).sum() / max(len(means) - 1, 1) / variance)
