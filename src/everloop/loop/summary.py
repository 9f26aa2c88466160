"""A lifecycle's whole story so far: one line of result for each phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.loop.telling import result_line
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow, StepRow, VersionRow, WindowRow

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace


@dataclass(frozen=True)
class Summary:
    """What there is to tell.

    Attributes:
        lines: Phase and its result, in the order of the phases.
        versions: What each version's decisions were worth while it served.
        retrain: The id of the first decision to retrain, if there was one.
    """

    lines: tuple[tuple[str, str], ...]
    versions: dict[str, dict[str, float]]
    retrain: str | None

    def to_dict(self) -> dict[str, Any]:
        """Gives the summary as what JSON can carry."""
        return {"phases": [list(line) for line in self.lines], "versions": self.versions}


# The lines of a pass in the order of the phases: phase, step.
_TOLD = (
    ("goal", "brief"),
    ("problem", "frame"),
    ("data", "snapshot"),
    ("", "quarantine"),
    ("", "contract"),
    ("", "dataset"),
    ("model", "train"),
    ("deploy", "package"),
    ("", "gate"),
)


def summarise(workspace: Workspace) -> Summary:
    """Tells the first pass that was done and all that the loop did since, from the record."""
    record, name = workspace.record, workspace.name
    versions = _versions(workspace)
    retrains = record.find(DecisionRow, lifecycle=name)
    first = next((one for one in retrains if one.kind == "retrain" and one.answer == "retrain"), None)
    return Summary(
        (*_pass(workspace), *_monitor(workspace, versions, first)),
        versions,
        first.id if first else None,
    )


def _pass(workspace: Workspace) -> Iterator[tuple[str, str]]:
    record = workspace.record
    first = record.find(VersionRow, lifecycle=workspace.name, order="number", limit=1)
    steps = record.find(StepRow, run=first[0].run) if first else []
    results = {step.name: step.facts["result"] for step in steps if "result" in step.facts}
    for phase, step in _TOLD:
        line = result_line(step, results[step]) if step in results else None
        if line:
            yield phase, line


def _monitor(
    workspace: Workspace, versions: dict[str, dict[str, float]], first: DecisionRow | None
) -> Iterator[tuple[str, str]]:
    record, name = workspace.record, workspace.name
    windows = record.find(WindowRow, lifecycle=name)
    alerts = record.find(AlertRow, lifecycle=name)
    served = sum(window.predictions for window in windows)
    yield "monitor", f"{len(windows)} windows of {served:,} predictions judged, {len(alerts)} alerts"
    if first is not None:
        yield "", f"retrain decided at {first.at:%Y-%m-%d}: {first.reason}"
    named = {row.id: row.number for row in record.find(VersionRow, lifecycle=name)}
    for rollout in record.find(RolloutRow, lifecycle=name):
        ended = f" at {rollout.updated_at:%Y-%m-%d}" if rollout.updated_at is not None else ""
        yield "", f"v{named[rollout.challenger]} {rollout.strategy}: {rollout.state}{ended}"
    currency = workspace.spec.goal.value.currency if workspace.spec.goal.value else ""
    for version, worth in versions.items():
        line = (
            f"{version} gave {worth['predictions']:,.0f} answers, each worth {worth['value']:.2f} {currency}"
        )
        gain = worth.get("against_today")
        yield "", line if gain is None else f"{line}, {gain:+.2f} against today"


def _versions(workspace: Workspace) -> dict[str, dict[str, float]]:
    """Adds up what windows found, by the version that answered them."""
    record, name = workspace.record, workspace.name
    named = {row.id: f"v{row.number}" for row in record.find(VersionRow, lifecycle=name, order="number")}
    sums: dict[str, dict[str, float]] = {}
    for window in record.find(WindowRow, lifecycle=name):
        value, gain = (_estimate(window.facts.get(key)) for key in ("value", "against_today"))
        if value is None or window.version not in named:
            continue
        one = sums.setdefault(named[window.version], {"predictions": 0.0, "value": 0.0})
        one["predictions"] += window.predictions
        one["value"] += value * window.predictions
        if gain is not None:
            one["against_today"] = one.get("against_today", 0.0) + gain * window.predictions
    return {
        version: {
            kind: number if kind == "predictions" else number / one["predictions"]
            for kind, number in one.items()
        }
        for version, one in sums.items()
    }


def _estimate(measured: Any) -> float | None:
    """Gives a measured number, where it was known."""
    if not measured or measured.get("status") != "known":
        return None
    interval = measured["interval"]
    estimate = interval.get("estimate") if isinstance(interval, dict) else None
    return None if estimate is None else float(estimate)
