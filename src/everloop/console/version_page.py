"""A version: its model card, what its gate checked, and what its package proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.console.deploy_section import gate_blocks, parity_verdict
from everloop.console.story import Story
from everloop.core.clock import parse_time
from everloop.model.card import CardFacts, card_page
from everloop.report import Facts, Page, Ref, Section, Table, Text
from everloop.report.writing import moment, number

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.rows import VersionRow
    from everloop.report.page import Block


def version_page(workspace: Workspace, version: VersionRow) -> Page:
    """Tells what is known of a version."""
    whole = Story.read(workspace)
    made = next((run for run in whole.runs if _trained_in(run.facts) == version.facts.get("trained")), None)
    story = whole if made is None else whole.of_run(made)
    released = _release_section(whole, version)
    trained = story.trained(version)
    trail = (Ref("status", workspace.name), Ref("", f"v{version.number}"))
    if trained is None:
        text = "Its training is no longer in the artifact store, so its card cannot be drawn."
        title = f"{workspace.name} v{version.number}"
        return Page(title, version.status, [released, Section("Card", [Text(text)])], trail=trail)
    created = version.facts.get("created")
    card = card_page(
        trained,
        CardFacts(
            workspace.name, version.number, parse_time(created) if created else version.at,
            workspace.spec.owner or "",
            story.step("brief"), story.step("snapshot"), story.step("dataset"),
            story.step("frame").get("sufficiency") or {}, story.step("explain"),
            story.step("train").get("outlook"), Ref(version.run, version.run),
            steps={} if made is None else dict(made.facts.get("steps") or {}),
        ),
    )  # fmt: skip
    return Page(
        card.title, f"{card.subtitle}; {version.status}", [released, *card.sections], card.footer, card.lead,
        card.summary, trail,
    )  # fmt: skip


def _release_section(story: Story, version: VersionRow) -> Section:
    gate = story.gate_of(version)
    told = {
        "Status": version.status,
        "Made": f"{moment(version.at)} UTC",
        "By run": Ref(version.run, version.run),
        "Package": version.package,
    }
    blocks: list[Block] = [Facts(told)]
    blocks += gate_blocks(gate) if gate is not None else [Text("Its gate has not judged it yet.")]
    parity = story.result_of(version.package).get("parity") or {}
    if parity:
        rows = [
            [name, found["rows"], number(found["largest_difference"]), found["decisions_differ"]]
            for name, found in parity["runtimes"].items()
        ]
        blocks.append(parity_verdict(parity))
        blocks.append(Table(["runtime", "rows", "largest difference", "decisions that differ"], rows))
    return Section("Release", blocks)


def _trained_in(facts: dict[str, object]) -> object:
    steps = facts.get("steps")
    return steps.get("train") if isinstance(steps, dict) else None
