"""How much columns say about each other: numbers, categories, and numbers by category."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from everloop.data.profiles import Association, ColumnProfile

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.table.stored import StoredTable

MOST_CATEGORIES = 50
MOST_COLUMNS = 60
_WEAKEST = 0.1
_MOST_KEPT = 100
_FEWEST_ROWS = 20


def associations(
    table: StoredTable, columns: Sequence[ColumnProfile], most_rows: int
) -> tuple[tuple[Association, ...], int]:
    """Measures pairs of columns, on rows in which both have a value.

    Args:
        table: The table.
        columns: Its columns' profiles.
        most_rows: Of a longer table, rows are taken evenly.

    Returns:
        Pairs, the strongest first, the weak ones left out; and how many rows were used.
    """
    kinds = {column.name: _kind(column) for column in columns}
    names = [name for name, kind in kinds.items() if kind][:MOST_COLUMNS]
    if len(names) < 2 or table.height < _FEWEST_ROWS:
        return (), 0
    step = -(-table.height // most_rows)
    rows = table.lazy().select(names).gather_every(step).collect(engine="streaming")
    values = {
        name: _codes(rows[name]) if kinds[name] == "category" else _numbers(rows[name]) for name in names
    }
    found = list(_numbers_together({name: values[name] for name in names if kinds[name] == "number"}))
    for first, second in combinations(names, 2):
        if kinds[first] == kinds[second] == "number":
            continue
        measure, strength = _measured(values[first], values[second], (kinds[first], kinds[second]))
        found.append(Association(first, second, measure, round(strength, 6)))
    strong = [pair for pair in found if abs(pair.strength) >= _WEAKEST]  # NaN is not
    strong.sort(key=lambda pair: (-abs(pair.strength), pair.first, pair.second))
    return tuple(strong[:_MOST_KEPT]), rows.height


def _numbers_together(columns: Mapping[str, NDArray[np.float64]]) -> Iterator[Association]:
    if len(columns) < 2:
        return
    strengths = correlations(np.column_stack(list(columns.values())))
    for (i, first), (j, second) in combinations(enumerate(columns), 2):
        yield Association(first, second, "correlation", round(float(strengths[i, j]), 6))


def _kind(column: ColumnProfile) -> str | None:
    if column.distinct < 2 or column.notes:
        return None
    if column.type in ("integer", "number", "time"):
        return "number"
    return "category" if column.distinct <= MOST_CATEGORIES else None


def _numbers(column: pl.Series) -> NDArray[np.float64]:
    import polars as pl

    number = column.to_physical() if column.dtype.is_temporal() else column
    values = number.cast(pl.Float64).fill_null(float("nan")).to_numpy().copy()
    values[~np.isfinite(values)] = np.nan
    return values


def _codes(column: pl.Series) -> NDArray[np.float64]:
    """Gives each category a number; NaN where the value is missing."""
    import polars as pl

    distinct = column.drop_nulls().unique().sort()
    codes = column.replace_strict(distinct, range(len(distinct)), default=None, return_dtype=pl.Float64)
    return codes.fill_null(float("nan")).to_numpy().copy()


def _measured(
    first: NDArray[np.float64], second: NDArray[np.float64], kinds: tuple[str | None, str | None]
) -> tuple[str, float]:
    both = ~(np.isnan(first) | np.isnan(second))
    measure = "association" if kinds == ("category", "category") else "ratio"
    if int(both.sum()) < _FEWEST_ROWS:
        return measure, float("nan")
    a, b = (first, second) if both.all() else (first[both], second[both])
    if measure == "association":
        return measure, cramers_v(a.astype(np.intp), b.astype(np.intp))
    numbers, codes = (a, b) if kinds[0] == "number" else (b, a)
    return measure, correlation_ratio(codes.astype(np.intp), numbers)


def correlations(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gives the correlation of each pair of columns over the rows in which both have a value.

    Args:
        columns: Numbers, (rows, columns); NaN where there is none.

    Returns:
        (columns, columns); NaN where a column is constant or too few rows have both.
    """
    known = ~np.isnan(columns)
    held = known.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre = np.nansum(columns, axis=0) / held.sum(axis=0)
        values = np.where(known, columns - centre, 0.0)
        values /= np.maximum(np.abs(values).max(axis=0), 1e-300)
        rows, sums, squares = held.T @ held, values.T @ held, (values**2).T @ held
        together = values.T @ values - sums * sums.T / rows
        spread = np.sqrt(np.maximum(squares - sums**2 / rows, 0.0))
        found = together / (spread * spread.T)
    found[(rows < _FEWEST_ROWS) | (spread * spread.T <= 1e-12 * rows)] = np.nan
    clipped: NDArray[np.float64] = np.clip(found, -1.0, 1.0)
    return clipped


def cramers_v(a: NDArray[np.intp], b: NDArray[np.intp]) -> float:
    """Gives the association of two columns of categories, from 0 to 1, corrected for chance.

    Reference: Bergsma, Journal of the Korean Statistical Society 42 (2013).
    """
    width = int(b.max()) + 1
    counts = np.bincount(a * width + b, minlength=(int(a.max()) + 1) * width)
    table = counts.reshape(-1, width).astype(np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    rows, columns = table.shape
    total = table.sum()
    if min(rows, columns) < 2:
        return float("nan")
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    squared = float(((table - expected) ** 2 / expected).sum()) / total
    squared = max(0.0, squared - (rows - 1) * (columns - 1) / (total - 1))
    rows_left, columns_left = (count - (count - 1) ** 2 / (total - 1) for count in (rows, columns))
    least = min(rows_left, columns_left) - 1
    return float(np.sqrt(squared / least)) if least > 0 else float("nan")


def correlation_ratio(codes: NDArray[np.intp], numbers: NDArray[np.float64]) -> float:
    """Gives the root of the share of the variance that lies between categories, from 0 to 1."""
    counts = np.bincount(codes)
    sums = np.bincount(codes, weights=numbers)
    held = counts > 0
    mean = numbers.mean()
    between = float((counts[held] * (sums[held] / counts[held] - mean) ** 2).sum())
    total = float(((numbers - mean) ** 2).sum())
    return float(np.sqrt(between / total)) if total > 0 else float("nan")
