"""A compiled model: the plan that encodes, the graph that scores."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from everloop.runtime.graph import Graph
from everloop.runtime.plan import Plan, compile_rows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.many import TableScorer

GRAPH_NAME = "score.onnx"
# Greater graphs are not looked into for small trees, nor kept beside the session that was made of them.
_MOST_BYTES_OF_SMALL_TREES = 8 * 2**20


class CompiledModel:
    """What scores rows without any training library. Safe to share between threads.

    Args:
        plan: The preparation.
        model: The content of `score.onnx`.
        outputs: How many scores a row gets.

    Raises:
        PackageRefused: When the two do not fit together.
    """

    def __init__(self, plan: Plan, model: bytes, outputs: int) -> None:
        self.plan = plan
        self.graph = Graph(model, width=plan.width, outputs=outputs)
        self._model = model if len(model) <= _MOST_BYTES_OF_SMALL_TREES else b""
        self.encode = compile_rows(plan)
        self.scores = self.graph.scores

    def encode_table(self, frame: Any) -> NDArray[Any]:
        """Gives the rows of a table as what `scores` takes."""
        from everloop.runtime.plan_table import encode_table

        return encode_table(self.plan, frame)

    @cached_property
    def table_scorer(self) -> TableScorer:
        """What scores large tables; it takes a moment to make."""
        from everloop.runtime.many import TableScorer

        return TableScorer(self.plan, self.graph, self._model)
