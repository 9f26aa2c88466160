"""What a plan is made of: the columns it reads and the encoders that write its slots."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from everloop.core.errors import PackageRefused

_MOST_SAMPLES = 2**23
MOST_SLOTS = 2**22
INPUT_TYPES = ("boolean", "integer", "number", "text", "time")


class PlanInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A raw column that the plan reads: its name and its type in the words of `table.schema`."""

    name: str
    type: str


class DerivedColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A column computed from others: the tree of a `table.expression`, as its `to_dict` gives it."""

    name: str
    expression: dict[str, Any]


class NumberEncoder(msgspec.Struct, frozen=True, tag_field="kind", tag="number", forbid_unknown_fields=True):
    """One number: clipped, filled where missing, centred and scaled, in this order.

    Attributes:
        column: A raw or derived column: a number, an integer, a boolean (1 or 0) or a time.
        offset: The slot that is written.
        low: Smaller values become this one.
        high: Greater values become this one.
        fill: Stands for a missing value, in the column's own unit; without it NaN is kept.
        centre: Is subtracted.
        scale: Divides what is left; never zero.
        indicator: Whether the next slot says 1 for a missing value and 0 otherwise.
        float32: Whether the result is rounded to single precision, for learners that compute in it.
    """

    column: str
    offset: int
    low: float | None = None
    high: float | None = None
    fill: float | None = None
    centre: float = 0.0
    scale: float = 1.0
    indicator: bool = False
    float32: bool = False

    @property
    def width(self) -> int:
        """How many slots are written."""
        return 2 if self.indicator else 1


class OneHotEncoder(msgspec.Struct, frozen=True, tag_field="kind", tag="one_hot", forbid_unknown_fields=True):
    """One slot for each category, 1 where the value's text is that category and 0 elsewhere.

    Attributes:
        column: A raw or derived column of any type; values are compared by `table.labels.label_text`.
        offset: The first slot.
        categories: The texts, in the order of their slots.
        other: Whether one more slot at the end says 1 for a value that is no category. A missing
            value is none: its slots are all 0.
    """

    column: str
    offset: int
    categories: tuple[str, ...]
    other: bool = False

    @property
    def width(self) -> int:
        """How many slots are written."""
        return len(self.categories) + self.other


class LookupEncoder(msgspec.Struct, frozen=True, tag_field="kind", tag="lookup", forbid_unknown_fields=True):
    """One number for each category, such as its ordinal or the target's mean.

    Attributes:
        column: A raw or derived column of any type; values are compared by `table.labels.label_text`.
        offset: The slot that is written.
        values: From a category's text to its number.
        unknown: The number of a value that is no category; None gives NaN.
        missing: The number of a missing value; None gives NaN.
    """

    column: str
    offset: int
    values: dict[str, float]
    unknown: float | None = None
    missing: float | None = None

    @property
    def width(self) -> int:
        """How many slots are written."""
        return 1


class TextEncoder(msgspec.Struct, frozen=True, tag_field="kind", tag="text", forbid_unknown_fields=True):
    """Some numbers for a text: what its weighed terms add up to; see `runtime.text_terms`.

    Attributes:
        column: A raw or derived column of text.
        offset: The first slot that is written.
        terms: The words, pairs of words and parts of words that count.
        rarity: What each is weighed with, (terms,) little-endian single precision.
        numbers: What each adds to each slot, (terms, slots) little-endian single precision.
        bias: Where each slot starts; a text without known terms, or a missing one, stays there.
        float32: Whether the results are rounded to single precision, for learners that compute in it.
    """

    column: str
    offset: int
    terms: tuple[str, ...]
    rarity: bytes
    numbers: bytes
    bias: tuple[float, ...]
    float32: bool = False

    @property
    def width(self) -> int:
        """How many slots are written."""
        return len(self.bias)


class Spectrogram(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a sound becomes a grid of moments x bands; see `runtime.grids`.

    Attributes:
        rate: Samples a second.
        samples: How many are read.
        window: Samples of one moment.
        hop: Samples from one moment to the next.
        bands: How many bands of pitch.
    """

    rate: int
    samples: int
    window: int
    hop: int
    bands: int

    @property
    def moments(self) -> int:
        """How many moments there are."""
        return (self.samples - self.window) // self.hop + 1


