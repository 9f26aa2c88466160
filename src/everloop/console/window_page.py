"""A window: what was found in it, and what was decided about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.console.monitor_section import column_blocks, decision_rows, measured
from everloop.console.story import Story
from everloop.report import Facts, Figures, Page, Ref, Section, Table, Text, Verdict
from everloop.report.writing import moment, money, number, percent

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.rows import WindowRow
    from everloop.report.page import Block

_MOST_CAUSES = 8
_ANSWERS = {"drift": ("no", "Drift."), "none": ("yes", "No drift.")}


def window_page(workspace: Workspace, window: WindowRow) -> Page:
    """Tells what was found in a window."""
    story = Story.read(workspace)
    facts = window.facts
    sections = [
        Section("Drift", _drift(window), lead="Whether inputs or scores moved further than chance explains."),
        Section(
            "Loss",
            _loss(facts),
            lead="What moved, ranked by what it is estimated to cost.",
        ),
        Section(
            "Causes",
            _causes(facts),
            lead="What each input's move changes of what a decision is expected to be worth.",
        ),
        Section(
            "Performance",
            _performance(facts, story.currency),
            lead=f"From actuals, and estimated without them{_sampled(facts)}.",
        ),
        Section("Contract", _contract(facts), lead="The rows, held against the contract of requests."),
        Section("What followed", _followed(story, window)),
    ]
    value = measured(facts.get("value"), unit=story.currency)
    version = story.label(window.version)
    return Page(
        title=f"{workspace.name}: {moment(window.since)} to {moment(window.until)}",
        subtitle=f"Window {window.id}, answered by {version}; {window.status}",
        sections=[section for section in sections if section.blocks],
        footer="Built from the record alone.",
        summary=[
            Figures(
                [
                    ("predictions", f"{window.predictions:,}", f"answered by {version}"),
                    (
                        "actuals",
                        f"{window.actuals:,}",
                        f"{percent(facts.get('maturity'))} can be known by now",
                    ),
                    ("a decision", value.partition(" (")[0], value.partition("(")[2].rstrip(")")),
                    (
                        "mean score",
                        number(facts.get("score_mean")),
                        f"{number(facts.get('score_shift'), signed=True)} from the reference",
                    ),
                ]
            )
        ],
        trail=(Ref("status", workspace.name), Ref("", "window")),
    )


def _sampled(facts: dict[str, Any]) -> str:
    """Says on how many rows metrics, estimates and causes rest, where those are not all of them."""
    rows = facts.get("sampled")
    return (
        "" if rows is None else f"; metrics, estimates and causes rest on {rows:,} of the rows, values on all"
    )


def _drift(window: WindowRow) -> list[Block]:
    drift = window.facts.get("drift") or {}
    if not drift:
        return []
    answer, label = _ANSWERS.get(drift["status"], ("open", f"{drift['status'].capitalize()}."))
    rows = [
        [each["column"], each["statistic"], each["distance"], each["standardised"]]
        for each in drift.get("columns") or ()
    ]
    rows += [
        [f"{', '.join(each['columns'])} ...", "joint", each["distance"], each["standardised"]]
        for each in drift.get("joint") or ()
        if each["columns"]
    ]
    return [
        Verdict(answer, drift["reason"], label=label),
        *column_blocks(window, "In this window"),
        Table(["column", "distance", "is", "rarity (power of ten)"], rows),
        *_apart(window.facts.get("apart") or {}),
    ]


def _apart(apart: dict[str, Any]) -> list[Block]:
    """Tells how well a learner told the rows from the reference's, and by which columns."""
    if not apart:
        return []
    answer, said = ("no", "can be told") if apart["exceeded"] else ("yes", "cannot be told")
    reason = (
        f"On rows that it had not seen a learner reached an area of {number(apart['area'])}; "
        f"{number(apart['threshold'])} is reached by chance within the budget."
    )
    rows = [[column, number(fall)] for column, fall in apart["columns"].items()][:_MOST_CAUSES]
    verdict = Verdict(answer, reason, label=f"Rows {said} from the reference's.")
    return [verdict, *([Table(["given away by", "area lost without it"], rows)] if rows else [])]


def _loss(facts: dict[str, Any]) -> list[Block]:
    """Tells what each column that moved is estimated to cost, the dearest first, or why that is not known."""
    ranking = facts.get("ranking") or {}
    if not ranking.get("columns"):
        return []
    if ranking["reason"]:
        ranked = ", ".join(one["column"] for one in ranking["columns"][:_MOST_CAUSES])
        return [Text(f"No loss is estimated: {ranking['reason']}. By how far they moved: {ranked}.")]
    unit, decisions = ranking["currency"], ranking["predictions"]
    rows = [
        [
            one["column"],
            money(one["loss"], unit),
            money(None if one["loss"] is None else one["loss"] * decisions, unit),
            money(one["error"], unit),
            number(one["standardised"]),
        ]
        for one in ranking["columns"]
    ]
    heads = ["column", "loss a decision", "loss in this window", "standard error", "rarity (power of ten)"]
    return [Facts({"Estimated loss of the window": money(ranking["loss"], unit)}), Table(heads, rows)]


def _causes(facts: dict[str, Any]) -> list[Block]:
    """Tells which inputs and which rows changed what is expected; they add up to the change."""
    causes = facts.get("causes") or {}
    if not causes:
        return []
    columns = [
        [one["column"], number(one["amount"], signed=True), number(one["error"])]
        for one in causes["columns"][:_MOST_CAUSES]
    ]
    segments = [
        [
            one["column"],
            one["value"],
            number(one["amount"], signed=True),
            percent(one["share_before"]),
            percent(one["share_after"]),
        ]
        for one in causes["segments"][:_MOST_CAUSES]
    ]
    return [
        Facts({"Expected change of a decision": number(causes["change"], signed=True)}),
        Table(["input", "explains", "standard error"], columns),
        Table(["input", "segment", "contributes", "of the reference", "of the window"], segments),
    ]


def _contract(facts: dict[str, Any]) -> list[Block]:
    findings = (facts.get("contract") or {}).get("findings") or []
    rows = [
        [one["column"], one["rule"], one["expected"], one["failing"], percent(one["share"])]
        for one in findings
    ]
    return [Table(["column", "rule", "expected", "rows that are not", "share"], rows)] if rows else []


def _performance(facts: dict[str, Any], currency: str) -> list[Block]:
    told = {
        "Value of a decision": measured(facts.get("value"), unit=currency),
        "More than today": measured(facts.get("against_today"), unit=currency),
        "Estimated without actuals": measured(facts.get("estimated_value"), unit=currency),
        "Requests that broke the contract": percent(facts.get("violation_share")),
    }
    names = dict.fromkeys([*(facts.get("performance") or {}), *(facts.get("estimated") or {})])
    rows = [
        [
            name,
            measured((facts.get("performance") or {}).get(name)),
            measured((facts.get("estimated") or {}).get(name)),
        ]
        for name in names
    ]
    table: list[Block] = [Table(["metric", "measured", "estimated without actuals"], rows)] if rows else []
    return [Facts(told), *table]


def _followed(story: Story, window: WindowRow) -> list[Block]:
    alerts = [[moment(row.at), row.kind, row.said] for row in story.alerts if row.window == window.id]
    decisions = [row for row in story.decisions if row.facts.get("window") == window.id]
    blocks: list[Block] = [Table(["at", "alert", "what was found"], alerts)] if alerts else []
    if decisions:
        blocks.append(decision_rows(decisions))
    return blocks or [Text("No alert, and no decision.")]
