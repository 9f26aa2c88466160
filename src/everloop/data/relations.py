"""Rules between columns that a table's rows keep: order, sums, products, and what is missing together.

A rule is proposed where a sample keeps it on every row although, were the columns independent of each
other, many rows would break it; whether all rows keep it is then looked at in the whole table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

    Numbers = Mapping[str, NDArray[np.float64]]

FEWEST_ROWS = 100
# So many rows would break the rule if the columns were independent of each other.
EXPECTED_BREAKS = 30
LEAST_SHARE = 0.02
MOST_COLUMNS = 40
MOST_RULES = 20
# A sum may miss by this share of how much it varies: by rounding, and not by more.
ROUNDING = 1e-4
_GLANCE = 30

OPERATIONS: dict[str, Callable[[Any, Any], Any]] = {"+": np.add, "*": np.multiply}


def relations(sample: pl.DataFrame, types: Mapping[str, str]) -> list[str]:
    """Proposes rules between the columns of a sample.

    Args:
        sample: Rows taken evenly from the table.
        types: From a column to its type; only these are looked at.

    Returns:
        Conditions in SQL that hold on each row of the sample, the surest first.
    """
    if sample.height < FEWEST_ROWS:
        return []
    numbers = {
        name: _as_numbers(sample[name], kind)
        for name, kind in types.items()
        if kind in {"integer", "number", "time"}
    }
    varied = [name for name, values in numbers.items() if _varies(values)][:MOST_COLUMNS]
    equal = [(a, b) for a, b in combinations(varied, 2) if types[a] == types[b] and _are_equal(numbers, a, b)]
    apart = [name for name in varied if name not in {b for _, b in equal}]
    made = list(_results(numbers, [name for name in apart if types[name] != "time"], types))
    parts = {(part, result) for _, both, result, _ in made for part in both}
    rules = [f"{quoted(a)} = {quoted(b)}" for a, b in equal] + [sql for sql, *_ in made]
    ordered = _without_implied(list(_orders(numbers, apart, types)))
    rules += [f"{quoted(a)} <= {quoted(b)}" for a, b in ordered if (a, b) not in parts]
    return [*rules[:MOST_RULES], *list(_missing_together(sample, list(types)))[:MOST_RULES]]


def quoted(name: str) -> str:
    """Gives a column's name as SQL reads it."""
    plain = re.fullmatch(r"[a-z_][a-z0-9_]*", name) and name.upper() not in _RESERVED
    return name if plain else '"' + name.replace('"', '""') + '"'


_RESERVED = frozenset(
    "ALL AND ANY AS ASC BETWEEN BY CASE CAST COLUMN CURRENT_DATE DATE DAY DESC DISTINCT ELSE END EXISTS "
    "FALSE FILTER FROM GROUP HAVING HOUR IN INTERVAL IS JOIN KEY LEFT LIKE LIMIT MINUTE MONTH NOT NULL "
    "OFFSET ON OR ORDER OVER RIGHT ROW ROWS SECOND SELECT SET TABLE THEN TIME TIMESTAMP TO TRUE UNION "
    "USING VALUES WEEK WHEN WHERE WINDOW WITH YEAR INDEX PERCENT SHOW DEFAULT CLASS END START".split()
)


def _as_numbers(column: pl.Series, kind: str) -> NDArray[np.float64]:
    import polars as pl

    if kind == "time":
        column = column.cast(pl.Datetime("us")).dt.epoch("us")
    values: NDArray[np.float64] = column.cast(pl.Float64).to_numpy()
    return values


def _varies(values: NDArray[np.float64]) -> bool:
    present = values[np.isfinite(values)]
    return present.size >= FEWEST_ROWS and np.unique(present).size >= 5


def _both(numbers: Numbers, *names: str) -> NDArray[np.bool_]:
    there: NDArray[np.bool_] = np.all([np.isfinite(numbers[name]) for name in names], axis=0)
    return there


def _are_equal(numbers: Numbers, a: str, b: str) -> bool:
    there = _both(numbers, a, b)
    return int(there.sum()) >= FEWEST_ROWS and bool((numbers[a][there] == numbers[b][there]).all())


