"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from everloop.core.errors import ContractViolated
from everloop.core.values import to_jsonable

SHOWN = 5
LEAST_SHARE = 0.001
"""A smaller share is not told in digits."""


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
        examples: Up to five of them, the first ones.
        values: The values that fail most often, with how often each does.
        found: What was found, in words, where one number of the table is judged.
    """

    column: str
    rule: str
    severity: str
    expected: str
    failing: int
    share: float
    examples: tuple[Example, ...] = ()
    values: tuple[tuple[Any, int], ...] = ()
    found: str = ""

    def sentence(self) -> str:
        """Says the finding in a line."""
        what = f"column {self.column!r}" if self.column else "the table"
        seen = ", ".join(f"{example.value!r} in row {example.row}" for example in self.examples)
        such = f", such as {seen}" if seen else ""
        rows = f"; {self._rows()} not" if self.failing else ""
        found = f"; {self.found}" if self.found else ""
        return f"{what} has to be {self.expected}{found}{rows}{such}{self._most()}"

    def _rows(self) -> str:
        share = f"{self.share:.1%}" if self.share >= LEAST_SHARE else "less than 0.1%"
        return f"1 row ({share}) is" if self.failing == 1 else f"{self.failing:,} rows ({share}) are"

    def moved(self, by: int) -> Finding:
        """Counts its rows from so many rows further ahead."""
        return replace(self, examples=tuple(replace(one, row=one.row + by) for one in self.examples))

    def with_more(self, later: Finding) -> Finding:
        """Adds what breaks the same rule in rows behind these; `share` is of these alone."""
        counts: dict[str, tuple[Any, int]] = {}
        for value, rows in (*self.values, *later.values):
            counts[repr(value)] = (value, counts.get(repr(value), (value, 0))[1] + rows)
        most = sorted(counts.values(), key=lambda one: -one[1])[:SHOWN]
        examples = (*self.examples, *later.examples)[:SHOWN]
        return replace(self, failing=self.failing + later.failing, examples=examples, values=tuple(most))

    def _most(self) -> str:
        """Says which values fail most often, where some do more than once."""
        often = [f"{value!r} ({rows:,} times)" for value, rows in self.values if rows > 1]
        return f"; most often {', '.join(often)}" if often else ""


@dataclass(frozen=True)
class ContractReport:
    """Whether a table satisfies its contract, and what was found.

    Attributes:
        passed: Whether nothing of severity ``error`` was found.
        rows: How many rows were looked at.
        findings: What does not hold; errors first, those of the most rows first.
        unchecked: Rules that could not be judged, and what was missing.
        broken: How many rows break at least one rule, references to other sources aside.
    """

    passed: bool
    rows: int
    findings: tuple[Finding, ...]
    unchecked: tuple[str, ...] = ()
    broken: int = 0

    def merge(self, later: ContractReport) -> ContractReport:
        """Adds what was found in rows behind these, against the same contract of single rows.

        Counts add up. How often a value fails is summed over what each report says of it; a value that is
        seldom in one of them may have been left out there.
        """
        rows = self.rows + later.rows
        found: dict[tuple[str, str, str, str], Finding] = {}
        behind = (one.moved(self.rows) for one in later.findings)
        for one in (*self.findings, *behind):
            key = (one.column, one.rule, one.severity, one.expected)
            found[key] = found[key].with_more(one) if key in found else one
        shared = [replace(one, share=one.failing / rows if rows else 0.0) for one in found.values()]
        shared.sort(key=lambda one: (one.severity != "error", -one.failing))
        unchecked = tuple(dict.fromkeys((*self.unchecked, *later.unchecked)))
        passed = self.passed and later.passed
        return ContractReport(passed, rows, tuple(shared), unchecked, self.broken + later.broken)

    def to_dict(self) -> dict[str, Any]:
        """Gives the report as what JSON can carry."""
        return dict(to_jsonable(vars(self)))

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
            f"{count} not hold for {self.rows:,} rows:\n" + "\n".join(lines) + more,
            hint="mend the data, or edit the contract where the data is right",
        )
