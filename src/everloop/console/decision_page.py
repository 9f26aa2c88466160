"""A decision: its reason, its evidence and the chain of causes behind it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.record.why import why
from everloop.report import Code, Facts, Fold, Page, Ref, Section, Table, Verdict
from everloop.report.writing import moment, number

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.record.rows import DecisionRow
    from everloop.report.page import Block

_TONES = {
    "passed": "yes",
    "refused": "no",
    "failed": "no",
    "roll_back": "no",
    "promote": "yes",
    "champion": "yes",
}
_LISTED = {"checks", "guards"}


def decision_page(workspace: Workspace, decision: DecisionRow) -> Page:
    """Tells what was decided, why, on which evidence, and what led to it."""
    chain = why(workspace.record, decision.id)
    blocks: list[Block] = [
        Verdict(
            _TONES.get(decision.answer, "open"),
            decision.reason,
            label=f"{decision.answer.replace('_', ' ').capitalize()}:",
        )
    ]
    plain = {name: value for name, value in decision.facts.items() if name not in _LISTED}
    evidence: list[Block] = [
        Facts({name.replace("_", " ").capitalize(): _shown(value) for name, value in plain.items()})
    ]
    for name in ("checks", "guards"):
        rows = decision.facts.get(name)
        if rows:
            evidence.append(_listed(name, rows))
    causes = [
        [moment(cause.at), cause.kind, Ref(cause.id, cause.id), cause.summary] for cause in chain.causes[1:]
    ]
    return Page(
        title=f"{decision.kind.capitalize()}: {decision.answer.replace('_', ' ')}",
        subtitle=f"{decision.id}, {moment(decision.at)} UTC",
        sections=[
            Section("Decision", blocks),
            Section("Evidence", evidence),
            Section(
                "Why",
                [Table(["at", "kind", "id", "what"], causes), Fold("As a tree", [Code(chain.to_text())])],
                lead="Everything that led to it, back to the goal and the data.",
            ),
        ],
        footer=f"The same in a terminal: everloop why {decision.id}",
        trail=(Ref("status", workspace.name), Ref("", "decision")),
    )


def _listed(name: str, rows: list[dict[str, Any]]) -> Table:
    columns = [column for column in rows[0] if column != "evidence"]
    return Table(columns, [[_shown(row.get(column)) for column in columns] for row in rows], caption=name)


def _shown(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"low", "estimate", "high"}:
            low, estimate, high = (number(value[end]) for end in ("low", "estimate", "high"))
            return f"{estimate} ({low} to {high})"
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(str(_shown(each)) for each in value)
    return f"{value:.6g}" if isinstance(value, float) else value
