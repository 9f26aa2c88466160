"""Scores a table's rows in parts, by all processors: columns encoded once, small trees as masks."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.runtime.graph import open_session, run_graph
from everloop.runtime.many.codes import codings
from everloop.runtime.many.masks import MaskedTrees
from everloop.runtime.many.trees import trees_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    import polars as pl
    from numpy.typing import NDArray

    from everloop.runtime.graph import Graph
    from everloop.runtime.many.encoded import EncodedTable
    from everloop.runtime.plan import Plan

    Matrix = NDArray[np.float64]

PART_ROWS = 16_384
BLOCK_ROWS = 4_096
"""So many rows stay in a processor's own cache while all trees look at them."""


class TableScorer:
    """Computes for a table what `score.onnx` computes for its vectors. Safe to share between threads.

    Args:
        plan: The preparation.
        graph: The graph.
        model: Its bytes; empty leaves all trees in the graph.
    """

    def __init__(self, plan: Plan, graph: Graph, model: bytes) -> None:
        self._plan = plan
        self._graph = graph
        self._trees: list[MaskedTrees] = []
        taken, rest, self._reads_vector = trees_of(model, plan.width)
        if taken:
            self._codings = codings(taken, plan)
            self._trees = [
                MaskedTrees(trees, coding) for trees, coding in zip(taken, self._codings, strict=True)
            ]
            self._run = open_session(rest, "score.onnx without its trees").run

    def scores(self, frame: pl.DataFrame) -> Iterator[Matrix]:
        """Scores a table part by part, in order; a large one by as many threads as there are processors."""
        starts = range(0, frame.height, PART_ROWS)
        if len(starts) < 2:
            yield from map(self._part, [frame[start:] for start in starts])
            return
        # Encoding, joining masks and the graph let go of the interpreter's lock.
        with ThreadPoolExecutor(processors()) as pool:
            yield from pool.map(lambda start: self._part(frame[start : start + PART_ROWS]), starts)

    def _part(self, frame: pl.DataFrame) -> Matrix:
        from everloop.runtime.plan_table import encode_columns

        encoded = encode_columns(self._plan, frame)
        blocks = [
            self._block(encoded, slice(start, min(start + BLOCK_ROWS, encoded.rows)))
            for start in range(0, encoded.rows, BLOCK_ROWS)
        ]
        return blocks[0] if len(blocks) == 1 else np.concatenate(blocks)

    def _block(self, encoded: EncodedTable, part: slice) -> Matrix:
        rows = part.stop - part.start
        if not self._trees:
            return self._graph.scores(encoded.matrix(part))
        feeds: dict[str, Any] = {"x": encoded.matrix(part)} if self._reads_vector else {}
        codes = {coding: coding.codes(encoded, part) for coding in dict.fromkeys(self._codings)}
        for trees in self._trees:
            feeds[trees.output] = trees.sums(codes[trees.coding], rows)
        return run_graph(self._run, feeds, (rows, self._graph.outputs))


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
