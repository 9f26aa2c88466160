"""Small trees walked without a branch: what each column says of all trees is a mask, and masks are joined.

A tree's leaves are bits, in order. A node whose question is answered no takes the leaves of its yes side
away; the first bit that is left is the leaf (Lucchese et al., QuickScorer, SIGIR 2015). What a column's
value takes away depends only on where it lies among the splits, so there is one table for each column,
and a row's leaves in 16 or 32 trees are found by one lookup and one AND for each column.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.runtime.encoders import LookupEncoder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.runtime.many.codes import Coding
    from everloop.runtime.many.trees import GraphTrees, Nodes

    Integers = NDArray[np.int64]
    Words = NDArray[np.uint64]

GROUP_BYTES = 128
"""What is looked up at once: two lines of a processor's cache."""

_GROUP_WORDS = GROUP_BYTES // 8

STRIP_ROWS = 2_048
"""So many rows' masks stay in a processor's own cache, beside the tables, while columns are joined."""


@dataclass(frozen=True)
class _Group:
    """Trees that lie in one row of the tables: the tables by slot, the leaves' weights, each tree's sum."""

    tables: dict[int, Words]
    weights: NDArray[np.floating[Any]]
    targets: list[int]


class MaskedTrees:
    """One `TreeEnsemble`, computed for many rows at once; equal bit for bit to the operator.

    Args:
        trees: The ensemble.
        coding: What codes the rows for it.
    """

    def __init__(self, trees: GraphTrees, coding: Coding) -> None:
        self.output, self.coding = trees.output, coding
        self._outputs, self._dtype = trees.outputs, trees.weights.dtype
        nodes, leaves = trees.nodes, trees.leaves
        self._word: Any = np.uint32 if leaves[:, 1].max() < 32 else np.uint64
        self._bits = 8 * np.dtype(self._word).itemsize
        together = GROUP_BYTES * 8 // self._bits
        self._groups = []
        for start in range(0, int(leaves[-1, 0]) + 1, together):
            mine = (leaves[:, 0] >= start) & (leaves[:, 0] < start + together)
            chosen = nodes.only((nodes.tree >= start) & (nodes.tree < start + together))
            self._groups.append(self._group(trees, chosen, leaves[mine], start))

    def sums(self, codes: Mapping[int, NDArray[np.intp]], rows: int) -> NDArray[np.floating[Any]]:
        """Gives the sums of coded rows, (rows, outputs)."""
        total = np.zeros((self._outputs, rows), dtype=self._dtype)
        for group in self._groups:
            for start in range(0, rows, STRIP_ROWS):
                strip = slice(start, min(start + STRIP_ROWS, rows))
                self._add(group, {slot: codes[slot][strip] for slot in group.tables}, total[:, strip])
        return np.ascontiguousarray(total.T)

    def _add(self, group: _Group, codes: Mapping[int, NDArray[np.intp]], total: NDArray[Any]) -> None:
        """Adds a group's trees to the sums of a strip of rows, one after the other as the operator does."""
        rows, trees = total.shape[1], len(group.targets)
        left, more = np.empty((2, rows, _GROUP_WORDS), np.uint64)
        for place, (slot, table) in enumerate(group.tables.items()):
            table.take(codes[slot], axis=0, out=more if place else left, mode="clip")
            if place:
                np.bitwise_and(left, more, out=left)
        masks = np.ascontiguousarray(left.view(self._word)[:, :trees].T)
        places = _first_bits(masks)
        places += (np.arange(trees) * self._bits)[:, np.newaxis]
        if self._outputs == 1:
            added = np.empty((trees + 1, rows), dtype=self._dtype)
            added[0] = total[0]
            group.weights.take(places, out=added[1:], mode="clip")
            np.add.reduce(added, axis=0, out=total[0])
            return
        for target, weights in zip(group.targets, group.weights.take(places, mode="clip"), strict=True):
            total[target] += weights

    def _group(self, trees: GraphTrees, nodes: Nodes, leaves: Integers, start: int) -> _Group:
        tables: dict[int, Words] = {}
        own = nodes.tree - start
        for slot in np.unique(nodes.slot).tolist():
            asked = nodes.slot == slot
            table, encoder = self._table(nodes.only(asked), own[asked]), self.coding.encoders.get(slot)
            first = slot if encoder is None else encoder.offset
            tables[first] = tables[first] & table if first in tables else table
        count = int(leaves[:, 0].max()) - start + 1
        weights = np.zeros((count, self._bits), dtype=self._dtype)
        weights[leaves[:, 0] - start, leaves[:, 1]] = trees.weights[leaves[:, 2]]
        targets = np.zeros(count, dtype=np.int64)
        targets[leaves[:, 0] - start] = trees.targets[leaves[:, 2]]
        return _Group(tables, weights.ravel(), targets.tolist())

    def _table(self, nodes: Nodes, trees: Integers) -> Words:
        """Gives what the questions about one slot leave of the group's trees, for each code."""
        slot = int(nodes.slot[0])
        encoder = self.coding.encoders.get(slot)
        if encoder is None:
            return self._number_table(nodes, trees, self.coding.splits[slot])
        if isinstance(encoder, LookupEncoder):
            splits = np.unique(nodes.split)
            codes = self.coding.category_codes(encoder, splits)
            return self._number_table(nodes, trees, splits)[codes]
        table = self._full(encoder.width + 1)
        for value in (0.0, 1.0):
            yes = value < nodes.split if self.coding.strict else value <= nodes.split
            row = self._full(1)
            self._take_away(row, np.zeros(len(yes), np.int64), nodes, trees, ~yes)
            table[(np.arange(len(table)) == slot - encoder.offset) == bool(value)] &= row
        return table

    def _number_table(self, nodes: Nodes, trees: Integers, splits: NDArray[np.float64]) -> Words:
        table = self._full(len(splits) + 2)
        after = np.searchsorted(splits, nodes.split) + 1
        self._take_away(table, after, nodes, trees, np.ones(len(after), dtype=bool))
        np.bitwise_and.accumulate(table[:-1], axis=0, out=table[:-1])
        table[-1] = ~np.uint64(0)
        self._take_away(table, np.full_like(after, len(splits) + 1), nodes, trees, ~nodes.missing_yes)
        return table

    def _full(self, codes: int) -> Words:
        return np.full((codes, _GROUP_WORDS), ~np.uint64(0))

    def _take_away(
        self, table: Words, codes: Integers, nodes: Nodes, trees: Integers, no: NDArray[np.bool_]
    ) -> None:
        kept = nodes.kept[no].astype(self._word)
        np.bitwise_and.at(table.view(self._word), (codes[no], trees[no]), kept)


def _first_bits(masks: NDArray[Any]) -> NDArray[np.intp]:
    """Gives the place of the lowest bit of each mask: a power of two is a number with that exponent."""
    lowest = np.negative(masks)
    np.bitwise_and(masks, lowest, out=lowest)
    if masks.dtype == np.uint32:
        places: NDArray[Any] = (lowest.astype(np.float32).view(np.int32) >> 23) - 127
    else:
        places = (lowest.astype(np.float64).view(np.int64) >> 52) - 1023
    return places.astype(np.intp, copy=False)
