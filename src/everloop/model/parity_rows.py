"""The rows on which compiled and trained models are most likely to part: edges, and values on splits."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.runtime.encoders import (
    GridEncoder,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    TextEncoder,
)
from everloop.table.content import array_text

if TYPE_CHECKING:
    import polars as pl

    from everloop.model.compile.form import Floats
    from everloop.runtime.plan import Plan, PlanInput

Row = dict[str, Any]

_NUMBERS: tuple[float | None, ...] = (
    None, math.nan, 0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, 1e308, -1e308, 3.5e38, 5e-324, 1e-35,
    1.7e9, 1.7e9 + 0.5, 1.7e15, 1.7e15 + 0.25, float(2**53),
)  # fmt: skip
_INTEGERS: tuple[int | None, ...] = (
    None,
    0,
    1,
    -1,
    2**31,
    1_700_000_000,
    1_700_000_000_000_000,
    2**53 + 1,
    -(2**63),
)
_TIMES: tuple[int | None, ...] = (
    None,
    0,
    -1,
    951_782_400_000_000 - 1,  # the last moment of 28 February 2000
    951_782_400_000_000,
    1_700_000_000_123_456,
    -2_208_988_800_000_000,  # 1900
    7_258_118_400_000_000,  # 2200
)
_TEXTS: tuple[str | None, ...] = (
    None, "", " ", "never seen before", "null", "nan", "None", "true", "1", "1.0", "é", "e\u0301", "İ", "ß",
    "\u200b", "\U0001f6eb", "日本", "a\tb\n", "x" * 2000,
)  # fmt: skip
_MOST_CATEGORIES = 8
_MOST_CELLS = 4_000_000
"""Rows x columns that are made: a row for each odd value of 5,000 columns would be 500 million."""


def edge_rows(plan: Plan, bases: Sequence[Row]) -> list[Row]:
    """Gives rows with one odd value each, then rows of nothing but odd values.

    Of a table of thousands of columns a row has odd values of one kind in several columns, so that all are
    tried, and what is mild is not hidden by an infinity beside it.

    Args:
        plan: The preparation; its inputs say which columns there are.
        bases: Ordinary rows, at least one; the other columns' values are taken from them in turn.
    """
    odd = {item.name: odd_values(plan, item) for item in plan.inputs}
    longest = max(len(values) for values in odd.values())
    together = _columns_together(odd)
    mixed: list[Row] = []
    for kind in range(longest):
        having = [name for name, values in odd.items() if kind < len(values)]
        mixed += [
            {name: odd[name][kind] for name in having[start : start + together]}
            for start in range(0, len(having), together)
        ]
    rows = [{**dict.fromkeys(odd)}]
    rows += [{**bases[index % len(bases)], **row} for index, row in enumerate(mixed)]
    rows += [
        {name: values[(index + shift) % len(values)] for shift, (name, values) in enumerate(odd.items())}
        for index in range(longest)
    ]
    return rows


def _columns_together(odd: Mapping[str, Sequence[Any]]) -> int:
    """Gives how many columns have an odd value in one row, so that the rows stay within `_MOST_CELLS`."""
    pairs = sum(len(values) for values in odd.values())
    return max(1, -(-pairs * len(odd) // _MOST_CELLS))


def odd_values(plan: Plan, column: PlanInput) -> list[Any]:
    """Gives the odd values of one raw column, its own categories and bounds among them."""
    if column.type == "boolean":
        return [None, True, False]
    if column.type == "time":
        return list(_TIMES)
    if column.type == "integer":
        return [*_INTEGERS, *(round(value) for value in _bounds(plan, column.name) if abs(value) < 2**62)]
    if column.type == "number":
        return [*_NUMBERS, *_bounds(plan, column.name)]
    if any(isinstance(one, GridEncoder) and one.column == column.name for one in plan.encoders):
        return [*_TEXTS, *_odd_images()]
    known = list(_categories(plan, column.name))[:_MOST_CATEGORIES]
    changed = [form for text in known for form in _other_forms(text)]
    return list(dict.fromkeys([*_TEXTS, *known, *changed]))


def _odd_images() -> list[str]:
    """Images of one pixel, of other sizes and channels, and of numbers that no image has."""
    arrays: tuple[Any, ...] = (
        np.zeros((1, 1)),
        np.full((1, 3, 3), 255),
        np.full((3, 2), 1e308),
        np.full((5, 5, 1), -1e308),
        np.arange(35.0).reshape(7, 5) / 7.0,
    )
    return ["data:image/png;base64,iVBORw0KGgo=", "data:audio/wav;base64,AAAA", *map(array_text, arrays)]


def _bounds(plan: Plan, name: str) -> Iterable[float]:
    """Where a number is clipped, and one step of a double to each side."""
    for encoder in plan.encoders:
        if isinstance(encoder, NumberEncoder) and encoder.column == name:
            for bound in (encoder.low, encoder.high, encoder.fill):
                if bound is not None:
                    yield from beside(bound)


def _categories(plan: Plan, name: str) -> Iterable[str]:
    for encoder in plan.encoders:
        if encoder.column == name and isinstance(encoder, OneHotEncoder):
            yield from encoder.categories
        elif encoder.column == name and isinstance(encoder, LookupEncoder):
            yield from encoder.values
        elif encoder.column == name and isinstance(encoder, TextEncoder):
            yield from encoder.terms


def _other_forms(text: str) -> tuple[str, ...]:
    return f"{text} ", text.upper(), text.lower(), unicodedata.normalize("NFD", text)


def beside(value: float) -> tuple[float, float, float]:
    """Gives a number and its two neighbours among doubles."""
    return value, math.nextafter(value, -math.inf), math.nextafter(value, math.inf)


def split_rows(
    plan: Plan, splits: Mapping[int, Floats], bases: Sequence[Row], most: int, seed: int
) -> list[Row]:
    """Gives rows in which one raw number lies on a split value of the trees, or one step beside it.

    Args:
        plan: The preparation; columns that are computed from others are left out.
        splits: Slot to the split values that trees compare it with.
        bases: Ordinary rows, at least one.
        most: How many rows at most.
        seed: What chance is drawn from.
    """
    random = np.random.default_rng(seed)
    types = {item.name: item.type for item in plan.inputs}
    numbers = [
        encoder
        for encoder in plan.encoders
        if isinstance(encoder, NumberEncoder) and types.get(encoder.column) in ("number", "integer")
    ]
    used = [encoder for encoder in numbers if len(_finite(splits.get(encoder.offset)))]
    most = min(most, max(1, _MOST_CELLS // len(plan.inputs)))
    rows: list[Row] = []
    for encoder in used:
        values = _finite(splits[encoder.offset])
        count = min(len(values), max(1, most // (6 * len(used))))
        for value in random.choice(values, size=count, replace=False):
            base = bases[int(random.integers(len(bases)))]
            rows += [
                {**base, encoder.column: raw}
                for raw in _raw_values(encoder, float(value), types[encoder.column])
            ]
    return rows[:most]


def _raw_values(encoder: NumberEncoder, value: float, type_name: str) -> list[float] | list[int]:
    """Undoes centre and scale; where the encoder rounds to float32, its neighbours there too."""
    raw = value * encoder.scale + encoder.centre
    if type_name == "integer":
        return [math.floor(raw), math.ceil(raw)] if abs(raw) < 2**62 else []
    found = list(beside(raw))
    if encoder.float32:
        near = np.float32(value)
        steps = (near, np.nextafter(near, np.float32(-np.inf)), np.nextafter(near, np.float32(np.inf)))
        found += [float(step) * encoder.scale + encoder.centre for step in steps]
    return found


def split_vectors(splits: Mapping[int, Floats], X: Floats, most: int, seed: int) -> Floats:
    """Gives encoded vectors in which one slot lies on a split value or one step of a double beside it."""
    random = np.random.default_rng(seed)
    pairs = [(slot, float(value)) for slot, values in splits.items() for value in _finite(values)]
    if not pairs or not len(X):
        return np.zeros((0, X.shape[1]))
    chosen = random.choice(len(pairs), size=min(len(pairs), max(1, most // 3)), replace=False)
    vectors = []
    for index in chosen:
        slot, value = pairs[index]
        for number in beside(value):
            vector = X[random.integers(len(X))].copy()
            vector[slot] = number
            vectors.append(vector)
    return np.array(vectors)


def _finite(values: Floats | None) -> Floats:
    """Split values that a row can lie on (float32's infinity, or its end, splits missing from the rest)."""
    if values is None:
        return np.zeros(0)
    end = float(np.finfo(np.float32).max)
    found: Floats = values[(np.abs(values) < 1e300) & (np.abs(values) != end)]
    return found


def invented_rows(plan: Plan, count: int, seed: int) -> list[Row]:
    """Gives ordinary rows where none are at hand: within the plan's bounds, of its categories.

    Args:
        plan: The preparation.
        count: How many rows.
        seed: What chance is drawn from.
    """
    random = np.random.default_rng(seed)
    columns = {item.name: _invented(plan, item, count, random) for item in plan.inputs}
    return [{name: values[index] for name, values in columns.items()} for index in range(count)]


def _invented(plan: Plan, column: PlanInput, count: int, random: np.random.Generator) -> list[Any]:
    values: list[Any]
    if column.type == "boolean":
        values = (random.random(count) < 0.5).tolist()
    elif column.type == "text":
        values = random.choice([*_categories(plan, column.name), "other"], size=count).tolist()
    elif column.type == "time":
        values = random.integers(946_684_800_000_000, 1_900_000_000_000_000, size=count).tolist()
    else:
        bounds = [bound for bound in _bounds(plan, column.name) if abs(bound) < 1e30] or [-3.0, 3.0]
        values = random.uniform(min(bounds), max(bounds), size=count).tolist()
        if column.type == "integer":
            values = [round(value) for value in values]
    missing = random.random(count) < 0.05
    return [None if gone else value for gone, value in zip(missing, values, strict=True)]


def rows_of(plan: Plan, table: pl.DataFrame) -> list[Row]:
    """Gives a table's rows as the plan reads them: times in microseconds since 1970."""
    from everloop.runtime.row_fill import microseconds

    names = [item.name for item in plan.inputs]
    times = [item.name for item in plan.inputs if item.type == "time"]
    rows = table.select(names).to_dicts()
    for row in rows:
        for name in times:
            if row[name] is not None and not isinstance(row[name], (int, float)):
                row[name] = microseconds(row[name])
    return rows


def table_of(plan: Plan, rows: Sequence[Row]) -> pl.DataFrame:
    """Gives rows as a table of the plan's types."""
    import polars as pl

    plain = {
        "number": pl.Float64, "integer": pl.Int64, "boolean": pl.Boolean, "text": pl.String, "time": pl.Int64,
    }  # fmt: skip
    table = pl.DataFrame(
        {
            item.name: pl.Series([row.get(item.name) for row in rows], dtype=plain[item.type])
            for item in plan.inputs
        }
    )
    times = [item.name for item in plan.inputs if item.type == "time"]
    return table.with_columns(pl.col(times).cast(pl.Datetime("us", "UTC"))) if times else table
