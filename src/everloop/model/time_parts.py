"""Times as features: their parts, as SQL expressions that training and serving share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class _Part:
    word: str
    sql: str
    cycle_seconds: float
    first: int
    steps: int


_DAY = 86400.0
_PARTS = (
    _Part("hour", "extract(hour from {})", _DAY, 0, 24),
    _Part("weekday", "isodow({})", 7 * _DAY, 1, 7),
    _Part("day of year", "extract(doy from {})", 365 * _DAY, 1, 366),
    _Part("month", "extract(month from {})", 365 * _DAY, 1, 12),
)
"""A part is of use only where training saw its whole cycle: a model that saw spring knows no autumn."""


@dataclass(frozen=True, slots=True)
class TimePart:
    """One part of a time column.

    Attributes:
        name: The derived column's name.
        expression: Its expression, as JSON-able data.
        values: Its values on the training rows, float64.
        circle: The part's place on its cycle, as two tables from a value's text to a number: the sine and
            the cosine, of which the last hour is beside the first.
    """

    name: str
    expression: dict[str, Any]
    values: pl.Series
    circle: tuple[dict[str, float], dict[str, float]]


def time_parts(name: str, column: pl.Series) -> list[TimePart]:
    """Gives the parts of a time column that vary and whose cycle the training rows cover.

    Args:
        name: The column.
        column: Its values on the training rows.
    """
    import polars as pl

    from everloop.table.expression import parse, to_polars

    quoted = '"' + name.replace('"', '""') + '"'
    span = (column.max() - column.min()).total_seconds() if column.drop_nulls().len() else 0.0  # type: ignore[operator,union-attr]
    found = []
    for part in _PARTS:
        if span < part.cycle_seconds:
            continue
        expression = parse(part.sql.format(quoted), {name: "time"})
        values = (
            column.alias(name).to_frame().select(to_polars(expression).cast(pl.Float64).alias(name))[name]
        )
        if values.drop_nulls().n_unique() > 1:
            found.append(TimePart(f"{name} ({part.word})", expression.to_dict(), values, _circle(part)))
    return found


def _circle(part: _Part) -> tuple[dict[str, float], dict[str, float]]:
    angles = {str(part.first + step): 2 * math.pi * step / part.steps for step in range(part.steps)}
    return (
        {text: math.sin(angle) for text, angle in angles.items()},
        {text: math.cos(angle) for text, angle in angles.items()},
    )
