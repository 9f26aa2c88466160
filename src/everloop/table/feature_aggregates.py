"""What a feature can make of several rows of another source: the aggregates, with their exact meaning.

Each is defined on the values of the rows that count, in the order of `EventOrder`. `Aggregate.of` is that
definition, run where one decision is made (the online store); `everloop.table.feature_windows` gives
the same for whole tables.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Values = Sequence[Any]
"""Numbers as floats, times as microseconds since 1970, texts, booleans; None where a value is missing."""


@dataclass(frozen=True)
class Aggregate:
    """One aggregate.

    Attributes:
        name: Its name in definitions.
        sql: How it is written in the lifecycle file.
        takes: The types that its value may have, in the words of `table.expression`.
        result: The type that it gives in the words of `table.schema`, or ``same`` as its value.
        empty: What it gives where no row counts.
        meaning: Its definition, in a sentence.
        of: The definition: takes the values of the rows that count, in order, and gives the result.
        order_matters: Whether the order of the values does.
    """

    name: str
    sql: str
    takes: tuple[str, ...]
    result: str
    empty: int | None
    meaning: str
    of: Callable[[Values], Any]
    order_matters: bool = False


def _present(values: Values) -> list[Any]:
    return [value for value in values if value is not None]


def _sum(values: Values) -> float | None:
    try:
        return math.fsum(values) if values else None
    except (
        TypeError,
        OverflowError,
    ):  # a value is missing, or the sum is too large, perhaps on the way alone
        return _careful_sum(_present(values))


def _careful_sum(present: list[float]) -> float | None:
    try:
        return math.fsum(present) if present else None
    except OverflowError:
        try:
            return float(sum(map(Fraction, present)))
        except OverflowError:
            return None


def _mean(values: Values) -> float | None:
    try:
        return math.fsum(values) / len(values) if values else None
    except (TypeError, OverflowError):
        total = _sum(values)
        return None if total is None else total / _count(values)


def _count(values: Values) -> int:
    return len(values) - values.count(None)


def _std(values: Values) -> float | None:
    present = _present(values)
    if len(present) < 2:
        return None
    # Moved to the least value and scaled, so that numbers that lie close together lose nothing.
    moved, shift = _near_one(present)
    least = min(moved)
    moved, more = _near_one([value - least for value in moved])
    spread = math.fsum(value * value for value in moved) - math.fsum(moved) ** 2 / len(moved)
    try:
        return math.ldexp(math.sqrt(max(spread, 0.0) / (len(moved) - 1)), shift + more)
    except OverflowError:
        return None


def _near_one(values: list[float]) -> tuple[list[float], int]:
    """Scales numbers by a power of two to the size of 1; gives the power too."""
    power = math.frexp(max(abs(value) for value in values))[1]
    return [math.ldexp(value, -power) for value in values], power


def _least(values: Values) -> Any:
    try:
        return min(values) if values else None
    except TypeError:  # a value is missing
        return min(_present(values), default=None)


def _greatest(values: Values) -> Any:
    try:
        return max(values) if values else None
    except TypeError:
        return max(_present(values), default=None)


def _latest(values: Values) -> Any:
    return values[-1] if values else None


def _distinct(values: Values) -> int:
    return len(set(_present(values)))


_ANY = ("boolean", "number", "text", "time")
_SIZES = ("number", "time")

AGGREGATES: dict[str, Aggregate] = {
    aggregate.name: aggregate
    for aggregate in (
        Aggregate("count_rows", "count(*)", (), "integer", 0, "How many rows count.", len),
        Aggregate(
            "count",
            "count(x)",
            _ANY,
            "integer",
            0,
            "How many of them have a value.",
            _count,
        ),
        Aggregate(
            "count_distinct",
            "count(distinct x)",
            _ANY,
            "integer",
            0,
            "How many different values they have; a missing one is none.",
            _distinct,
        ),
        Aggregate(
            "sum",
            "sum(x)",
            ("number",),
            "number",
            None,
            "The exact sum of the values, rounded once to double precision (as `math.fsum`), so that "
            "neither order nor engine changes it; null beyond the largest double.",
            _sum,
        ),
        Aggregate(
            "mean", "avg(x)", ("number",), "number", None, "That sum divided by the count of values.", _mean
        ),
        Aggregate(
            "std",
            "stddev(x)",
            ("number",),
            "number",
            None,
            "The sample standard deviation (divided by n - 1), to a relative 1e-9; null below two values.",
            _std,
        ),
        Aggregate("min", "min(x)", _SIZES, "same", None, "The least value.", _least),
        Aggregate("max", "max(x)", _SIZES, "same", None, "The greatest value.", _greatest),
        Aggregate(
            "latest",
            "latest(x)",
            _ANY,
            "same",
            None,
            "The value of the last row, null where that row has none.",
            _latest,
            order_matters=True,
        ),
    )
}
"""Every aggregate by its name. Missing values are passed over, but by `latest` and `count_rows`."""
