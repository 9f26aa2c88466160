"""What a model must keep to: how long an answer takes and how large it is, measured on what is compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.core.units import format_size
from everloop.model.latency import ROWS, answer_seconds

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import timedelta

    from everloop.runtime.plan import Plan
    from everloop.spec.frame import Frame


def model_bytes(plan: Plan, estimator: Any, frame: Frame) -> int:
    """Gives the size of what serves: the plan and the compiled graph.

    Raises:
        ModelFault: When the estimator cannot be compiled.
    """
    from everloop.model.compile.score import score_model

    return len(score_model(estimator, frame)) + len(plan.to_json())


def within(
    frame: Frame,
    rows: Callable[[Plan], list[dict[str, Any]]],
    *,
    latency: timedelta | None = None,
    size: int | None = None,
) -> Callable[[Plan, Any], str | None]:
    """Gives what says of a model why it is too large or too slow; None where it is not, or nothing is asked.

    Args:
        frame: The problem.
        rows: Gives raw rows for a plan.
        latency: How long an answer may take.
        size: How many bytes it may have.
    """

    def refused(plan: Plan, estimator: Any) -> str | None:
        from everloop.model.compile.registry import compiles

        if (latency is None and size is None) or not compiles(estimator):
            return None
        if size is not None and (found := model_bytes(plan, estimator, frame)) > size:
            return f"it has {format_size(found)}, and at most {format_size(size)} are asked for."
        if latency is None:
            return None
        seconds = answer_seconds(plan, estimator, frame, rows(plan)[:ROWS])
        if seconds <= latency.total_seconds():
            return None
        most = 1000 * latency.total_seconds()
        return f"an answer takes {1000 * seconds:.2f} ms, and at most {most:g} are asked for."

    return refused
