"""What was found, how it is told, and what stops for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from everloop.core.errors import NegativeAnswer
from everloop.core.values import to_jsonable
from everloop.data.duck import quote_name

MOST_TOLD = 5


class LeakFound(NegativeAnswer):
    """A dataset leaks; its findings say where."""

    code = "leak"


@dataclass(frozen=True)
class LeakFinding:
    """One leak.

    Attributes:
        kind: Its kind, a name of `KINDS`, such as ``target copy``.
        column: The column that leaks, where it is one.
        severity: ``error`` blocks, ``warn`` is recorded, ``waived`` was to block and is waived by name.
        message: What was found, in a sentence or two.
        evidence: The numbers, and examples.
        reason: Why it is waived.
    """

    kind: str
    column: str | None
    severity: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)
    reason: str | None = None

    @property
    def name(self) -> str:
        """What it is waived by: ``KIND: COLUMN``, or the kind alone where no column leaks."""
        return self.kind if self.column is None else f"{self.kind}: {self.column}"

    def sentence(self) -> str:
        """Tells the finding in a line."""
        because = f" Waived: {self.reason}" if self.reason else ""
        return f"{self.name}: {self.message}{because}"

    def to_dict(self) -> dict[str, Any]:
        """Gives the finding as what JSON can carry."""
        facts = {key: value for key, value in vars(self).items() if value is not None or key == "column"}
        return dict(to_jsonable({"name": self.name, **facts}))


def waive(findings: Sequence[LeakFinding], waivers: Mapping[str, str]) -> tuple[LeakFinding, ...]:
    """Lifts the block of findings that are waived by name; the reason stays with them.

    Args:
        findings: What was found.
        waivers: From a finding's name to the reason why it may stay.
    """
    return tuple(
        replace(one, severity="waived", reason=waivers[one.name])
        if one.severity == "error" and one.name in waivers
        else one
        for one in findings
    )


def block_leaks(findings: Sequence[LeakFinding]) -> None:
    """Stops a run whose dataset leaks.

    Raises:
        LeakFound: When a finding has the severity ``error``.
    """
    blocking = [finding for finding in findings if finding.severity == "error"]
    if not blocking:
        return
    told = [finding.sentence() for finding in blocking[:MOST_TOLD]]
    if len(blocking) > MOST_TOLD:
        told.append(f"And {len(blocking) - MOST_TOLD} more.")
    columns = ", ".join(quote_name(name) for name in dict.fromkeys(one.column for one in blocking) if name)
    leave_out = f"leave it out in data.table: select * exclude ({columns}); or " if columns else ""
    raise LeakFound(
        " ".join(told),
        hint=f'{leave_out}waive it: data: {{leaks: {{waive: {{"{blocking[0].name}": "the reason"}}}}}}',
        place="data",
    )
