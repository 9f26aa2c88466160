"""What a lifecycle file can say that has no meaning for its task, or that this release does not do for it.

A task that is learned without a target has no actuals: what is made of actuals is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.core.errors import SpecFault
from everloop.core.tasks import TASKS

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec


@dataclass(frozen=True, slots=True)
class TaskRefusal:
    """Something that is refused where the task is not learned from a target.

    Attributes:
        place: The key of the file.
        stated: Whether a file says it.
        reason: Why it cannot be had.
        hint: What to do.
    """

    place: str
    stated: Callable[[LifecycleSpec], bool]
    reason: str
    hint: str


def _clips(spec: LifecycleSpec) -> bool:
    clean = spec.data.clean
    stated = "outliers" in clean.model_fields_set and clean.outliers == "clip"
    return spec.problem.task == "anomaly" and (
        stated or any(one.outliers == "clip" for one in clean.columns.values())
    )


_BY_ACTUALS = ("performance", "value", "labels")
_DRAWS_NONE = ("blue_green", "shadow")


def _acts(spec: LifecycleSpec) -> bool:
    """Whether clusters are acted on, which has a price."""
    return spec.problem.task == "clustering" and spec.goal.value is not None


def silent_triggers(spec: LifecycleSpec) -> tuple[str, ...]:
    """Names the kinds of trigger that never ask where there is no target: what they wait for does not come.

    What came of acting on clusters does: it is fed back, counted and priced, and no metric is made of it.
    """
    if spec.problem.target or spec.problem.task is None:
        return ()
    return ("performance",) if _acts(spec) else _BY_ACTUALS


def _retrains_on_actuals(spec: LifecycleSpec) -> bool:
    retrain, silent = spec.monitor.retrain, silent_triggers(spec)
    return "on" in retrain.model_fields_set and any(trigger.kind in silent for trigger in retrain.on)


REFUSED: tuple[TaskRefusal, ...] = (
    TaskRefusal(
        "goal.value",
        lambda spec: spec.goal.value is not None and spec.goal.value.kind != spec.problem.task,
        "prices another task's decisions",
        "clustering: {kpi: SQL}; recommendation: {hit: SQL, shown: NUMBER}; for anomalies leave it out, or, "
        "with labels, problem: {task: binary}",
    ),
    TaskRefusal(
        "goal.today",
        lambda spec: spec.goal.today is not None and not _acts(spec),
        "compares decisions by their price",
        "leave it out: lists are compared with that of what most have; clusters need goal.value.kpi",
    ),
    TaskRefusal(
        "model.fairness",
        lambda spec: bool(spec.model.fairness),
        "compares decisions with actuals, group by group",
        "leave it out",
    ),
    TaskRefusal(
        "data.clean.outliers",
        _clips,
        "cuts the very values that are looked for",
        "data: {clean: {outliers: keep}}",
    ),
    TaskRefusal(
        "data.split.by",
        lambda spec: not spec.problem.target and spec.data.split.by == "stratified",
        "keeps the classes of a target in equal shares, and there is no target",
        "data: {split: {by: random}}",
    ),
    TaskRefusal(
        "deploy.guard.value_per_decision",
        lambda spec: (
            spec.problem.task != "anomaly"
            and "value_per_decision" in spec.deploy.guard
            and spec.deploy.strategy in _DRAWS_NONE
        ),
        "compares what came of each arm's own answers, drawn by chance, and the strategy draws none",
        "deploy: {strategy: canary}, or ab",
    ),
    TaskRefusal(
        "monitor.retrain.on",
        _retrains_on_actuals,
        "waits for actuals, and without a target none come",
        "monitor: {retrain: {on: [drift, contract]}}",
    ),
)
"""Everything that is refused, in the order of the file."""


def task_refusals(spec: LifecycleSpec) -> Iterator[SpecFault]:
    """Gives an error for each thing in the file that its stated task cannot have."""
    task = spec.problem.task
    if task is None or task not in TASKS:
        return
    yield from _foreign_metrics(spec, task)
    yield from _foreign_learners(spec, task)
    if TASKS[task].supervised:
        return
    for refused in REFUSED:
        if refused.stated(spec):
            yield SpecFault(
                f"{refused.place} {refused.reason}; the task is {task}.",
                hint=refused.hint,
                place=refused.place,
            )


def _foreign_metrics(spec: LifecycleSpec, task: str) -> Iterator[SpecFault]:
    from everloop.measure.metrics import METRICS, judges

    labelled = bool(spec.problem.target)
    fitting = [name for name in METRICS if judges(name, task, labelled=labelled)]
    for place, bounds in (("goal.require", spec.goal.require), ("problem.require", spec.problem.require)):
        for name in bounds:
            if name == "positive_rate" and place == "goal.require" and _acts(spec):
                continue  # the share of rows that are acted on
            if name in METRICS and not judges(name, task, labelled=labelled):
                without = "" if labelled else " without labels"
                yield SpecFault(
                    f"{place} names {name}, by which a task of the kind {task}{without} is not judged.",
                    hint=f"these are known: {', '.join(fitting)}",
                    place=place,
                )


def _foreign_learners(spec: LifecycleSpec, task: str) -> Iterator[SpecFault]:
    from everloop.model.learners.registry import BUILT_IN, known_learners, learner

    known = known_learners()
    for name in spec.model.learners:
        if name in known and task not in learner(name).capabilities.tasks:
            able = [one for one in BUILT_IN if task in learner(one).capabilities.tasks]
            yield SpecFault(
                f"model.learners names {name}, which does not know the task {task}.",
                hint=f"these do: {', '.join(able)}",
                place="model.learners",
            )
