"""Groups of rows that share a value: what slices and the fairness of groups are counted over."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl
    from numpy.typing import NDArray

MOST_GROUPS = 20
"""A number with more distinct values is cut at its quartiles."""

MISSING = "(missing)"


def groups_of(column: pl.Series, *, most: int = 2 * MOST_GROUPS) -> dict[str, NDArray[np.bool_]]:
    """Gives the rows of each value of a column; a number with many values is cut at its quartiles.

    Args:
        column: Values of any type, (n,).
        most: How many groups at most: the most frequent ones.

    Returns:
        The group's text to a mask of rows, in the order of the texts (of the numbers), rows without a
        value last.
    """
    from everloop.table.labels import label_counts, label_texts

    if column.dtype.is_numeric() and column.n_unique() > MOST_GROUPS:
        return _quartiles(column)
    texts = label_texts(column)
    frequent = list(label_counts(column))[:most]
    found = {text: (texts == text).fill_null(value=False).to_numpy() for text in sorted(frequent)}
    return found | _missing(texts.is_null().to_numpy())


def group_texts(column: pl.Series) -> NDArray[np.object_]:
    """Gives the group that each row is in, as `groups_of` cuts them, (n,)."""
    found = np.full(len(column), MISSING, dtype=object)
    for text, rows in groups_of(column, most=len(column)).items():
        found[rows] = text
    return found


def crossings(names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Gives each name alone and each pair of them: the sensitive columns and their intersections."""
    known = tuple(names)
    return (*((name,) for name in known), *combinations(known, 2))


def crossed_groups(table: pl.DataFrame, names: tuple[str, ...]) -> NDArray[np.object_]:
    """Gives the group of each row by one column, or by several together (``f, over 60``), (n,)."""
    parts = [group_texts(table[name]) for name in names]
    if len(parts) == 1:
        return parts[0]
    joined = np.empty(table.height, dtype=object)
    joined[:] = [", ".join(texts) for texts in zip(*parts, strict=True)]
    return joined


def _quartiles(column: pl.Series) -> dict[str, NDArray[np.bool_]]:
    numbers = column.cast(float).fill_null(float("nan")).to_numpy()
    finite = numbers[np.isfinite(numbers)]
    cuts = np.unique(np.quantile(finite, [0.25, 0.5, 0.75])) if finite.size else np.empty(0)
    places = np.digitize(numbers, cuts)
    known = ~np.isnan(numbers)
    found = {_range(cuts, place): (places == place) & known for place in range(len(cuts) + 1)}
    return {text: rows for text, rows in found.items() if rows.any()} | _missing(~known)


def _range(cuts: NDArray[np.float64], place: int) -> str:
    if not len(cuts):
        return "any"
    if place == 0:
        return f"below {cuts[0]:g}"
    if place == len(cuts):
        return f"{cuts[-1]:g} or more"
    return f"{cuts[place - 1]:g} to {cuts[place]:g}"


def _missing(rows: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    return {MISSING: rows} if rows.any() else {}
