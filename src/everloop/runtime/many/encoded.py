"""A table's rows as a plan encodes them, column by column: numbers, and places among categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.runtime.encoders import LookupEncoder, OneHotEncoder

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.plan import Plan

    Matrix = NDArray[np.float64]

UNKNOWN, MISSING = -1, -2
"""The places of a value that is no category and of no value."""


@dataclass(frozen=True)
class EncodedTable:
    """Encoded rows before they are vectors: a vector of one-hot slots is mostly zeros.

    Attributes:
        plan: The preparation.
        rows: How many rows.
        numbers: Slot to its numbers, (rows,), of the encoders that give numbers.
        places: First slot to each row's place among the categories of the encoder that writes there,
            (rows,); `UNKNOWN` and `MISSING` are below zero.
    """

    plan: Plan
    rows: int
    numbers: dict[int, Matrix]
    places: dict[int, NDArray[np.int32]]

    def matrix(self, part: slice = slice(None)) -> Matrix:
        """Gives the vectors of some rows, by default all, (rows, `plan.width`) doubles."""
        matrix = np.zeros((len(range(*part.indices(self.rows))), self.plan.width))
        for slot, numbers in self.numbers.items():
            matrix[:, slot] = numbers[part]
        for encoder in self.plan.encoders:
            if isinstance(encoder, OneHotEncoder):
                slots = one_hot_slots(encoder, self.places[encoder.offset][part])
                rows = np.flatnonzero(slots >= 0)
                matrix[rows, encoder.offset + slots[rows]] = 1.0
            elif isinstance(encoder, LookupEncoder):
                matrix[:, encoder.offset] = lookup_numbers(encoder)[self.places[encoder.offset][part]]
        return matrix


def one_hot_slots(encoder: OneHotEncoder, places: NDArray[np.int32]) -> NDArray[np.int32]:
    """Gives which of an encoder's slots each place sets; below zero for none."""
    if not encoder.other:
        return places
    return np.where(places == UNKNOWN, np.int32(len(encoder.categories)), places)


def lookup_numbers(encoder: LookupEncoder) -> Matrix:
    """Gives the number of each place; the two at the end are what `MISSING` and `UNKNOWN` point at."""
    unknown = np.nan if encoder.unknown is None else encoder.unknown
    missing = np.nan if encoder.missing is None else encoder.missing
    return np.array([*encoder.values.values(), missing, unknown])
