"""What the lifecycle file can say and this release does not do: refused before anything is done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, cast

from everloop.core.errors import EverloopError, SpecFault
from everloop.core.nearness import near_names
from everloop.loop.task_support import task_refusals
from everloop.loop.too_early import read_too_early
from everloop.table.acting import known_later

if TYPE_CHECKING:
    from collections.abc import Iterable

    from everloop.spec import LifecycleSpec

# Measured by the gate beside the metrics of the field.
_OWN_METRICS = ("value_per_decision",)


def refusals(spec: LifecycleSpec) -> list[EverloopError]:
    """Gives an error for each thing in the file that cannot be done here; none means it can run."""
    return [fault for rule in RULES for fault in rule(spec)]


def refuse_unsupported(spec: LifecycleSpec) -> None:
    """Raises when the file asks for what cannot be done here.

    Raises:
        SpecFault: With everything that cannot be done.
    """
    raise_all(refusals(spec), spec)


def raise_all(faults: list[EverloopError], spec: LifecycleSpec) -> None:
    """Raises one error that tells all of them, each with its place; does nothing where there is none."""
    for fault in faults:
        spec.place(fault)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        worst = max(faults, key=lambda fault: fault.exit_status)
        lines = [f"  {_told(fault)}" for fault in faults]
        raise type(worst)(f"{len(faults)} things are wrong:\n" + "\n".join(lines), place=faults[0].place)


def _told(fault: EverloopError) -> str:
    place = f"{fault.place}: " if fault.place else ""
    return f"{place}{fault.message}{f' ({fault.hint})' if fault.hint else ''}"


def _sources(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.data.sources import source_class
    from everloop.data.taking import source_kind

    for name, source in spec.data.sources.items():
        try:
            source_class(source_kind(source))
        except EverloopError as error:
            yield SpecFault(error.message, hint=error.hint, place=f"data.sources.{name}")


def _features(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.data.joining import joined_names
    from everloop.data.python_features import python_digests
    from everloop.table.feature_joined import define_joined

    for name in joined_names(spec.data):
        try:
            define_joined(name, cast("Any", spec.data.features[name]))
        except EverloopError as error:
            yield error
    try:
        python_digests(spec.data, spec.folder)
    except EverloopError as error:
        yield error


def _waivers(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.data.leaks import KINDS

    for name in spec.data.leaks.waive:
        kind = name.partition(":")[0].strip()
        if kind not in KINDS:
            yield _unknown("data.leaks.waive", kind, KINDS)


def _task(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.problem.frame import SUPPORTED_TASKS

    if spec.problem.task is not None and spec.problem.task not in SUPPORTED_TASKS:
        yield _unknown("problem.task", spec.problem.task, SUPPORTED_TASKS)


def _engines(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from importlib.util import find_spec

    from everloop.core.errors import MissingExtra
    from everloop.data.engines import installed_engines
    from everloop.model.workers import known_tuners

    if spec.engine.train != "local":
        yield _unknown("engine.train", spec.engine.train, ("local",))
    tuners = known_tuners()
    if spec.model.tuner not in tuners:
        yield _unknown("model.tuner", spec.model.tuner, tuners)
    elif spec.model.tuner == "ray" and find_spec("ray") is None:
        yield MissingExtra(
            "model.tuner is ray, whose package is not installed.",
            hint="pip install 'everloop[ray]'",
            place="model.tuner",
        )
    engines = installed_engines()
    if spec.engine.data not in engines:
        yield _unknown("engine.data", spec.engine.data, engines)


def _integrations(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.loop.observing import require_observers

    try:
        require_observers(spec)
    except EverloopError as error:
        yield error


def _learners(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.model.learners.registry import known_learners

    known = sorted(known_learners())
    for position, name in enumerate(spec.model.learners):
        if name not in known:
            yield _unknown("model.learners", name, known, f"[{position}]")


def _metrics(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.measure.metrics import METRICS

    for place, bounds in (("goal.require", spec.goal.require), ("problem.require", spec.problem.require)):
        for name in bounds:
            if name not in METRICS and name not in _OWN_METRICS:
                yield _unknown_metric(place, name, (*_OWN_METRICS, *METRICS), f".{name}")
            if name in _OWN_METRICS and spec.goal.value is None:
                yield SpecFault(
                    f"{name} is required, but decisions have no price.",
                    hint="state goal.value, or leave the bound out",
                    place=place,
                )
    if spec.problem.optimise is not None and spec.problem.optimise not in METRICS:
        yield _unknown_metric("problem.optimise", spec.problem.optimise, METRICS)


def _unknown_metric(place: str, asked: str, known: Iterable[str], inside: str = "") -> SpecFault:
    from everloop.measure.recommendation import list_metric_hint

    fault = _unknown(place, asked, known, inside)
    return SpecFault(fault.message, hint=list_metric_hint(asked) or fault.hint, place=fault.place)


def _fairness(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.deploy.fairness import MEASURES

    for name in spec.model.fairness:
        if name not in MEASURES:
            yield _unknown("model.fairness", name, MEASURES, f".{name}")
    if spec.model.fairness and not spec.problem.sensitive:
        yield SpecFault(
            "model.fairness bounds differences between groups, but no sensitive column is named.",
            hint="name them in problem.sensitive, such as [sex, age_group]",
            place="model.fairness",
        )
    if spec.model.mitigate is not None:
        yield from _mitigation(spec)


def _mitigation(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.measure.fairness import FAIRNESS

    method, place = spec.model.mitigate, "model.mitigate"
    reachable = {
        name: bound
        for name, bound in spec.model.fairness.items()
        if name in FAIRNESS and bound.comparison.startswith(">" if FAIRNESS[name].ratio else "<")
    }
    if method == "reweighing":
        if not spec.problem.sensitive:
            yield SpecFault(
                f"{place}: {method} weighs the rows of groups, but no sensitive column is named.",
                hint="name them in problem.sensitive, such as [sex, age_group]",
                place=place,
            )
        return
    if spec.problem.task not in (None, "binary"):
        yield SpecFault(
            f"{place}: {method} moves decisions between two classes; the task is {spec.problem.task}.",
            place=place,
        )
    if not spec.model.fairness or len(reachable) < len(spec.model.fairness):
        yield SpecFault(
            f"{place}: {method} needs bounds on decisions: differences from above, ratios from below.",
            hint='fairness: {equal_opportunity_difference: "<= 0.1"}, or demographic_parity_ratio: ">= 0.8"',
            place=place,
        )
    if len(spec.problem.sensitive) > 1:
        yield SpecFault(
            f"{place}: {method} treats the groups of one column alike; problem.sensitive names "
            f"{', '.join(spec.problem.sensitive)}.",
            hint="name one, or one that crosses them, made in data.table: sex || ', ' || age_group as who",
            place="problem.sensitive",
        )
    if spec.goal.segments is not None:
        yield SpecFault(
            f"{place}: {method} and goal.segments both give thresholds; a row has one.",
            hint="leave one of them out",
            place="goal.segments",
        )


def _guards(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.deploy.guards import require_known

    try:
        require_known(spec.deploy)
    except EverloopError as error:
        yield error
        return
    yield from _silent_guards(spec)


def _silent_guards(spec: LifecycleSpec) -> Iterator[EverloopError]:
    """Gives the guards that could never answer: with one of them no rollout ends in a promotion."""
    from everloop.deploy.guards import FROM_ACTUALS, GUARDS
    from everloop.deploy.rollout import STRATEGIES

    task = _known_task(spec)
    for name in spec.deploy.guard:
        guard, place = GUARDS[name], f"deploy.guard.{name}"
        if guard.priced and spec.goal.value is None:
            yield SpecFault(
                f"{name} compares what decisions are worth, and they have no price.",
                hint="state goal.value, or leave the guard out",
                place=place,
            )
        elif task is not None and guard.tasks and task not in guard.tasks:
            fitting = [one for one in GUARDS if task in GUARDS[one].tasks]
            yield SpecFault(
                f"{name} does not judge the task {task}, so it would never answer.",
                hint=f"these do: {', '.join(fitting)}" if fitting else "leave the guard out",
                place=place,
            )
        elif task and guard.alone and task not in guard.alone and FROM_ACTUALS not in spec.deploy.guard:
            yield SpecFault(
                f"{name} answers by itself where the task is {' or '.join(guard.alone)}; of the task {task} "
                "it would never answer.",
                hint=f"state {FROM_ACTUALS}, to which it gives way, or leave the guard out",
                place=place,
            )
        elif guard.both and STRATEGIES[spec.deploy.strategy].switches:
            yield SpecFault(
                f"{name} compares what both versions answer; under {spec.deploy.strategy} one alone does, "
                "so it would never answer.",
                hint="use canary, ab, bandit or shadow; or agreement, which scores the same rows by both",
                place=place,
            )


def _known_task(spec: LifecycleSpec) -> str | None:
    """Gives the task that the file states, or that its prices are of; None where the data has to say.

    Prices between classes may be those of two.
    """
    value = spec.goal.value
    priced = value.kind if value is not None and value.kind != "multiclass" else None
    return spec.problem.task or priced


def _serving(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.runtime.service.settings import require_known_clients

    serve = spec.deploy.serve
    shown = serve.tls is not None and serve.tls.clients is not None
    try:
        require_known_clients(serve.host, known=shown or bool(serve.tokens.references()))
    except EverloopError as error:
        yield SpecFault(error.message, hint=error.hint, place="deploy.serve.host")


def _unknown(place: str, asked: str, known: Iterable[str], inside: str = "") -> SpecFault:
    names = list(known)
    near = near_names(asked, names)
    return SpecFault(
        f"{place} names {asked!r}; this release knows {', '.join(names)}.",
        hint=f"did you mean {near[0]!r}?" if near else None,
        place=place + inside,
    )


def _log(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.runtime.log.topic_address import TopicAddress

    if spec.deploy.log.to is not None:
        try:
            TopicAddress.parse(spec.deploy.log.to)
        except EverloopError as error:
            yield error


def _signing(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.loop.signing import signer_of

    try:
        signer_of(spec)
    except EverloopError as error:
        yield error


def _history(spec: LifecycleSpec) -> Iterator[EverloopError]:
    history, place = spec.monitor.retrain.history, "monitor.retrain.history"
    if (history.last or history.half_life) and spec.problem.time is None:
        yield SpecFault(
            f"{place} goes by the time of rows, and no column of times is named.",
            hint="problem: {time: COLUMN}",
            place=place,
        )
    if history.half_life and spec.problem.task in ("anomaly", "clustering", "recommendation"):
        yield SpecFault(
            f"{place}: rows of the task {spec.problem.task} are not weighed by their age.",
            hint="history: {last: 180d}",
            place=place,
        )


def _triggers(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.loop.ruling import check_trigger

    for trigger in spec.monitor.retrain.on:
        try:
            check_trigger(trigger, spec.folder)
        except EverloopError as error:
            yield error


def _priced_features(spec: LifecycleSpec) -> Iterator[EverloopError]:
    if spec.goal.costs.features and spec.goal.value is None:
        yield SpecFault(
            "Features have a price and decisions have none, so that nothing says whether one pays.",
            hint="state goal.value",
            place="goal.costs.features",
        )


def _detectors(spec: LifecycleSpec) -> Iterator[EverloopError]:
    from everloop.monitor.detectors import Detector

    for choice in spec.monitor.drift.detectors:
        try:
            Detector(choice.kind, choice.options)
        except EverloopError as error:
            yield error
        except (TypeError, ValueError) as error:
            yield SpecFault(f"The detector {choice.kind} says: {error}", place="monitor.drift.detectors")


def _segments(spec: LifecycleSpec) -> Iterator[EverloopError]:
    later = {spec.problem.target, spec.problem.label_time, *known_later(spec.goal, spec.problem)} - {None}
    for name in spec.monitor.drift.segments:
        if name in later:
            yield SpecFault(
                f"Segments are asked for by {name}, which no row has when it is decided.",
                hint="name columns of a request",
                place="monitor.drift.segments",
            )


def refuse_unknown_segments(spec: LifecycleSpec, columns: Iterable[str]) -> None:
    """Raises when drift is to be watched within segments of a column that rows do not have.

    Args:
        spec: The lifecycle file.
        columns: The columns of its table.

    Raises:
        SpecFault: With the nearest name.
    """
    known = [*columns, *spec.data.features]
    for name in spec.monitor.drift.segments:
        if name not in known:
            near = near_names(name, known)
            raise SpecFault(
                f"Segments are asked for by {name}, which is no column of the table.",
                hint=f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(known)}",
                place="monitor.drift.segments",
            )


def _estimates(spec: LifecycleSpec) -> Iterator[EverloopError]:
    if spec.monitor.estimate == "pape" and spec.problem.task not in (None, "binary"):
        yield SpecFault(
            f"The task is {spec.problem.task}, and only binary ones are estimated by `pape`.",
            hint="leave monitor.estimate out",
            place="monitor.estimate",
        )


RULES: tuple[Callable[[LifecycleSpec], Iterator[EverloopError]], ...] = (
    _sources,
    _features,
    _waivers,
    _task,
    task_refusals,
    read_too_early,
    _engines,
    _integrations,
    _learners,
    _metrics,
    _fairness,
    _guards,
    _serving,
    _log,
    _signing,
    _triggers,
    _history,
    _priced_features,
    _detectors,
    _segments,
    _estimates,
)
"""What is looked at, in the order of the file."""
