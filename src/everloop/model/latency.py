"""How long a model takes to answer one row, measured on what is compiled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame

ROWS = 60
SHARE = 0.9
"""The answer of so many rows of all must be within the limit; the rest are the machine's own doing."""


def answer_seconds(plan: Plan, estimator: Any, frame: Frame, rows: list[dict[str, Any]]) -> float:
    """Measures single rows on the plan and the compiled graph, as a server answers them.

    Args:
        plan: The preparation.
        estimator: The fitted estimator.
        frame: The problem.
        rows: Raw rows.

    Returns:
        The seconds within which most of the rows were answered.

    Raises:
        ModelFault: When the estimator cannot be compiled.
    """
    from everloop.model.compile.score import answers, score_model
    from everloop.runtime.graph import Graph
    from everloop.runtime.plan import compile_row

    graph = Graph(score_model(estimator, frame), width=plan.width, outputs=answers(frame))
    encode = compile_row(plan)
    found = []
    for row in rows:
        start = time.perf_counter()
        graph.scores(encode(row)[np.newaxis])
        found.append(time.perf_counter() - start)
    return float(np.quantile(found, SHARE))
