"""The encoders for one row: each group of them as a function that writes its slots of a list.

The constants are unrolled once into flat tuples, so that a row costs one pass over them. Nothing
is generated as code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.runtime.encoders import (
    Encoder,
    GridEncoder,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    TextEncoder,
)
from everloop.runtime.grids import grid_encoder
from everloop.runtime.text_terms import text_scorer
from everloop.table.labels import label_text

Row = Mapping[str, Any]
Fill = Callable[[Row, list[float]], None]

_NAN = math.nan
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fills(encoders: tuple[Encoder, ...]) -> list[Fill]:
    """Gives the functions that together write every slot of one row."""
    numbers = [encoder for encoder in encoders if isinstance(encoder, NumberEncoder)]
    plain = [encoder for encoder in numbers if not encoder.indicator]
    marked = [encoder for encoder in numbers if encoder.indicator]
    categories = [encoder for encoder in encoders if isinstance(encoder, (OneHotEncoder, LookupEncoder))]
    texts = [encoder for encoder in encoders if isinstance(encoder, (TextEncoder, GridEncoder))]
    makers: tuple[tuple[Any, Any], ...] = (
        (_fill_numbers, plain),
        (_fill_marked, marked),
        (_fill_categories, categories),
        (_fill_texts, texts),
    )
    return [make(members) for make, members in makers if members]


def _constants(encoder: NumberEncoder) -> tuple[int, str, float, float, float, float, float]:
    """Gives slot, column, bounds, the encoded fill, centre and scale."""
    low = -math.inf if encoder.low is None else encoder.low
    high = math.inf if encoder.high is None else encoder.high
    filled = _NAN if encoder.fill is None else (encoder.fill - encoder.centre) / encoder.scale
    return encoder.offset, encoder.column, low, high, filled, encoder.centre, encoder.scale


def _fill_numbers(encoders: list[NumberEncoder]) -> Fill:
    constants = [_constants(encoder) for encoder in encoders]

    def fill(row: Row, values: list[float]) -> None:
        get = row.get
        for slot, column, low, high, filled, centre, scale in constants:
            value = get(column)
            if type(value) is not float:
                value = number_of(value, column)
            if value < low:
                value = low
            elif value > high:
                value = high
            elif value != value:  # noqa: PLR0124  (NaN alone differs from itself)
                values[slot] = filled
                continue
            values[slot] = (value - centre) / scale

    return fill


def _fill_marked(encoders: list[NumberEncoder]) -> Fill:
    plain = _fill_numbers(encoders)
    marks = [(encoder.offset + 1, encoder.column) for encoder in encoders]

    def fill(row: Row, values: list[float]) -> None:
        plain(row, values)
        for slot, column in marks:
            value = row.get(column)
            if value is None or value != value:  # noqa: PLR0124
                values[slot] = 1.0

    return fill


def _fill_categories(encoders: list[OneHotEncoder | LookupEncoder]) -> Fill:
    """Each encoder as a table from text to (slot, number); texts and None answer at once."""
    constants = [(encoder.column, *_category_table(encoder)) for encoder in encoders]

    def fill(row: Row, values: list[float]) -> None:
        get = row.get
        for column, table, unknown in constants:
            value = get(column)
            if value is not None and type(value) is not str:
                value = category_text(value)
            slot, number = table.get(value, unknown)
            values[slot] = number

    return fill


def text_reader(encoder: TextEncoder | GridEncoder) -> Callable[[str | None], Any]:
    """Gives the function from a text, or None, to an encoder's numbers: of words, or of what it carries."""
    return grid_encoder(encoder) if isinstance(encoder, GridEncoder) else text_scorer(encoder)


def _fill_texts(encoders: list[TextEncoder | GridEncoder]) -> Fill:
    scorers = [(one.column, one.offset, one.offset + one.width, text_reader(one)) for one in encoders]

    def fill(row: Row, values: list[float]) -> None:
        for column, start, end, score in scorers:
            text = row.get(column)
            values[start:end] = score(text if isinstance(text, str) else None).tolist()

    return fill


def _category_table(
    encoder: OneHotEncoder | LookupEncoder,
) -> tuple[dict[str | None, tuple[int, float]], tuple[int, float]]:
    start = encoder.offset
    if isinstance(encoder, LookupEncoder):
        known: dict[str | None, tuple[int, float]] = {
            text: (start, number) for text, number in encoder.values.items()
        }
        known[None] = (start, _NAN if encoder.missing is None else encoder.missing)
        return known, (start, _NAN if encoder.unknown is None else encoder.unknown)
    hot: dict[str | None, tuple[int, float]] = {
        text: (start + index, 1.0) for index, text in enumerate(encoder.categories)
    }
    hot[None] = (start, 0.0)
    end = start + len(encoder.categories)
    return hot, ((end, 1.0) if encoder.other else (start, 0.0))


def number_of(value: Any, column: str) -> float:
    """Gives a value as a double; None is NaN, a boolean 1 or 0, a time its microseconds since 1970.

    Raises:
        DataFault: When the value is a text or something else that is no number.
    """
    if value is None:
        return _NAN
    if isinstance(value, date):
        value = microseconds(value)
    if not isinstance(value, (int, float, np.number, np.bool_)):
        raise not_a_number(column, f"a {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def microseconds(moment: date) -> int:
    """Gives a time as microseconds since 1970 in UTC; one without a zone is in UTC already."""
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def category_text(value: Any) -> str | None:
    """Gives the text by which a value is compared with categories; a time is its microseconds."""
    if isinstance(value, date):
        return str(microseconds(value))
    return label_text(value)


def not_a_number(column: str, kind: str) -> DataFault:
    """Gives the error for a column that should hold numbers and holds something else."""
    return DataFault(
        f"Column {column!r} holds {kind}; the model reads it as a number.",
        hint="give numbers, as when the model was trained",
    )
