"""The story of a run, or of a whole lifecycle: goal, problem, data, model, deploy, monitor."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from everloop.console.build_sections import data_section, goal_section, model_section, problem_section
from everloop.console.deploy_section import deploy_section, parity_rows
from everloop.console.monitor_section import monitor_section, served_gain
from everloop.console.story import Story, interval
from everloop.report import Figures, Page, Ref, Section, Stage, Stages, Text, Verdict
from everloop.report.writing import moment, money, number, plural, sentence, span

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.rows import RunRow
    from everloop.report.page import Block

SECTIONS: tuple[Callable[[Story], Section], ...] = (
    goal_section,
    problem_section,
    data_section,
    model_section,
    deploy_section,
    monitor_section,
)
"""The phases, in the order in which a lifecycle passes through them."""

ENDED_EARLY = ("failed", "interrupted")
"""What a run's status is that did not come to its end."""


def run_page(workspace: Workspace, run: RunRow | None = None) -> Page:
    """Tells the story of a run, or of the lifecycle where none is given.

    Args:
        workspace: The lifecycle.
        run: The run.

    Returns:
        The page; phases that were not reached have no section.
    """
    story = Story.read(workspace, run)
    if story.run is None:
        text = "This lifecycle has not been run yet. The first pass is made by: everloop run"
        return Page(workspace.name, "Report", [Section("Nothing yet", [Text(text)])])
    sections = [section for build in SECTIONS if (section := build(story)).blocks]
    summary: list[Block] = [_stages(sections, story), Figures(run_figures(story))]
    if story.run.status in ENDED_EARLY:
        summary.insert(0, failure(story.run))
    return Page(
        title=story.name,
        subtitle=_subtitle(story),
        sections=sections,
        footer="Built from the record alone; everloop why ID tells what led to anything that has an id.",
        lead=workspace.spec.goal.statement,
        summary=summary,
        trail=(Ref("status", story.name), Ref("", "story" if run is None else "run")),
    )


def _subtitle(story: Story) -> str:
    if story.focus is not None:
        reason = f", {story.focus.reason}" if story.focus.reason else ""
        return f"Run of {moment(story.focus.at)} UTC{reason}"
    first, last = story.runs[0].at, story.end()
    span_ = moment(first) if last is None or last == first else f"{moment(first)} to {moment(last)}"
    made = f"{plural(len(story.runs), 'run')}, {plural(len(story.versions), 'version')}"
    return f"The whole story, {span_} UTC; {made}"


def failure(run: RunRow) -> Verdict:
    """Says where a run ended that did not come to its end, why, and what to do next.

    Args:
        run: A run whose status is one of `ENDED_EARLY`.
    """
    error = run.facts.get("error") or {}
    told = str(error.get("message") or "It can be continued: everloop run")
    if error.get("hint"):
        told = f"{sentence(told)} Next: {error['hint']}"
    what = "failed" if run.status == "failed" else "was interrupted"
    where = f"in the phase {run.phase}" if run.phase else "before its first phase ended"
    return Verdict("no", told, label=f"The run {what} {where}.")


def _stages(sections: list[Section], story: Story) -> Stages:
    notes = {
        "Goal": _goal_note(story),
        "Problem": str(story.step("frame").get("frame", {}).get("task", "")),
        "Data": f"{story.step('snapshot').get('rows', 0):,} rows" if story.step("snapshot") else "",
        "Model": str(story.version.facts.get("learner") or "") if story.version else "",
        "Deploy": f"{story.label(story.deployments[-1].champion)} serves" if story.deployments else "",
        "Monitor": plural(len(story.windows), "window") if story.windows else "",
    }
    reached = {section.title for section in sections}
    return Stages(
        [
            Stage(name, _state(name, story) if name in reached else "ahead", note or "not reached",
                  name.lower() if name in reached else "")
            for name, note in notes.items()
        ]
    )  # fmt: skip


def _goal_note(story: Story) -> str:
    return str(story.step("brief").get("verdict") or "")


def _state(name: str, story: Story) -> str:
    if name == "Goal":
        return {"go": "yes", "stop": "no"}.get(_goal_note(story), "open")
    if name == "Deploy":
        return "yes" if story.deployments else "no"
    if name == "Monitor":
        last = (story.windows[-1].facts.get("drift") or {}).get("status") if story.windows else None
        return "open" if last in (None, "drift") else "yes"
    return "yes"


def run_figures(story: Story) -> list[tuple[str, str, str]]:
    """Gives the numbers that matter most: what decisions are worth, before and after."""
    brief, trained, currency = story.step("brief"), story.step("train"), story.currency
    shown: list[tuple[str, str, str]] = []
    if brief.get("today"):
        shown.append(
            ("a decision today", money(brief["today"]["estimate"], currency), span(brief["today"], currency))
        )
    if trained.get("value"):
        note = _on_same_rows(trained, currency)
        shown.append(("with the model", money(trained["value"]["estimate"], currency), note))
    elif trained.get("metric"):
        score = trained["metrics"][trained["metric"]]
        shown.append((trained["metric"], number(score["estimate"]), span(score)))
    shown.extend(_retrain_figure(story))
    gain, monthly = trained.get("gain"), brief.get("decisions_per_month")
    if gain and monthly and gain.get("estimate") is not None:
        ends = {name: value * monthly if value is not None else None for name, value in gain.items()}
        shown.append(
            ("expected a month", money(ends["estimate"], currency, signed=True), span(ends, currency))
        )
    earned = served_gain(list(story.windows))
    if earned is not None:
        note = f"against today's rule, {earned[1]:,} decisions with a known actual"
        shown.append(("earned when served", money(earned[0], currency, signed=True), note))
    parity = story.step("package").get("parity") or {}
    if parity:
        shown.append(("parity", f"{parity_rows(parity):,} rows", "compiled answers equal trained ones"))
    if story.windows:
        drifted = sum((row.facts.get("drift") or {}).get("status") == "drift" for row in story.windows)
        shown.append(
            (
                "windows judged",
                str(len(story.windows)),
                f"{drifted} drifted, {plural(len(story.alerts), 'alert')}",
            )
        )
    return shown


def _retrain_figure(story: Story) -> list[tuple[str, str, str]]:
    """What served decisions added to today's before the first promotion, and since."""
    promoted = [row.updated_at for row in story.rollouts if row.state == "promoted" and row.updated_at]
    if not promoted:
        return []
    first = min(promoted)
    parts = {
        "before": [row for row in story.windows if row.until and row.until <= first],
        "after": [row for row in story.windows if row.since and row.since >= first],
    }
    means = {
        name: _mean_gain([row.facts for row in rows], [row.predictions for row in rows])
        for name, rows in parts.items()
    }
    if means["before"] is None or means["after"] is None:
        return []
    value = money(means["after"], story.currency, signed=True)
    note = f"more than today; {money(means['before'], signed=True)} before the first promotion"
    return [("a decision since retraining", value, note)]


def _on_same_rows(trained: dict[str, Any], currency: str) -> str:
    today = (trained.get("value_today") or {}).get("estimate")
    same = "" if today is None else f"; today's rule {money(today)} on them"
    return f"held-out rows, {span(trained['value'], currency)}{same}"


def _mean_gain(facts: list[dict[str, Any]], weights: list[int]) -> float | None:
    known = [
        (found[1], weight)
        for each, weight in zip(facts, weights, strict=True)
        if (found := interval(each.get("against_today")))
    ]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None
