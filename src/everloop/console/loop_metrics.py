"""What the loop counts, for Prometheus: read from the record, which every part of the loop writes.

Labels have few values: kinds, answers and states; never an id, a column or what a client sent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from everloop.console.story import interval
from everloop.loop.replay import heartbeat
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow, RunRow, VersionRow, WindowRow
from everloop.runtime.service.metrics import Family, Labels, exposition

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

FAMILIES = (
    Family("everloop_loop_up", "1 while the loop runs on this machine.", kind="gauge"),
    Family("everloop_champion_version", "The version that serves.", kind="gauge"),
    Family("everloop_challenger_version", "The version that is rolled out, 0 for none.", kind="gauge"),
    Family("everloop_challenger_share", "Its share of the requests.", kind="gauge"),
    Family("everloop_rollouts_total", "Rollouts by what became of them.", ("state",)),
    Family("everloop_runs_total", "Runs.", ("status",)),
    Family("everloop_decisions_total", "Decisions on record.", ("kind", "answer")),
    Family("everloop_alerts_total", "Alerts.", ("kind", "severity")),
    Family("everloop_windows_total", "Windows that were judged.", ("status",)),
    Family("everloop_window_end_timestamp_seconds", "When the last judged window ended.", kind="gauge"),
    Family("everloop_window_predictions", "Predictions of the last window.", kind="gauge"),
    Family("everloop_window_actuals", "Known actuals of the last window.", kind="gauge"),
    Family("everloop_window_drift_ratio", "Its drift over what is allowed.", kind="gauge"),
    Family("everloop_window_value", "Value of a decision, last window with actuals.", kind="gauge"),
    Family("everloop_window_value_low", "The lower end of its interval.", kind="gauge"),
    Family("everloop_window_value_high", "The upper end of its interval.", kind="gauge"),
    Family("everloop_window_gain", "What a decision earned more than today's rule.", kind="gauge"),
    Family("everloop_window_gain_low", "The lower end of its interval.", kind="gauge"),
    Family("everloop_window_gain_high", "The upper end of its interval.", kind="gauge"),
)


def loop_metrics(workspace: Workspace) -> str:
    """Gives what the loop counts as Prometheus text; a number that is not known has no line."""
    values: dict[str, dict[Labels, float]] = {family.name: {} for family in FAMILIES}
    for name, labels, value in (*_serving(workspace), *_counts(workspace), *_windows(workspace)):
        values[name][labels] = value
    return "\n".join([*exposition(FAMILIES, values), ""])


def _serving(workspace: Workspace) -> Iterator[tuple[str, Labels, float]]:
    from everloop.deploy.versions import deployment, open_rollout

    # A loop that was killed could not write down that it has stopped.
    yield "everloop_loop_up", (), float(heartbeat(workspace) is not None)
    now = deployment(workspace.record, workspace.name)
    if now is None:
        return
    numbers = {row.id: row.number for row in workspace.record.find(VersionRow, lifecycle=workspace.name)}
    rollout = open_rollout(workspace.record, workspace.name)
    yield "everloop_champion_version", (), float(numbers.get(now.champion or "", 0))
    yield "everloop_challenger_version", (), float(numbers.get(now.challenger or "", 0))
    yield "everloop_challenger_share", (), rollout.share if rollout is not None and now.challenger else 0.0


_COUNTED: tuple[tuple[str, type[Any], tuple[str, ...]], ...] = (
    ("everloop_rollouts_total", RolloutRow, ("state",)),
    ("everloop_runs_total", RunRow, ("status",)),
    ("everloop_decisions_total", DecisionRow, ("kind", "answer")),
    ("everloop_alerts_total", AlertRow, ("kind", "severity")),
    ("everloop_windows_total", WindowRow, ("status",)),
)


def _counts(workspace: Workspace) -> Iterator[tuple[str, Labels, float]]:
    for name, kind, fields in _COUNTED:
        rows = workspace.record.find(kind, lifecycle=workspace.name)
        counted = Counter(tuple(str(getattr(row, field)) for field in fields) for row in rows)
        yield from ((name, labels, float(count)) for labels, count in counted.items())


def _windows(workspace: Workspace) -> Iterator[tuple[str, Labels, float]]:
    windows = workspace.record.find(WindowRow, order="-at", limit=50, lifecycle=workspace.name)
    if not windows:
        return
    last = windows[0]
    if last.until is not None:
        yield "everloop_window_end_timestamp_seconds", (), last.until.timestamp()
    yield "everloop_window_predictions", (), float(last.predictions)
    yield "everloop_window_actuals", (), float(last.actuals)
    drift = last.facts.get("drift") or {}
    if drift.get("threshold") and drift.get("statistic") is not None:
        yield "everloop_window_drift_ratio", (), drift["statistic"] / drift["threshold"]
    for fact, name in (("value", "everloop_window_value"), ("against_today", "everloop_window_gain")):
        found = next((known for row in windows if (known := interval(row.facts.get(fact)))), None)
        if found is not None:
            for ending, value in zip(("_low", "", "_high"), found, strict=True):
                yield f"{name}{ending}", (), value
