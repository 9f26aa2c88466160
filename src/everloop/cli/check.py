"""`everloop check`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from everloop.cli.check_text import check_text
from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.loop.support import raise_all, refuse_unknown_segments, refuse_unsupported

if TYPE_CHECKING:
    import polars as pl

    from everloop.core.progress import Progress
    from everloop.goal.brief import Brief
    from everloop.spec import LifecycleSpec
    from everloop.spec.frame import Frame
    from everloop.table.sufficiency import Sufficiency


@dataclass
class _Findings:
    """What was found out so far."""

    spec: LifecycleSpec
    table: pl.DataFrame
    frame: Frame | None = None
    brief: Brief | None = None
    labels: Sufficiency | None = None
    contract: str = ""
    types: dict[str, str] = field(default_factory=dict)


def command(context: typer.Context, file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Validates the lifecycle file, reaches its sources and estimates what the goal is worth.

    The sources are read once into a temporary folder; a quick model on a sample says whether there is
    something to learn, what it would bring, and what more labels would. Nothing is changed, nothing is
    recorded. The status is 1 where the verdict is to stop.

    Example:
        everloop check
    """
    from everloop.spec import load

    spec = load(file)
    refuse_unsupported(spec)
    with watching(context) as progress:
        findings = look(spec, progress)
    facts = _facts(findings)
    no = facts["brief"]["verdict"] == "stop" and spec.goal.on_stop == "stop"
    return Answer(facts, check_text(facts, spec), status=1 if no else 0)


def look(spec: LifecycleSpec, progress: Progress) -> _Findings:
    """Reads the sources and holds every part of the file against them.

    Raises:
        EverloopError: With everything that is wrong.
    """
    from everloop.core.errors import EverloopError

    with spec.placing():
        findings = _Findings(spec, _read(spec, progress))
    faults: list[EverloopError] = []
    for check in CHECKS:
        try:
            check(findings)
        except EverloopError as error:
            faults.append(error)
    raise_all(faults, spec)
    return findings


def _read(spec: LifecycleSpec, progress: Progress) -> pl.DataFrame:
    from everloop.data.api import snapshot

    with tempfile.TemporaryDirectory(prefix="everloop-check-") as folder:
        return snapshot(spec, folder, progress=progress).table()


def _types(findings: _Findings) -> None:
    from everloop.table.schema import schema_of

    findings.types = dict(schema_of(findings.table).types)


def _contract(findings: _Findings) -> None:
    from everloop.table.contract import check, load_contract

    name = findings.spec.data.contract
    path = findings.spec.folder / name if name else None
    if path is None or not path.is_file():
        findings.contract = "none yet; the first run learns it"
        return
    report = check(findings.table, load_contract(path))
    report.raise_if_failed()
    findings.contract = f"{report.rows:,} rows satisfy {name}"


def _frame(findings: _Findings) -> None:
    from everloop.problem.frame import build_frame

    spec = findings.spec
    findings.frame = build_frame(findings.table, spec.problem, spec.data.clean, spec.goal.value)


def _features(findings: _Findings) -> None:
    from everloop.data.features import row_features
    from everloop.table.cleaning import CleaningPlan

    row_features(findings.spec.data.features, findings.types, CleaningPlan())


def _weight(findings: _Findings) -> None:
    from everloop.table.weights import weights_of

    if findings.spec.problem.weight is not None:
        weights_of(findings.table, findings.spec.problem.weight)


def _segments(findings: _Findings) -> None:
    refuse_unknown_segments(findings.spec, findings.table.columns)


def _brief(findings: _Findings) -> None:
    from everloop.goal.brief import write_brief
    from everloop.problem.quick_look import look_quickly
    from everloop.problem.quick_model import measured_metric
    from everloop.problem.sufficiency import judge_labels
    from everloop.table.volume import rows_per_day

    frame, spec = findings.frame, findings.spec
    if frame is None:  # its own fault is told
        return
    look = look_quickly(findings.table, frame, seed=spec.model.seed)
    findings.labels = judge_labels(
        findings.table,
        frame,
        seed=spec.model.seed,
        required=spec.problem.require.get(measured_metric(frame)),
        most_rows=MOST_LABELS,
    )
    findings.brief = write_brief(
        spec.goal.with_volume(rows_per_day(findings.table, frame.time)),
        findings.table,
        frame,
        look=look,
        labels=findings.labels,
        training_seconds=spec.model.budget.seconds,
    )


MOST_LABELS = 6_000
"""Rows that the label forecast looks at here; a run looks at more."""

CHECKS: tuple[Callable[[_Findings], None], ...] = (
    _types,
    _contract,
    _frame,
    _features,
    _weight,
    _segments,
    _brief,
)
"""What is held against the table, each on its own, so that all mistakes are told at once."""


def _facts(findings: _Findings) -> dict[str, Any]:
    frame, brief, spec = findings.frame, findings.brief, findings.spec
    return {
        "lifecycle": spec.name,
        "sources": list(spec.data.sources),
        "rows": findings.table.height,
        "columns": findings.types,
        "contract": findings.contract,
        "frame": frame.to_dict() if frame else None,
        "brief": brief.to_dict() if brief else None,
        "labels": findings.labels.to_dict() if findings.labels else None,
        "training_cost": _training_cost(spec),
        "brought": _brought(spec),
    }


def _brought(spec: LifecycleSpec) -> list[str]:
    """Names the learners where every one was brought: nothing says yet that any of them compiles."""
    from everloop.model.learners.registry import BUILT_IN

    names = list(spec.model.learners)
    return [] if set(names) & set(BUILT_IN) else names


def _training_cost(spec: LifecycleSpec) -> float | None:
    """Prices the search's budget of time; a budget of trials has no price beforehand."""
    seconds = spec.model.budget.seconds
    return None if seconds is None else spec.goal.costs.training_hour * seconds / 3600
