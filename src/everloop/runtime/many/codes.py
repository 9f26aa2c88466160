"""What a tree sees of a value: how many splits lie below it, or which category it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from everloop.runtime.encoders import LookupEncoder, OneHotEncoder
from everloop.runtime.many.encoded import lookup_numbers, one_hot_slots

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from everloop.runtime.many.encoded import EncodedTable
    from everloop.runtime.many.trees import GraphTrees
    from everloop.runtime.plan import Plan

    Matrix = NDArray[np.float64]
    Codes = NDArray[np.intp]


class Coding:
    """Codes the rows that some ensembles read alike; a code is a row of their tables.

    Args:
        trees: Ensembles with the same slots, rounding and kind of question.
        plan: What encodes the rows.

    Attributes:
        splits: Of each slot that holds a number and is asked about, the different splits in order.
        encoders: Of each slot that holds what a category is encoded to, the encoder.
    """

    def __init__(self, trees: Sequence[GraphTrees], plan: Plan) -> None:
        self.single, self.strict = trees[0].single, trees[0].strict
        self.encoders = _encoders_of(plan)
        asked = np.concatenate([one.nodes.slot for one in trees])
        splits = np.concatenate([one.nodes.split for one in trees])
        self.splits: dict[int, Matrix] = {}
        self._categories: dict[int, OneHotEncoder | LookupEncoder] = {}
        for slot in np.unique(asked).tolist():
            encoder = self.encoders.get(slot)
            if encoder is None:
                self.splits[slot] = np.unique(splits[asked == slot])
            else:
                self._categories[encoder.offset] = encoder

    def codes(self, table: EncodedTable, part: slice) -> dict[int, Codes]:
        """Gives the codes of some rows, each (rows,), by the slot or the first slot of a category."""
        found = {slot: self.code(table.numbers[slot][part], splits) for slot, splits in self.splits.items()}
        for first, encoder in self._categories.items():
            places = table.places[first][part]
            if isinstance(encoder, OneHotEncoder):
                slots = one_hot_slots(encoder, places)
                found[first] = np.where(slots < 0, encoder.width, slots).astype(np.intp)
            else:
                found[first] = (places % (len(encoder.values) + 2)).astype(np.intp)
        return found

    def code(self, values: Matrix, splits: Matrix) -> Codes:
        """Counts the splits that answer no to each value; a missing value is one beyond them all."""
        if self.single:
            with np.errstate(over="ignore"):
                values = values.astype(np.float32).astype(np.float64)
        answers_no = np.less_equal if self.strict else np.less
        half = 1 << (len(splits).bit_length() - 1)
        padded = np.concatenate([splits, np.full(2 * half - len(splits), np.inf)])
        codes, steps = np.zeros((2, len(values)), dtype=np.intp)
        met, no = np.empty(len(values)), np.empty(len(values), dtype=bool)
        while half:  # a binary search whose steps are the same for all rows
            np.add(codes, half - 1, out=steps)
            padded.take(steps, out=met, mode="clip")
            np.multiply(answers_no(met, values, out=no), half, out=steps)
            np.add(codes, steps, out=codes)
            half //= 2
        np.minimum(codes, len(splits), out=codes)
        codes[np.isnan(values)] = len(splits) + 1
        return codes

    def category_codes(self, encoder: LookupEncoder, splits: Matrix) -> Codes:
        """Gives the code of each category's number, of the missing and of the unknown one."""
        return self.code(lookup_numbers(encoder), splits)


def codings(trees: Sequence[GraphTrees], plan: Plan) -> list[Coding]:
    """Gives each ensemble's coding; those that read alike share one."""
    alike: dict[tuple[bytes, bool, bool], list[GraphTrees]] = {}
    for one in trees:
        alike.setdefault(_reading(one), []).append(one)
    made = {reading: Coding(members, plan) for reading, members in alike.items()}
    return [made[_reading(one)] for one in trees]


def _reading(trees: GraphTrees) -> tuple[bytes, bool, bool]:
    return trees.slots.tobytes(), trees.single, trees.strict


def _encoders_of(plan: Plan) -> dict[int, OneHotEncoder | LookupEncoder]:
    return {
        encoder.offset + slot: encoder
        for encoder in plan.encoders
        if isinstance(encoder, (OneHotEncoder, LookupEncoder))
        for slot in range(encoder.width)
    }
