"""What users call: the frame of a problem, and whether its labels suffice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.problem.frame import build_frame
from everloop.problem.quick_look import look_quickly
from everloop.problem.quick_model import measured_metric
from everloop.problem.sufficiency import judge_labels
from everloop.spec import ProblemSpec
from everloop.table.quick_look import QuickLook
from everloop.table.sufficiency import Sufficiency
from everloop.table.tables import as_frame

if TYPE_CHECKING:
    from everloop.spec.frame import Frame


def frame(table: Any, target: str | None = None, spec: ProblemSpec | None = None) -> Frame:
    """Resolves a problem on a table.

    Args:
        table: Polars, pandas, Arrow, DuckDB or a path.
        target: The column to predict; may be left out where `spec` names it.
        spec: The `problem` part of a lifecycle file, for what is to be stated and not inferred.

    Returns:
        Task, classes, metric, times, inputs and exclusions, each inference with its reason.

    Raises:
        DataFault: When the table cannot be learned from.
        SpecFault: When `spec` names what is not there.
    """
    return build_frame(as_frame(table), _spec(target, spec))


def sufficiency(
    table: Any, target: str | None = None, spec: ProblemSpec | None = None, *, seed: int = 0
) -> Sufficiency:
    """Judges whether the labels of a table suffice, from a quick model's learning curve.

    Args:
        table: Polars, pandas, Arrow, DuckDB or a path.
        target: The column to predict; may be left out where `spec` names it.
        spec: The `problem` part of a lifecycle file.
        seed: Of the subsets.

    Returns:
        A verdict, the curve, and what twice the labels would bring.
    """
    rows, problem = as_frame(table), _spec(target, spec)
    found = build_frame(rows, problem)
    return judge_labels(rows, found, seed=seed, required=problem.require.get(measured_metric(found)))


def quick_look(
    table: Any, target: str | None = None, spec: ProblemSpec | None = None, *, seed: int = 0
) -> QuickLook | None:
    """Says whether there is anything to learn: a quick model and one simple rule against chance.

    Args:
        table: Polars, pandas, Arrow, DuckDB or a path.
        target: The column to predict; may be left out where `spec` names it.
        spec: The `problem` part of a lifecycle file.
        seed: Of the sample, the folds and the permutation test.

    Returns:
        What was found; None where fewer than 30 rows have a label.
    """
    rows = as_frame(table)
    return look_quickly(rows, build_frame(rows, _spec(target, spec)), seed=seed)


def _spec(target: str | None, spec: ProblemSpec | None) -> ProblemSpec:
    from everloop.core.errors import UsageFault

    if spec is None and target is None:
        raise UsageFault("A problem needs a target.", hint='such as frame(table, target="churned")')
    if spec is None:
        return ProblemSpec(target=target or "")
    return spec if target is None else spec.model_copy(update={"target": target})
