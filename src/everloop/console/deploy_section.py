"""The section about what serves: gate, package, rollouts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.report import Badge, Facts, Fold, Picture, Ref, Section, Table, Verdict, pictures
from everloop.report.writing import moment, money, number, percent, plural

if TYPE_CHECKING:
    from datetime import datetime

    from everloop.console.story import Story
    from everloop.record.rows import DecisionRow, RolloutRow
    from everloop.report.page import Block

TONES = {
    "promoted": "yes",
    "rolled_back": "no",
    "aborted": "no",
    "taken_back": "no",
    "running": "open",
    "waiting": "open",
}
_METRIC = "the metric"
_COMPARED = {"better than today": "than today", "not worse than the champion": "than the champion"}
_SAID = {
    "promoted": "promoted",
    "rolled_back": "rolled back",
    "aborted": "aborted",
    "taken_back": "promoted, and taken back",
}


def deploy_section(story: Story) -> Section:
    """Tells what the gate said, what the package proves, what serves, and how it came there."""
    version = story.version
    if version is None:
        return Section("Deploy", [])
    gate = story.gate_of(version)
    blocks: list[Block] = []
    if gate is not None:
        blocks += gate_blocks(gate)
    parity = story.result_of(version.package).get("parity") or {}
    if parity:
        blocks.append(parity_verdict(parity))
    blocks += rollout_blocks(story)
    if not story.deployments:
        blocks.append(Verdict("open", "Nothing serves yet.", label="Not released."))
    return Section("Deploy", blocks, lead=_lead(story))


def _lead(story: Story) -> str:
    if not story.deployments:
        return "No version has been released."
    latest = story.deployments[-1]
    lead = f"{story.label(latest.champion)} serves (generation {latest.generation})"
    if latest.challenger:
        share = next((r.share for r in reversed(story.rollouts) if r.challenger == latest.challenger), 0.0)
        lead += f", with {story.label(latest.challenger)} beside it at {percent(share)}"
    ended = [row.state for row in story.rollouts if row.state in _SAID]
    counts = ", ".join(f"{ended.count(state)} {said}" for state, said in _SAID.items() if state in ended)
    return f"{lead}. {plural(len(story.rollouts), 'rollout').capitalize()}{f': {counts}' if counts else ''}."


def gate_blocks(gate: DecisionRow) -> list[Block]:
    """Lists the checks of a gate under its verdict."""
    passed = gate.answer == "passed"
    number_ = gate.facts.get("number")
    checks = [
        [
            Badge("passed", "yes") if check["passed"] else Badge("failed", "no"),
            check["name"],
            check["required"],
            check["found"],
        ]
        for check in gate.facts.get("checks") or ()
    ]
    of = f" of v{number_}" if number_ else ""
    return [
        Verdict("yes" if passed else "no", f"{gate.reason}.", label=f"Gate{of} {gate.answer}:"),
        Table(["", "check", "required", "found"], checks),
        *_comparisons(gate.facts.get("checks") or ()),
    ]


def _comparisons(checks: Sequence[dict[str, Any]]) -> list[Block]:
    """Draws how much better the version is than what it was compared with, on the same rows."""
    by_unit: dict[str, dict[str, tuple[float, float, float]]] = {}
    for check in checks:
        found = check.get("evidence") or {}
        low, estimate, high = (found.get(end) for end in ("low", "estimate", "high"))
        if check["name"] not in _COMPARED or low is None or estimate is None or high is None:
            continue
        unit = _METRIC if "champion" in found else "value of a decision"
        by_unit.setdefault(unit, {})[_COMPARED[check["name"]]] = low, estimate, high
    return [
        Picture(
            pictures.intervals(
                places,
                x_label=f"{unit}: better by",
                level=(0.0, "as good"),
                write=number if unit == _METRIC else money,
            ),
            "The version less what it was compared with on the same rows, paired, with 95 % intervals.",
        )
        for unit, places in by_unit.items()
    ]


def parity_verdict(parity: dict[str, Any]) -> Verdict:
    """Says what the parity certificate proves."""
    rows = parity_rows(parity)
    largest = max(
        (each.get("largest_difference") or 0.0 for each in parity["runtimes"].values()), default=0.0
    )
    differ = sum(each.get("decisions_differ") or 0 for each in parity["runtimes"].values())
    text = (
        f"Trained and compiled answers were compared on {rows:,} rows: the scores differ by at most "
        f"{number(largest)}, {differ or 'no'} decisions differ."
    )
    passed = bool(parity.get("passed"))
    return Verdict("yes" if passed else "no", text, label="Parity proven." if passed else "Not equal.")


def parity_rows(parity: dict[str, Any]) -> int:
    """Counts the rows of a parity certificate."""
    rows = parity.get("rows")
    return sum(rows.values()) if isinstance(rows, dict) else int(rows or 0)


def rollout_blocks(story: Story) -> list[Block]:
    """Draws the challenger's share over time, and lists each move with its reason."""
    if not story.rollouts:
        return []
    series = []
    for rollout in story.rollouts:
        x, y = shares_over_time(story, rollout)
        state = _SAID.get(rollout.state, rollout.state)
        name = f"{story.label(rollout.challenger)}: {rollout.strategy}, {state}"
        if len(x) > 1:  # one that has just begun draws no line
            series.append(pictures.Line(name, x, y, stepped=True))
    blocks: list[Block] = []
    if series:
        drawn = pictures.lines(series, y_label="% of requests answered", height=2.2)
        blocks.append(Picture(drawn, "The share of requests that each challenger answered."))
    rows = [
        [moment(move.at), story.label(rollout.challenger), Ref(move.id, move.answer), move.reason]
        for rollout in story.rollouts
        for move in _moves(story, rollout)
    ]
    return [
        *blocks,
        Fold(f"Every move of the rollouts ({len(rows)})", [Table(["at", "version", "move", "reason"], rows)]),
    ]


def shares_over_time(story: Story, rollout: RolloutRow) -> tuple[list[datetime], list[float]]:
    """Gives when a challenger's share of the requests changed, and to what, in percent.

    It ends with the rollout: what is decided on the version afterwards moves nothing.
    """
    x: list[datetime] = []
    y: list[float] = []
    for move in _moves(story, rollout):
        if "share" in move.facts:
            x.append(move.at)
            y.append(100 * float(move.facts["share"]))
    end = rollout.updated_at if rollout.state in _SAID else story.end()
    if x and end is not None and end > x[-1]:
        x.append(end)
        y.append(y[-1])
    return x, y


def _moves(story: Story, rollout: RolloutRow) -> Sequence[DecisionRow]:
    return [
        row for row in story.decisions if row.kind == "rollout" and row.facts.get("rollout") == rollout.id
    ]


def deployment_facts(story: Story) -> Facts:
    """Says in names and values what serves now."""
    latest = story.deployments[-1]
    return Facts(
        {
            "Champion": Ref(latest.champion or "", story.label(latest.champion)),
            "Challenger": Ref(latest.challenger, story.label(latest.challenger))
            if latest.challenger
            else None,
            "Generation": latest.generation,
            "Since": f"{moment(latest.at)} UTC",
        }
    )
