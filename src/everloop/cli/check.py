"""`everloop check`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, pairs
from everloop.cli.progress import watching
from everloop.loop.support import raise_all, refuse_unsupported

if TYPE_CHECKING:
    import polars as pl

    from everloop.core.progress import Progress
    from everloop.goal.brief import Brief
    from everloop.spec import LifecycleSpec
    from everloop.spec.frame import Frame


@dataclass
class _Findings:
    """What was found out so far."""

    spec: LifecycleSpec
    table: pl.DataFrame
    frame: Frame | None = None
    brief: Brief | None = None
    contract: str = ""
    types: dict[str, str] = field(default_factory=dict)


def command(context: typer.Context, file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Validates the lifecycle file, reaches its sources and estimates what the goal is worth.

    The sources are read once into a temporary folder. Nothing is changed, nothing is recorded.

    Example:
        everloop check
    """
    from everloop.spec import load

    spec = load(file)
    refuse_unsupported(spec)
    with watching(context) as progress:
        findings = look(spec, progress)
    facts = _facts(findings)
    return Answer(facts, _render(facts, spec))


def look(spec: LifecycleSpec, progress: Progress) -> _Findings:
    """Reads the sources and holds every part of the file against them.

    Raises:
        EverloopError: With everything that is wrong.
    """
    from everloop.core.errors import EverloopError

    findings = _Findings(spec, _read(spec, progress))
    faults: list[EverloopError] = []
    for check in CHECKS:
        try:
            check(findings)
        except EverloopError as error:
            faults.append(error)
    raise_all(faults)
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

    findings.frame = build_frame(findings.table, findings.spec.problem, findings.spec.data.clean)


def _features(findings: _Findings) -> None:
    from everloop.data.features import row_features
    from everloop.table.cleaning import CleaningPlan

    row_features(findings.spec.data.features, findings.types, CleaningPlan())


def _brief(findings: _Findings) -> None:
    from everloop.goal.brief import write_brief

    if findings.frame is not None:  # without one its own fault is told
        findings.brief = write_brief(findings.spec.goal, findings.table, findings.frame)


CHECKS: tuple[Callable[[_Findings], None], ...] = (_types, _contract, _frame, _features, _brief)
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
        "training_cost": _training_cost(spec),
    }


def _training_cost(spec: LifecycleSpec) -> float | None:
    """Prices the search's budget of time; a budget of trials has no price beforehand."""
    seconds = spec.model.budget.seconds
    return None if seconds is None else spec.goal.costs.training_hour * seconds / 3600


def _render(facts: dict[str, Any], spec: LifecycleSpec) -> str:
    frame, brief, money = (
        facts["frame"],
        facts["brief"],
        f" {spec.goal.value.currency}" if spec.goal.value else "",
    )
    today = brief["today"]
    target = f"target {frame['target']}" if frame["target"] else "no target"
    problem = f"{frame['task']}, {target}, judged by {frame['metric']}"
    problem += f", {frame['positive']!r} is positive" if frame["positive"] else ""
    problem += f", decided at {frame['time']}" if frame["time"] else ""
    value = None
    if brief["perfect"] is not None:
        value = f"{brief['perfect']:.2f}{money} a decision if always right"
        value = f"{today['estimate']:.2f}{money} today, {value}" if today else value
    cost = [f"{facts['training_cost']:.2f}{money} a training"] if facts["training_cost"] else []
    cost += (
        [f"{brief['cost_per_month']:.2f}{money} a month of predictions"] if brief["cost_per_month"] else []
    )
    return pairs(
        [
            ("file", f"{spec.name}: valid"),
            ("sources", ", ".join(facts["sources"])),
            ("table", f"{facts['rows']:,} rows, {len(facts['columns'])} columns"),
            ("contract", facts["contract"]),
            ("problem", problem),
            ("inputs", f"{len(frame['inputs'])} columns, {len(frame['excluded'])} left out"),
            ("value", value),
            ("goal", f"{brief['verdict']}: {'; '.join(brief['reasons'])}"),
            ("cost", ", ".join(cost) or None),
            ("next", "everloop run"),
        ]
    )
