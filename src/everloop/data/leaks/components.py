"""Components that were fitted on more rows than the training part's.

Principal components, and what was whitened, have no correlation with each other on just the rows that
they were fitted on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts
    from everloop.data.leaks.values import Floats
    from everloop.table.stored import ColumnTable

FEWEST_ROWS = 100
FEWEST_PARTNERS = 2
UNCORRELATED = 1e-8
CORRELATED = 1e-4
ROWS_AT_ONCE = 262_144


@dataclass(frozen=True)
class Moments:
    """Sums over rows, from which correlations follow; sums of parts add up.

    Attributes:
        rows: How many rows.
        sums: Of each column, (p,).
        products: Of each two columns, (p, p).
    """

    rows: int
    sums: Floats
    products: Floats

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.rows + other.rows, self.sums + other.sums, self.products + other.products)

    def correlations(self) -> Floats:
        """Gives the sizes of the correlations, 1 on the diagonal, (p, p)."""
        covariances = self.products / self.rows - np.outer(self.sums, self.sums) / self.rows**2
        spread = np.sqrt(np.maximum(np.diag(covariances), 1e-300))
        found = np.abs(covariances) / np.outer(spread, spread)
        np.fill_diagonal(found, 1.0)
        return np.asarray(found, dtype=np.float64)


def turned(parts: Parts, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Finds columns without any correlation on all rows that have some on the training rows.

    Args:
        parts: The table.
        names: The columns of numbers that are looked at; those with missing values are left out.

    Returns:
        Of each such column the rows that it was fitted on and its partners.
    """
    whole = _without_missing(parts, names)
    if len(whole) <= FEWEST_PARTNERS or parts.train.height < FEWEST_ROWS:
        return {}
    centre = _centre(parts, whole)
    train = moments(parts.train, whole, centre)
    own = train.correlations()
    scopes = {"all": train}
    for part, table in parts.tables.items():
        if part != "train" and table.height:
            scopes["all"] += moments(table, whole, centre)
    if parts.whole is not None and all(name in parts.whole.columns for name in whole):
        scopes["all, before any was left out,"] = moments(parts.whole, whole, centre)
    for scope, sums in scopes.items():
        none = (sums.correlations() < UNCORRELATED) & (own > CORRELATED)
        found = {
            whole[place]: {
                "fitted on": scope,
                "with": [whole[i] for i in np.flatnonzero(none[place])],
                "training": float(own[place][none[place]].max()),
            }
            for place in np.flatnonzero(none.sum(axis=1) >= FEWEST_PARTNERS)
        }
        if found:
            return found
    return {}


def _without_missing(parts: Parts, names: Sequence[str]) -> list[str]:
    import polars as pl

    missing: dict[str, int] = dict.fromkeys(names, 0)
    for table in parts.tables.values():
        held = [name for name in names if name in table.columns]
        counted = table.select(pl.col(held).null_count()).row(0, named=True) if held else {}
        missing |= {name: missing[name] + rows for name, rows in counted.items()}
    return [name for name, rows in missing.items() if not rows]


def _centre(parts: Parts, names: Sequence[str]) -> Floats:
    """Gives where the columns lie, about: sums of numbers far from 0 would lose their last digits."""
    return np.nan_to_num(np.array([parts.judged[name].mean() or 0.0 for name in names], dtype=np.float64))


def moments(table: ColumnTable, names: Sequence[str], centre: Floats) -> Moments:
    """Sums up rows, some at a time."""
    total = Moments(0, np.zeros(len(names)), np.zeros((len(names), len(names))))
    for start in range(0, table.height, ROWS_AT_ONCE):
        x = table.lazy().select(names).slice(start, ROWS_AT_ONCE).collect().to_numpy() - centre
        total += Moments(len(x), x.sum(axis=0), x.T @ x)
    return total
