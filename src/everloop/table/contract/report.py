"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from everloop.core.errors import ContractViolated
from everloop.core.values import to_jsonable

SHOWN = 5


@dataclass(frozen=True)
class Example:
    """One value that breaks a rule, and the number of its row; the first row is 1."""

    row: int
    value: Any


@dataclass(frozen=True)
class Finding:
    """One rule that does not hold.

    Attributes:
        column: The column, or the empty text for the table as a whole.
        rule: Which of the column's or table's rules.
        severity: ``error`` or ``warn``.
        expected: What the rule asks for, in words.
        failing: How many rows break it; 0 where the table as a whole does.
        share: ``failing`` as a share of all rows.
        examples: Up to five of them.
    """

    column: str
    rule: str
    severity: str
    expected: str
    failing: int
    share: float
    examples: tuple[Example, ...] = ()

    def sentence(self) -> str:
        """Says the finding in a line."""
        what = f"column {self.column!r}" if self.column else "the table"
        seen = ", ".join(f"{example.value!r} in row {example.row}" for example in self.examples[:3])
        rows = f"; {self.failing} rows ({self.share:.1%}) are not" if self.failing else ""
        return f"{what} has to be {self.expected}{rows}{f', such as {seen}' if seen else ''}"


@dataclass(frozen=True)
class ContractReport:
    """Whether a table satisfies its contract, and what was found.

    Attributes:
        passed: Whether nothing of severity ``error`` was found.
        rows: How many rows were looked at.
        findings: What does not hold; errors first, those of the most rows first.
    """

    passed: bool
    rows: int
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """Gives the report as what JSON can carry."""
        findings: list[Any] = to_jsonable(self.findings)
        return {"passed": self.passed, "rows": self.rows, "findings": findings}

    def raise_if_failed(self) -> None:
        """Does nothing where the contract is satisfied.

        Raises:
            ContractViolated: It is not; the message shows the findings that matter most.
        """
        if self.passed:
            return
        errors = [finding for finding in self.findings if finding.severity == "error"]
        lines = [f"  {finding.sentence()}" for finding in errors[:SHOWN]]
        more = f"\n  and {len(errors) - SHOWN} more" if len(errors) > SHOWN else ""
        count = (
            "1 rule of the contract does" if len(errors) == 1 else f"{len(errors)} rules of the contract do"
        )
        raise ContractViolated(
            f"{count} not hold for {self.rows} rows:\n" + "\n".join(lines) + more,
            hint="mend the data, or edit the contract where the data is right",
        )
