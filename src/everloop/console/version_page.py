"""A version: its model card, what its gate checked, and what its package proves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.console.deploy_section import gate_blocks, parity_verdict
from everloop.console.story import Story
from everloop.core.clock import parse_time
from everloop.model.card import card_page
from everloop.model.card_facts import CardFacts
from everloop.model.card_origin import SHOWN, MadeBy, Origins
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
    origins = Origins(_steps(story))
    released = _release_sections(whole, version, origins)
    trained = story.trained(version)
    trail = (Ref("status", workspace.name), Ref("", f"v{version.number}"))
    if trained is None:
        text = "Its training is no longer in the artifact store, so its card cannot be drawn."
        title = f"{workspace.name} v{version.number}"
        return Page(title, version.status, [*released, Section("Card", [Text(text)])], trail=trail)
    created = version.facts.get("created")
    card = card_page(
        trained,
        CardFacts(
            workspace.name, version.number, parse_time(created) if created else version.at,
            workspace.spec.owner or "",
            story.step("brief"), story.step("snapshot"), story.step("dataset"),
            story.step("frame").get("sufficiency") or {}, story.step("explain"),
            story.step("train").get("outlook"), steps=origins.steps,
        ),
    )  # fmt: skip
    return Page(
        card.title, f"{card.subtitle}; {version.status}", [*released, *card.sections], card.footer, card.lead,
        card.summary, trail, card.origin,
    )  # fmt: skip


def _steps(story: Story) -> dict[str, MadeBy]:
    """Gives the steps that the page's figures come from, each as the run that executed it left it."""
    found = {name: story.executed(name) for name in (*SHOWN, "package", "gate")}
    return {
        name: MadeBy(row.key, row.facts.get("inputs") or {}, row.run, row.at)
        for name, row in found.items()
        if row is not None
    }


def _release_sections(story: Story, version: VersionRow, origins: Origins) -> list[Section]:
    gate = story.gate_of(version)
    told = {
        "Status": version.status,
        "Made": f"{moment(version.at)} UTC",
        "By run": Ref(version.run, version.run),
        "Package": version.package,
    }
    blocks: list[Block] = [Facts(told)]
    blocks += gate_blocks(gate) if gate is not None else [Text("Its gate has not judged it yet.")]
    release = Section("Release", blocks, origin=origins.of("gate"))
    parity = story.result_of(version.package).get("parity") or {}
    if not parity:
        return [release]
    rows = [
        [name, found["rows"], number(found["largest_difference"]), found["decisions_differ"]]
        for name, found in parity["runtimes"].items()
    ]
    table = Table(["runtime", "rows", "largest difference", "decisions that differ"], rows)
    return [release, Section("Parity", [parity_verdict(parity), table], origin=origins.of("package"))]


def _trained_in(facts: dict[str, object]) -> object:
    steps = facts.get("steps")
    return steps.get("train") if isinstance(steps, dict) else None
