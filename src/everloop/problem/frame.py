"""The frame: what is to be learned, inferred from the table where the file does not say it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from everloop.core.errors import DataFault, SpecFault
from everloop.core.nearness import near_names
from everloop.core.tasks import TASKS
from everloop.core.units import format_duration
from everloop.problem.columns import ColumnFacts, column_facts, label_counts
from everloop.problem.entities import infer_entity
from everloop.problem.exclusions import exclusions
from everloop.problem.metric import infer_metric, known_metric
from everloop.problem.times import infer_label_time, infer_time
from everloop.spec.cleaning import CleanSpec
from everloop.spec.frame import Frame
from everloop.table.content import CONTENT_KINDS
from everloop.table.labels import MOST_CLASSES, require_few_classes
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from everloop.spec import ProblemSpec
    from everloop.spec.goal import ValueSpec
    from everloop.table.stored import ColumnTable

# More distinct whole numbers than this are amounts to predict, not classes.
MOST_NUMBERED_CLASSES = 20
# A number with a fraction is one to predict, unless it has few values that come again and again.
MOST_NUMBER_CLASSES = 5
ROWS_OF_A_CLASS = 20
# How names of images and sounds end.
_FILE_ENDINGS = r"(?i)\.(png|jpe?g|gif|bmp|webp|wav)$"
POSITIVE_WORDS = frozenset(
    {
        *("1", "true", "yes", "y", "t", "positive"),
        *(
            "bad",
            "default",
            "defaulted",
            "fraud",
            "fraudulent",
            "spam",
            "late",
            "cancelled",
            "failed",
            "failure",
        ),
        *("sick", "disease", "malignant"),
        *("churn", "churned", "returned", "bought", "converted", "clicked"),
    }
)
SUPPORTED_TASKS = tuple(TASKS)


@dataclass(slots=True)
class _Draft:
    """What is known so far, and why."""

    table: ColumnTable
    spec: ProblemSpec
    clean: CleanSpec
    facts: dict[str, ColumnFacts]
    reasons: dict[str, str] = field(default_factory=dict)


def build_frame(
    table: ColumnTable,
    spec: ProblemSpec,
    clean: CleanSpec | None = None,
    value: ValueSpec | None = None,
) -> Frame:
    """Resolves the problem: what the file says stands, the rest is inferred with a reason.

    Args:
        table: The rows to learn from, the target among the columns.
        spec: The file's `problem` part.
        clean: The file's `data.clean` part: which columns are inputs whatever they hold.
        value: The file's `goal.value`: prices have a say in what models are chosen by.

    Returns:
        The frame; `reasons` says of each inference why.

    Raises:
        DataFault: When the table is empty, or its target is missing, constant or unlabelled.
        SpecFault: When the file names a column, class or task that is not there.
    """
    _require_rows(table, spec)
    draft = _Draft(table, spec, clean or CleanSpec(), column_facts(table, schema_of(table.lazy())))
    _require_columns(draft)
    if not spec.target:
        return _with_columns(draft, _with_times(draft, _without_target(draft)))
    counts = label_counts(table[spec.target])
    _require_labels(draft, counts)
    task = _task(draft, counts)
    if task == "multiclass":
        require_few_classes(spec.target, len(counts), sum(counts.values()))
    classes, positive = _classes(draft, task, counts)
    frame = Frame(
        task=task,
        target=spec.target,
        classes=classes,
        positive=positive,
        metric="",
        entity=spec.entity or None,
        time=None,
        label_time=None,
        label_delay_seconds=None,
        sensitive=tuple(spec.sensitive),
        weight=spec.weight,
    )
    if spec.optimise is not None:
        frame = replace(frame, metric=known_metric(spec.optimise, task))
    else:
        metric, draft.reasons["metric"] = infer_metric(frame, counts, value, table)
        frame = replace(frame, metric=metric)
    return _with_columns(draft, _with_times(draft, frame))


def _require_rows(table: ColumnTable, spec: ProblemSpec) -> None:
    if spec.target and spec.target not in table.columns:
        near = near_names(spec.target, table.columns)
        raise DataFault(
            f"The target {spec.target!r} is no column of the table; it has {', '.join(table.columns[:12])}.",
            hint=f"did you mean {near[0]!r}?" if near else "name the target in problem.target",
        )
    if table.height == 0:
        raise DataFault("The table has no rows.", hint="look at data.sources and data.table")


def _require_columns(draft: _Draft) -> None:
    named = {
        "problem.entity": draft.spec.entity,
        "problem.time": draft.spec.time,
        "problem.label_time": draft.spec.label_time,
        **{f"problem.sensitive[{i}]": name for i, name in enumerate(draft.spec.sensitive)},
        **{f"problem.exclude[{i}]": name for i, name in enumerate(draft.spec.exclude)},
        **{f"problem.fixed[{i}]": name for i, name in enumerate(draft.spec.fixed)},
    }
    for place, name in named.items():
        if name and name not in draft.facts:
            near = near_names(name, draft.facts)
            raise SpecFault(
                f"{place} names {name!r}, which is no column of the table.",
                hint=f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(draft.facts)}",
                place=place,
            )


def _require_labels(draft: _Draft, counts: dict[str, int]) -> None:
    target = draft.spec.target
    if not counts:
        raise DataFault(
            f"The target {target!r} has no value in any of {draft.table.height} rows.",
            hint="actuals may not be known yet: look at problem.label_time and --as-of",
        )
    if len(counts) == 1:
        label = next(iter(counts))
        raise DataFault(
            f"The target {target!r} has one class, {label!r}, in all {sum(counts.values())} labelled rows; "
            "there is nothing to tell apart.",
            hint="collect rows of the other class, or choose another problem.target",
        )


def _task(draft: _Draft, counts: dict[str, int]) -> str:
    stated = draft.spec.task
    if stated is not None:
        if stated not in SUPPORTED_TASKS:
            raise SpecFault(
                f"The task {stated!r} cannot be learned by this release; it can {', '.join(SUPPORTED_TASKS)}."
            )
        if stated in ("binary", "anomaly") and len(counts) != 2:
            raise DataFault(
                f"The target of a {stated} problem has two classes; {draft.spec.target!r} has {len(counts)}."
            )
        if stated == "clustering":
            raise SpecFault(
                f"A clustering has no target, and problem.target is {draft.spec.target!r}.",
                hint="leave problem.target out",
                place="problem.target",
            )
        return stated
    facts = draft.facts[draft.spec.target]
    if len(counts) == 2:
        task, why = "binary", f"the target has two classes, {' and '.join(map(repr, counts))}"
    elif facts.type == "number" and len(counts) <= MOST_NUMBER_CLASSES and _repeats(facts, ROWS_OF_A_CLASS):
        task, why = "multiclass", f"the target is a number with {len(counts)} values only, each often"
    elif facts.type == "number" or (facts.type == "integer" and len(counts) > MOST_NUMBERED_CLASSES):
        task, why = "regression", f"the target is a number with {len(counts)} different values"
    elif facts.type in ("integer", "text") and len(counts) <= MOST_CLASSES and _repeats(facts, 2):
        task, why = "multiclass", f"the target has {len(counts)} classes"
    else:
        raise DataFault(
            f"The target {draft.spec.target!r} ({facts.type}, {len(counts)} different values) fits no task.",
            hint=_number_hint(draft.spec.target)
            if facts.reads_as == "number"
            else "state problem.task, or make the target a class or a number in data.table",
        )
    draft.reasons["task"] = why
    return task


def _number_hint(target: str) -> str:
    return (
        f"{target} reads as a number but for a few values: in data.table, "
        f'try_cast("{target}" as double) as "{target}"'
    )


def _repeats(facts: ColumnFacts, rows: int) -> bool:
    """Says whether a value comes so many times on average, as that of a class does."""
    return facts.known >= rows * facts.distinct


def _classes(draft: _Draft, task: str, counts: dict[str, int]) -> tuple[tuple[str, ...], str | None]:
    if not TASKS[task].names_classes:
        return (), None
    if task == "multiclass":
        return tuple(sorted(counts)), None
    positive = draft.spec.positive
    if positive is None:
        positive = _positive(draft, counts)
    elif positive not in counts:
        raise SpecFault(
            f"problem.positive is {positive!r}; the target's classes are {', '.join(map(repr, counts))}.",
            place="problem.positive",
        )
    negative = next(label for label in counts if label != positive)
    return (negative, positive), positive


def _positive(draft: _Draft, counts: dict[str, int]) -> str:
    worded = [label for label in counts if label.strip().lower() in POSITIVE_WORDS]
    if len(worded) == 1:
        draft.reasons["positive"] = f"{worded[0]!r} reads as the event"
        return worded[0]
    rarer = min(counts, key=lambda label: (counts[label], label))
    share = counts[rarer] / sum(counts.values())
    draft.reasons["positive"] = f"{rarer!r} is the rarer class ({share:.1%})"
    return rarer


def _without_target(draft: _Draft) -> Frame:
    spec = draft.spec
    facts = TASKS.get(spec.task or "")
    if spec.task is None or facts is None or facts.needs_target:
        untargeted = " or ".join(name for name, one in TASKS.items() if not one.needs_target)
        raise DataFault(
            "The problem has no target.",
            hint=f"name it in problem.target, or state problem.task: {untargeted}",
        )
    metric = facts.metric
    if spec.optimise is not None:
        metric = known_metric(spec.optimise, spec.task, labelled=False)
    else:
        draft.reasons["metric"] = facts.metric_reason
    return Frame(
        task=spec.task,
        target="",
        classes=facts.classes,
        positive=facts.positive,
        metric=metric,
        entity=spec.entity or None,
        sensitive=tuple(spec.sensitive),
        weight=spec.weight,
    )


def _with_times(draft: _Draft, frame: Frame) -> Frame:
    spec = draft.spec
    time = spec.time or None
    if spec.time is None:
        found = infer_time(draft.table, draft.facts)
        if found is not None:
            time, draft.reasons["time"] = found
    label_time = spec.label_time or None
    delay = spec.label_delay.total_seconds() if spec.label_delay is not None else None
    sought = spec.label_time != "" and (label_time is None or delay is None)
    if spec.target and TASKS[frame.task].alone and time is not None and sought:
        found_label = infer_label_time(draft.table, draft.facts, time, label_time, spec.target)
        if found_label is not None:
            if label_time is None:
                draft.reasons["label_time"] = found_label.reason
            label_time = found_label.column
            if delay is None:
                delay = found_label.delay.total_seconds()
                draft.reasons["label_delay"] = (
                    f"99 % of the actuals were known within {format_duration(found_label.delay)}"
                )
    return replace(frame, time=time, label_time=label_time, label_delay_seconds=delay)


def _of_events(draft: _Draft, frame: Frame) -> Frame:
    """Gives the columns of a recommendation: asked by the entity alone, judged by what came later."""
    for place, name, hint in (
        ("problem.entity", frame.entity, "problem: {entity: COLUMN}    # who had the item"),
        ("problem.time", frame.time, "problem: {time: COLUMN}    # when; what came later judges"),
    ):
        if name is None:
            raise SpecFault(f"A recommendation needs {place}.", hint=hint, place=place)
    roles = {frame.target: "the item", frame.time: "when it was had"}
    excluded = {
        name: roles.get(name, "a recommendation asks by the entity alone")
        for name in draft.table.columns
        if name != frame.entity
    }
    return replace(frame, excluded=excluded, inputs=(str(frame.entity),), reasons=draft.reasons)


def _with_columns(draft: _Draft, frame: Frame) -> Frame:
    if not TASKS[frame.task].alone:
        return _of_events(draft, frame)
    if draft.spec.entity is None:
        roles = {frame.target, frame.time, frame.label_time, *frame.sensitive}
        found = infer_entity(draft.facts, roles)
        if found is not None:
            entity, draft.reasons["entity"] = found
            frame = replace(frame, entity=entity)
    for kind in CONTENT_KINDS:
        carrying = [name for name, facts in draft.facts.items() if facts.reads_as == kind]
        if carrying:
            draft.reasons[f"{kind}s"] = f"each value of {', '.join(carrying)} carries a file"
    excluded = exclusions(draft.facts, frame, draft.clean, draft.spec.exclude)
    inputs = tuple(name for name in draft.table.columns if name not in excluded)
    if not inputs:
        raise DataFault(
            "No column is left to learn from: "
            + "; ".join(f"{name}: {why}" for name, why in excluded.items()),
            hint=_how_to_have_inputs(draft, excluded),
        )
    sizes = _image_sizes(draft)
    return replace(frame, excluded=excluded, inputs=inputs, reasons=draft.reasons, image_sizes=sizes)


def _how_to_have_inputs(draft: _Draft, excluded: Mapping[str, str]) -> str:
    """Names the columns that read like names of images or sounds, whose contents can be learned from."""
    texts = [name for name in excluded if draft.facts[name].type == "text" and name != draft.spec.target]
    naming = [
        name
        for name in texts
        if (known := draft.table[name].drop_nulls()).len() and known.str.contains(_FILE_ENDINGS).all()
    ]
    if not naming:
        return "bring columns that are known when the decision is made"
    options = " ".join(f"--files {name}" for name in naming)
    return (
        f"{', '.join(naming)} reads like names of files: data: {{files: [{', '.join(naming)}]}}, "
        f"beside the lifecycle file; everloop new ... {options} --folder ."
    )


def _image_sizes(draft: _Draft) -> dict[str, tuple[int, int]]:
    for name in draft.spec.images:
        facts = draft.facts.get(name)
        if facts is None or facts.reads_as != "image":
            raise SpecFault(
                f"problem.images names {name!r}, which is no column of images.",
                hint=f"name it in data.files where it names their files; columns: {', '.join(draft.facts)}",
                place=f"problem.images.{name}",
            )
    return {name: (image.rows, image.columns) for name, image in draft.spec.images.items()}
