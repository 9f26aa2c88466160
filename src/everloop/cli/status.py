"""`everloop status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, pairs, table
from everloop.cli.reading import opened, shown_time

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record import Record
    from everloop.record.rows import VersionRow

SHOWN = 5
# The number that a version is shown with: money where decisions have a price.
VALUE = "value_per_decision"


def command(file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Shows the whole loop at a glance: last run, versions, deployment, rollout, windows, decisions, alerts.

    Example:
        everloop status
        everloop status --json
    """
    with opened(file) as workspace:
        facts = read_status(workspace)
    return Answer(facts, render_status(facts))


def read_status(workspace: Workspace) -> dict[str, Any]:
    """Reads from the record what there is to say about a lifecycle."""
    from everloop.deploy.versions import deployment, open_rollout
    from everloop.record.rows import AlertRow, DecisionRow, RunRow, VersionRow, WindowRow

    record, name = workspace.record, workspace.name

    def latest(kind: type[Any], order: str = "-at") -> list[Any]:
        return record.find(kind, order=order, limit=SHOWN, lifecycle=name)

    runs = latest(RunRow)
    now, rollout = deployment(record, name), open_rollout(record, name)
    named = {row.id: f"v{row.number}" for row in record.find(VersionRow, lifecycle=name)}
    serving = None
    if now is not None:
        share = rollout.share if rollout is not None else 0.0
        serving = {
            "generation": now.generation,
            "champion": named.get(now.champion or ""),
            "challenger": named.get(now.challenger or ""),
            "challenger_share": share if now.challenger else None,
        }
    return {
        "lifecycle": name,
        "owner": workspace.spec.owner,
        "statement": workspace.spec.goal.statement,
        "run": _run(runs[0]) if runs else None,
        "versions": [_version(row, _values(record, row)) for row in latest(VersionRow, "-number")],
        "deployment": serving,
        "rollout": _plain(rollout, "id", "strategy", "state", "step", "share", "at") if rollout else None,
        "windows": [
            _plain(row, "id", "since", "until", "status", "predictions", "actuals")
            | {"version": named.get(row.version or "")}
            for row in latest(WindowRow)
        ],
        "decisions": [_plain(row, "id", "at", "kind", "answer", "reason") for row in latest(DecisionRow)],
        "alerts": [
            _plain(row, "id", "at", "kind", "severity", "message", "silenced") for row in latest(AlertRow)
        ],
    }


def render_status(facts: dict[str, Any]) -> str:
    """Writes the status as a screen of text."""
    run, serving, rollout = facts["run"], facts["deployment"], facts["rollout"]
    head = pairs(
        [
            ("lifecycle", facts["lifecycle"]),
            ("goal", facts["statement"].strip() or None),
            ("last run", _run_line(run) if run else "none yet: everloop run"),
            ("serves", _serving_line(serving) if serving else "nothing yet"),
            ("rollout", _rollout_line(rollout) if rollout else None),
        ]
    )
    parts = [head]
    for title, headings, rows in _tables(facts):
        if rows:
            parts.append(f"{title}\n{table(headings, rows)}")
    return "\n\n".join(parts)


def _tables(facts: dict[str, Any]) -> list[tuple[str, list[str], list[list[Any]]]]:
    return [
        (
            "Versions",
            ["number", "status", "learner", "value", "made"],
            [
                [f"v{one['number']}", one["status"], one["learner"], one["value"], shown_time(one["at"])]
                for one in facts["versions"]
            ],
        ),
        (
            "Last windows",
            ["since", "until", "version", "predictions", "actuals", "status"],
            [
                [
                    shown_time(one["since"]),
                    shown_time(one["until"]),
                    one["version"] or "-",
                    f"{one['predictions']:,}",
                    f"{one['actuals']:,}",
                    one["status"],
                ]
                for one in facts["windows"]
            ],
        ),
        (
            "Last decisions",
            ["at", "kind", "answer", "reason", "id"],
            [
                [shown_time(one["at"]), one["kind"], one["answer"], _short(one["reason"]), one["id"]]
                for one in facts["decisions"]
            ],
        ),
        (
            "Last alerts",
            ["at", "kind", "severity", "message", "id"],
            [
                [
                    shown_time(one["at"]),
                    one["kind"],
                    "silenced" if one["silenced"] else one["severity"],
                    _short(one["message"]),
                    one["id"],
                ]
                for one in facts["alerts"]
            ],
        ),
    ]


def _plain(row: Any, *names: str) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _run(row: Any) -> dict[str, Any]:
    return _plain(row, "id", "at", "status", "phase", "as_of", "reason", "finished_at") | {
        "error": row.facts.get("error")
    }


def _values(record: Record, row: VersionRow) -> dict[str, float]:
    """Reads what was measured of a version on held-out rows: its value first, where there is one."""
    from everloop.record.rows import StepRow

    steps = record.find(StepRow, key=row.facts.get("trained", ""), status="done", limit=1)
    value = steps[0].facts["result"].get("value") if steps else None
    known = {VALUE: value["estimate"]} if value else {}
    numbers = {name: number for name, number in row.metrics.items() if isinstance(number, (int, float))}
    return known | numbers


def _version(row: VersionRow, values: dict[str, float]) -> dict[str, Any]:
    told = "-"
    for name, number in list(values.items())[:1]:
        told = f"{number:.2f} a decision" if name == VALUE else f"{name} {number:.4g}"
    return {
        "id": row.id,
        "number": row.number,
        "status": row.status,
        "at": row.at,
        "learner": row.facts.get("learner", "-"),
        "value": told,
        "metrics": values,
    }


def _run_line(run: dict[str, Any]) -> str:
    line = f"{run['status']} in {run['phase'] or 'its beginning'}, {shown_time(run['at'])} ({run['id']})"
    return f"{line}\n{run['error']['message'].splitlines()[0].removesuffix(':')}" if run["error"] else line


def _serving_line(serving: dict[str, Any]) -> str:
    line = f"{serving['champion'] or 'nothing'} (generation {serving['generation']})"
    if serving["challenger"]:
        line += f", challenger {serving['challenger']} at {serving['challenger_share']:.0%}"
    return line


def _rollout_line(rollout: dict[str, Any]) -> str:
    where = f"at {rollout['share']:.0%}, step {rollout['step'] + 1} ({rollout['id']})"
    return f"{rollout['strategy']} {rollout['state']} {where}"


def _short(text: str, width: int = 72) -> str:
    line = text.splitlines()[0] if text else ""
    return line if len(line) <= width else f"{line[: width - 1]}…"
