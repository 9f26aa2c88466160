"""What `everloop why` says before it draws the tree: who decided what, on which evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.cli.output import pairs, table
from everloop.cli.reading import shown_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from everloop.loop.workspace import Workspace
    from everloop.record.rows import DecisionRow, VersionRow
    from everloop.record.why import Cause, Chain

# The steps that a version is told by, with the word that begins the line.
_TOLD = {
    "brief": "goal",
    "frame": "problem",
    "snapshot": "data",
    "dataset": "",
    "train": "model",
    "package": "package",
}
_SERVED = {"release", "rollout"}
_VERDICTS = {True: "passed", False: "failed"}


@dataclass(frozen=True, slots=True)
class VersionStory:
    """Why a version is what it is.

    Attributes:
        version: The version.
        steps: What each step that it was made by found, in a line.
        decisions: What was decided about it, oldest first.
    """

    version: VersionRow
    steps: tuple[tuple[str, str], ...]
    decisions: tuple[DecisionRow, ...]

    @classmethod
    def read(cls, workspace: Workspace, version: VersionRow) -> VersionStory:
        """Reads it from the record."""
        return cls(version, tuple(_steps(workspace, version)), tuple(_decisions(workspace, version)))

    def to_dict(self) -> dict[str, Any]:
        """Gives it as what JSON can carry."""
        names = "id", "at", "kind", "answer", "reason", "facts"
        return {
            "version": self.version.number,
            "status": self.version.status,
            "steps": [{"phase": phase, "result": result} for phase, result in self.steps],
            "decisions": [{name: getattr(row, name) for name in names} for row in self.decisions],
        }

    def to_text(self) -> str:
        """Writes it for a person: what it is, what made it, what was decided, what its gate asked."""
        number, status = self.version.number, self.version.status
        released = [row for row in self.decisions if row.kind in _SERVED]
        since = f", by the last of these decisions, {shown_time(released[-1].at)}" if released else ""
        parts = [f"v{number} is {_articled(status)}{since}", pairs(self.steps)]
        if self.decisions:
            rows = [[shown_time(row.at), row.kind, row.answer, row.id, row.reason] for row in self.decisions]
            heads = ["at", "kind", "answer", "id", "reason"]
            parts.append(f"Decided about v{number}\n{table(heads, rows)}")
        gate = next((row for row in reversed(self.decisions) if row.kind == "gate"), None)
        if gate is not None:
            parts.append(evidence_text(gate.facts))
        return "\n\n".join(part for part in parts if part)


def evidence_text(facts: dict[str, Any]) -> str:
    """Writes what a gate checked or the guards of a rollout said as a table; empty where neither did."""
    parts = []
    for title, name, told in (("Checked by the gate", "checks", _verdict), ("Guards", "guards", _answer)):
        if found := facts.get(name):
            rows = [[told(one), one["name"], one["required"], one["found"]] for one in found]
            parts.append(f"{title}\n{table(['answer', name.removesuffix('s'), 'required', 'found'], rows)}")
    return "\n\n".join(parts)


def prediction_text(asked: Cause) -> str:
    """Writes what the prediction log knows of an answer."""
    known = "time", "arm", "prediction", "score", "actual", "known_at", "row"
    lines = [f"  {name}: {asked.facts[name]}" for name in known if asked.facts.get(name) is not None]
    return "\n".join([f"{asked.id} was answered by v{asked.facts['version']}:", *lines])


def tree_text(chain: Chain, depth: int) -> str:
    """Draws all that led to it under a line that says what can be asked next."""
    if len(chain.causes) == 1:
        return chain.to_text(depth)
    return f"All that led to it; everloop why ID tells more of each\n{chain.to_text(depth)}"


def _verdict(check: dict[str, Any]) -> str:
    return _VERDICTS[bool(check["passed"])]


def _answer(guard: dict[str, Any]) -> str:
    return str(guard["answer"])


def _articled(status: str) -> str:
    named = {"champion": "the champion", "challenger": "the challenger", "candidate": "a candidate"}
    return named.get(status, status)


def _steps(workspace: Workspace, version: VersionRow) -> Iterator[tuple[str, str]]:
    from everloop.loop.telling import result_line
    from everloop.record.rows import RunRow, StepRow

    record = workspace.record
    runs = record.find(RunRow, id=version.run, limit=1)
    keys = (runs[0].facts.get("steps") if runs else None) or {}
    if workspace.spec.goal.statement:
        yield "purpose", workspace.spec.goal.statement
    if runs:
        yield "trained", f"{runs[0].reason}, {shown_time(runs[0].at)}".lstrip(", ")
    for step, phase in _TOLD.items():
        rows = (
            record.find(StepRow, key=keys[step], status=("done", "cached"), limit=1) if step in keys else []
        )
        line = result_line(step, rows[0].facts["result"]) if rows and "result" in rows[0].facts else None
        if line:
            yield phase, line


def _decisions(workspace: Workspace, version: VersionRow) -> list[DecisionRow]:
    """Finds what was decided about a version: by its gate, at its release, in its rollouts."""
    from everloop.record.rows import DecisionRow, RolloutRow

    record, name = workspace.record, workspace.name
    rollouts = {row.id for row in record.find(RolloutRow, lifecycle=name, challenger=version.id)}
    found = [
        row
        for row in record.find(DecisionRow, lifecycle=name)
        if (row.kind in ("gate", *_SERVED))
        and (row.facts.get("version") == version.id or row.facts.get("rollout") in rollouts)
    ]
    # A gate that lets a version pass and the version's release are of one moment.
    return sorted(found, key=lambda row: (row.at, row.kind != "gate"))