class GridEncoder(msgspec.Struct, frozen=True, tag_field="kind", tag="grid", forbid_unknown_fields=True):
    """The numbers of an image or a sound: brought to one size, clipped, centred and scaled, in this order.

    A missing value, and one that cannot be decoded, is 0 everywhere, which is the mean of training.

    Attributes:
        column: A raw column of text that carries images or sounds (`table.content`).
        offset: The first slot; slots follow rows, then columns, then channels.
        rows: The grid's rows; of a sound its moments.
        columns: The grid's columns; of a sound its bands.
        channels: 1 of brightness or 3 of colour; of a sound 1.
        low: Numbers below are raised to it.
        high: Numbers above are lowered to it.
        centre: Is subtracted.
        scale: Divides.
        float32: Whether the results are rounded to single precision.
        sound: How a sound becomes the grid; None for an image.
    """

    column: str
    offset: int
    rows: int
    columns: int
    channels: int
    low: float
    high: float
    centre: float
    scale: float
    float32: bool = False
    sound: Spectrogram | None = None

    @property
    def width(self) -> int:
        """How many slots are written."""
        return self.rows * self.columns * self.channels


Encoder = NumberEncoder | OneHotEncoder | LookupEncoder | TextEncoder | GridEncoder


def check_constants(encoder: Encoder) -> None:
    """Checks that an encoder's constants are finite, its scale not zero and its categories distinct.

    Raises:
        PackageRefused: When they are not.
    """
    if encoder.width == 0:
        raise PackageRefused(f"The plan has no category for {encoder.column!r}.")
    if isinstance(encoder, TextEncoder):
        _check_terms(encoder)
        return
    if isinstance(encoder, GridEncoder):
        _check_grid(encoder)
        return
    if isinstance(encoder, OneHotEncoder):
        if len(set(encoder.categories)) != len(encoder.categories):
            raise PackageRefused(f"The plan has a category of {encoder.column!r} twice.")
        return
    if isinstance(encoder, LookupEncoder):
        numbers = [*encoder.values.values(), encoder.unknown, encoder.missing]
    else:
        numbers = [encoder.low, encoder.high, encoder.fill, encoder.centre, encoder.scale]
        if encoder.scale == 0:
            raise PackageRefused(f"The plan divides {encoder.column!r} by zero.")
        if encoder.low is not None and encoder.high is not None and encoder.low > encoder.high:
            raise PackageRefused(f"The plan clips {encoder.column!r} to a low above its high.")
    if not all(number is None or math.isfinite(number) for number in numbers):
        raise PackageRefused(f"The plan has a constant for {encoder.column!r} that is no finite number.")


def _check_grid(encoder: GridEncoder) -> None:
    numbers = (encoder.low, encoder.high, encoder.centre, encoder.scale)
    if not all(math.isfinite(number) for number in numbers) or encoder.scale == 0:
        raise PackageRefused(f"The plan has a constant for {encoder.column!r} that cannot be.")
    how = encoder.sound
    if min(encoder.rows, encoder.columns) < 1 or encoder.channels not in (1, 3) or encoder.width > MOST_SLOTS:
        raise PackageRefused(f"The plan brings {encoder.column!r} to a size that cannot be.")
    if how is None:
        return
    if min(how.rate, how.window, how.hop, how.bands) < 1 or not how.window <= how.samples <= _MOST_SAMPLES:
        raise PackageRefused(f"The plan has a spectrogram for {encoder.column!r} that cannot be.")
    if (how.moments, how.bands, 1) != (encoder.rows, encoder.columns, encoder.channels):
        raise PackageRefused(f"The plan's spectrogram of {encoder.column!r} is of another size than it says.")


def _check_terms(encoder: TextEncoder) -> None:
    terms = len(encoder.terms)
    if len(set(encoder.terms)) != terms:
        raise PackageRefused(f"The plan has a term of {encoder.column!r} twice.")
    if len(encoder.rarity) != 4 * terms or len(encoder.numbers) != 4 * terms * encoder.width:
        raise PackageRefused(f"The plan has another count of numbers than of terms for {encoder.column!r}.")
    numbers = np.frombuffer(encoder.rarity + encoder.numbers, dtype="<f4")
    if not (np.isfinite(numbers).all() and np.isfinite(encoder.bias).all()):
        raise PackageRefused(f"The plan has a constant for {encoder.column!r} that is no finite number.")