def _orders(numbers: Numbers, names: list[str], types: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Gives pairs of which the first is never above the second, and would be if they were independent."""
    for a, b in permutations(names, 2):
        if (types[a] == "time") != (types[b] == "time"):
            continue
        there = _both(numbers, a, b)
        if int(there.sum()) < FEWEST_ROWS:
            continue
        low, high = numbers[a][there], numbers[b][there]
        if (low > high).any():
            continue
        # The share of all pairs of rows in which the first column's value is above the second's.
        broken = float(1 - np.searchsorted(np.sort(low), high, side="right").mean() / low.size)
        if broken >= LEAST_SHARE and broken * low.size >= EXPECTED_BREAKS:
            yield a, b


def _without_implied(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leaves out a <= c where a <= b and b <= c are there."""
    after: dict[str, set[str]] = {}
    for low, high in pairs:
        after.setdefault(low, set()).add(high)
    return [
        (low, high)
        for low, high in pairs
        if not any(high in after.get(middle, ()) for middle in after[low] - {high})
    ]


def _results(
    numbers: Numbers, names: list[str], types: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, str], str, str]]:
    """Gives columns that are the sum or the product of two others, each once."""
    for result in names:
        found = next(_made_of(numbers, [name for name in names if name != result], result, types), None)
        if found is not None:
            yield found


def _made_of(
    numbers: Numbers, names: list[str], result: str, types: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, str], str, str]]:
    complete = np.flatnonzero(np.isfinite(numbers[result]))
    glance = complete[:: max(1, complete.size // _GLANCE)]
    for sign, operation in OPERATIONS.items():
        for a, b in combinations(names, 2):
            first = operation(numbers[a][glance], numbers[b][glance]) - numbers[result][glance]
            scale = float(np.std(numbers[result][complete]))
            if np.isfinite(first).sum() * 2 < glance.size or np.nanmax(np.abs(first)) > ROUNDING * scale:
                continue
            there = _both(numbers, a, b, result)
            off = np.abs(operation(numbers[a][there], numbers[b][there]) - numbers[result][there])
            worst = float(off.max()) if off.size else math.inf
            trivial = _is_trivial(numbers[a][there], sign) or _is_trivial(numbers[b][there], sign)
            if there.sum() >= FEWEST_ROWS and worst <= ROUNDING * scale and not trivial:
                whole = all(types[name] == "integer" for name in (a, b, result))
                yield _equation(sign, (a, b), result, worst, scale, whole=whole), (a, b), result, sign


def _is_trivial(values: NDArray[np.float64], sign: str) -> bool:
    """Whether a part hardly ever changes the result."""
    neutral = 0.0 if sign == "+" else 1.0
    return int((values != neutral).sum()) < EXPECTED_BREAKS or np.unique(values).size < 3


def _equation(
    sign: str, parts: tuple[str, str], result: str, worst: float, scale: float, *, whole: bool
) -> str:
    made = f"{quoted(parts[0])} {sign} {quoted(parts[1])}"
    if whole:
        return f"{made} = {quoted(result)}"
    tolerance = 10.0 ** math.ceil(math.log10(max(2 * worst, 1e-9 * scale)))
    return f"abs({made} - {quoted(result)}) <= {tolerance:.10g}"


def _missing(column: pl.Series) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = np.zeros(len(column), dtype=np.bool_)
    if column.dtype.is_float():
        missing = np.isnan(column.to_numpy())
    elif column.null_count():
        missing = column.is_null().to_numpy()
    return missing


def _missing_together(sample: pl.DataFrame, names: list[str]) -> Iterator[str]:
    """Gives pairs of which the second is missing wherever the first is."""
    missing = {name: _missing(sample[name]) for name in names}
    partly = [name for name, gone in missing.items() if EXPECTED_BREAKS <= gone.sum() < gone.size]
    for a, b in combinations(partly[:MOST_COLUMNS], 2):
        if (missing[a] == missing[b]).all():
            if _would_break(missing[a], missing[b]):
                yield f"({quoted(a)} is null) = ({quoted(b)} is null)"
            continue
        for first, second in ((a, b), (b, a)):
            gone, also = missing[first], missing[second]
            if not (gone & ~also).any() and _would_break(gone, also):
                yield f"{quoted(first)} is not null or {quoted(second)} is null"


def _would_break(gone: NDArray[np.bool_], also: NDArray[np.bool_]) -> bool:
    return float(gone.sum() * (1 - also.mean())) >= EXPECTED_BREAKS
