"""The front page: what serves, how it does, what happened last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.console.deploy_section import deployment_facts
from everloop.console.monitor_section import (
    NO_WINDOW,
    alert_table,
    decision_rows,
    served_gain,
    value_blocks,
    window_table,
)
from everloop.console.rollout_section import rollout_facts, rollout_section
from everloop.console.run_page import ENDED_EARLY, failure, run_figures
from everloop.console.story import Story
from everloop.core.values import to_jsonable
from everloop.report import Badge, Fold, Page, Ref, Section, Table, Text
from everloop.report.writing import moment, plural

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.report.page import Block

_TONES = {"done": "yes", "failed": "no", "interrupted": "no", "running": "open"}
_SHOWN = 8


def status_page(workspace: Workspace) -> Page:
    """Tells the whole loop at a glance, first why the last run failed if it did."""
    story = Story.read(workspace)
    sections = [
        _serving(story),
        rollout_section(workspace),
        _monitoring(story),
        _decisions(story),
        _versions(story),
        _runs(story),
    ]
    summary: list[Block] = []
    if story.runs and story.runs[-1].status in ENDED_EARLY:
        summary.append(failure(story.runs[-1]))
    if story.run is not None:
        from everloop.report import Figures

        summary.append(Figures(run_figures(story)))
    return Page(
        title=story.name,
        subtitle=f"owner {workspace.spec.owner}" if workspace.spec.owner else "status",
        sections=[section for section in sections if section.blocks]
        or [Section("Nothing yet", [Text("This lifecycle has not been run yet: everloop run")])],
        footer="Reads the record; changes nothing.",
        lead=workspace.spec.goal.statement,
        summary=summary,
        trail=(Ref("status", "status"), Ref("story", "the whole story")),
    )


def status_facts(workspace: Workspace) -> dict[str, Any]:
    """Gives the status as what JSON can carry."""
    story = Story.read(workspace)
    latest = story.deployments[-1] if story.deployments else None
    earned = served_gain(list(story.windows))
    return {
        "lifecycle": story.name,
        "generation": latest.generation if latest else None,
        "champion": story.label(latest.champion) if latest else None,
        "challenger": story.label(latest.challenger) if latest and latest.challenger else None,
        "rollout": rollout_facts(workspace),
        "runs": len(story.runs),
        "versions": [{"id": v.id, "number": v.number, "status": v.status} for v in story.versions],
        "windows": len(story.windows),
        "alerts": len(story.alerts),
        "earned_against_today": None if earned is None else {"value": earned[0], "decisions": earned[1]},
        "last_run": _row(story.runs[-1], "id", "at", "status", "phase") if story.runs else None,
        "last_window": _row(story.windows[-1], "id", "since", "until", "predictions", "actuals")
        if story.windows
        else None,
        "last_decision": _row(story.decisions[-1], "id", "at", "kind", "answer", "reason")
        if story.decisions
        else None,
    }


def _row(row: Any, *names: str) -> dict[str, Any]:
    return {name: to_jsonable(getattr(row, name)) for name in names}


def _serving(story: Story) -> Section:
    if not story.deployments:
        return Section("Serving", [Text("Nothing serves yet.")] if story.runs else [])
    return Section("Serving", [deployment_facts(story)])


def _monitoring(story: Story) -> Section:
    alerts = _alerts(story)
    if not story.windows:
        blocks = alerts or ([Text(NO_WINDOW)] if story.deployments else [])
        return Section("Monitoring", blocks, lead=NO_WINDOW if alerts else "")
    drifted = sum((row.facts.get("drift") or {}).get("status") == "drift" for row in story.windows)
    table = window_table(story)
    blocks = [
        *value_blocks(story)[:1],
        *alerts,
        Table(table.columns, table.rows[:_SHOWN], "The latest windows"),
    ]
    if len(table.rows) > _SHOWN:
        rest = Table(table.columns, table.rows[_SHOWN:])
        blocks.append(Fold(f"Earlier windows ({len(rest.rows)})", [rest]))
    return Section("Monitoring", blocks, lead=f"{plural(len(story.windows), 'window')}, {drifted} drifted.")


def _alerts(story: Story) -> list[Block]:
    if not story.alerts:
        return []
    table = alert_table(story, "The latest alerts")
    return [Table(table.columns, table.rows[:_SHOWN], table.caption)]


def _decisions(story: Story) -> Section:
    if not story.decisions:
        return Section("Decisions", [])
    return Section("Decisions", [decision_rows(list(story.decisions)[-_SHOWN:])])


def _versions(story: Story) -> Section:
    rows = [
        [Ref(row.id, f"v{row.number}"), row.status, row.facts.get("learner"), moment(row.at)]
        for row in reversed(story.versions)
    ]
    return Section("Versions", [Table(["version", "status", "learner", "made"], rows)] if rows else [])


def _runs(story: Story) -> Section:
    rows = [
        [
            Ref(row.id, moment(row.at)),
            Badge(row.status, _TONES.get(row.status, "plain")),
            row.phase,
            row.reason,
        ]
        for row in reversed(story.runs)
    ]
    return Section("Runs", [Table(["run", "", "came to", "reason"], rows)] if rows else [])
