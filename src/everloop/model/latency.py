"""How long a model takes to answer one row, measured on what is compiled."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

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


def within(
    limit: timedelta | None, frame: Frame, rows: Callable[[Plan], list[dict[str, Any]]]
) -> Callable[[Plan, Any], str | None]:
    """Gives what says of a model why it is too slow; None where it is not, or nothing is asked.

    Args:
        limit: How long an answer may take.
        frame: The problem.
        rows: Gives raw rows for a plan.
    """

    def refused(plan: Plan, estimator: Any) -> str | None:
        from everloop.model.compile.registry import compiles

        if limit is None or not compiles(estimator):
            return None
        seconds = answer_seconds(plan, estimator, frame, rows(plan)[:ROWS])
        if seconds <= limit.total_seconds():
            return None
        most = 1000 * limit.total_seconds()
        return f"an answer takes {1000 * seconds:.2f} ms, and at most {most:g} are asked for."

    return refused
