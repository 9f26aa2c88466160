"""What made the figures of a model card: the steps on record, and where the card tells of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Self

from everloop.report import Facts, Ref, Section, Table, Told
from everloop.report.writing import MISSING, moment

if TYPE_CHECKING:
    from everloop.report.page import Block

SHOWN = ("snapshot", "frame", "brief", "dataset", "train", "explain")
"""The steps that figures of a card come from, in the order in which they are made."""


@dataclass(frozen=True, slots=True)
class MadeBy:
    """A step that made figures.

    Attributes:
        key: The step's key: a digest of its code, its settings and its inputs.
        inputs: What it read: the names and keys of other steps.
        run: The run that executed it; empty where that is not told.
        at: When it was done; None where that is not told.
    """

    key: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    run: str = ""
    at: datetime | None = None

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Self:
        """Gives it from its key and its inputs."""
        return cls(facts["key"], facts["inputs"])


@dataclass(frozen=True, slots=True)
class Origins:
    """The steps that made a card's figures, by their names."""

    steps: Mapping[str, MadeBy]

    def of(self, step: str) -> Ref | None:
        """Gives the link to what the card tells of a step; None where it is not on record."""
        return Ref(f"#made-by-{step}", step) if step in self.steps else None

    def told(self, values: Mapping[str, Any], step: str) -> dict[str, Any]:
        """Links the figures of texts to a step; what is no text stays as it is."""
        return {
            name: Told(value, self.of(step)) if isinstance(value, str) else value
            for name, value in values.items()
        }


def making_section(origins: Origins, seed: int, version: int | None) -> Section:
    """Tells what made the figures: where the links of all other sections lead.

    Args:
        origins: The steps.
        seed: What chance was drawn from.
        version: The version's number, by which its report is asked for.
    """
    steps = origins.steps
    if not steps:
        return Section("How it was made", [])
    told = {"Seed": str(seed)}
    blocks: list[Block] = [Facts(told), _steps_table(origins)]
    lead = (
        "What made every figure of this card: each number and each picture is a link to its step. "
        "A step's key is a digest of its code, its settings and its inputs."
    )
    if not any(one.run for one in steps.values()):
        number = "" if version is None else f" v{version}"
        told["Runs and times"] = (
            f"not in the package, so that two equal trainings make equal packages; everloop report{number} "
            "names them"
        )
    return Section("How it was made", blocks, lead=lead)


def _steps_table(origins: Origins) -> Table:
    named = {one.key: name for name, one in origins.steps.items()}
    placed = any(one.run for one in origins.steps.values())
    rows = []
    for name, one in origins.steps.items():
        where = [Ref(one.run, one.run), f"{moment(one.at)} UTC"] if placed else []
        rows.append([name, *where, one.key, _inputs(one, origins, named) or MISSING])
    columns = ["step", *(["run", "made at"] if placed else []), "key in the record", "read"]
    return Table(columns, rows, anchors=[f"made-by-{name}" for name in origins.steps])


def _inputs(one: MadeBy, origins: Origins, named: Mapping[str, str]) -> Sequence[Ref]:
    """Names what a step read: a step of the card by a link, another by its key."""
    found = []
    for name, key in one.inputs.items():
        known = origins.of(named[key]) if key in named else None
        found.append(known or Ref("", f"{name} {key}"))
    return found
