"""The section about the rollout under way, or the last one: its share, its guards and what it waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.console.deploy_section import TONES
from everloop.core.values import to_jsonable
from everloop.loop.rollout_status import difference_of, evidence_of, findings_of, read_rollout
from everloop.report import Badge, Bullets, Facts, Ref, Section, Table, Verdict
from everloop.report.writing import moment, percent, sentence

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.report.page import Block

_ANSWERS = {"fine": "yes", "harm": "no", "undecided": "open"}


def rollout_section(workspace: Workspace) -> Section:
    """Tells where the rollout stands; no section before there was one."""
    facts = read_rollout(workspace)
    if facts["rollout"] is None:
        return Section("Rollout", [])
    look = facts["look"]
    blocks: list[Block] = [_verdict(facts), _standing(facts)]
    if look is not None:
        blocks.append(_arms(facts))
        blocks.extend(_guards(look))
    told = difference_of(look)
    if told:
        blocks.append(Bullets([f"{line[0].upper()}{line[1:]}." for line in told]))
    return Section("Rollout", blocks, lead=f"{facts['challenger']} beside {facts['champion']}.")


def rollout_facts(workspace: Workspace) -> dict[str, Any] | None:
    """Gives the same as what JSON can carry, without its decisions; None before there was one."""
    facts = read_rollout(workspace)
    if facts["rollout"] is None:
        return None
    shown: dict[str, Any] = to_jsonable({name: facts[name] for name in facts if name != "decisions"})
    return shown


def _verdict(facts: dict[str, Any]) -> Verdict:
    state = facts["state"]
    words, tone = state.replace("_", " ").capitalize(), TONES.get(state, "open")
    if facts["next"]:
        return Verdict(tone, sentence(f"Next, {facts['next']}"), label=f"{words}.")
    return Verdict(tone, sentence(facts["decisions"][-1]["reason"]), label=f"{words}:")


def _standing(facts: dict[str, Any]) -> Facts:
    shown: dict[str, Any] = {
        "Strategy": facts["strategy"],
        "Challenger's share": percent(facts["share"]),
        "Step": f"{facts['step']} of {facts['steps']}",
        "Since": f"{moment(facts['since'])} UTC",
    }
    if facts["look"] is not None:
        shown["Last look"] = f"{moment(facts['look']['at'])} UTC"
    shown["Last move"] = [Ref(facts["decisions"][-1]["id"], facts["decisions"][-1]["answer"])]
    return Facts(shown)


def _arms(facts: dict[str, Any]) -> Table:
    rows = []
    for arm in ("champion", "challenger"):
        seen = facts["look"]["seen"][arm]
        delays = [
            f"{1000 * seen[name]:.1f} ms" if seen[name] is not None else None
            for name in ("latency_p50", "latency_p99")
        ]
        rows.append([f"{arm} {facts[arm]}", seen["requests"], seen["failed"], seen["refused"], *delays])
    columns = ["", "requests", "failed", "violations", "half within", "99 % within"]
    return Table(columns, rows, "What each answered since the rollout began")


def _guards(look: dict[str, Any]) -> list[Block]:
    rows = [
        [
            Badge(one["answer"], _ANSWERS.get(one["answer"], "plain")),
            one["name"],
            one["required"],
            one["found"],
            evidence_of(one),
        ]
        for one in findings_of(look)
    ]
    columns = ["", "guard", "required", "found", "evidence so far"]
    return [Table(columns, rows, "The guards")] if rows else []
