"""What a search for leaks came to."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.data.leaks.finding import LeakFinding, block_leaks


@dataclass(frozen=True)
class LeakReport:
    """Leaks of a split table.

    Attributes:
        findings: What was found, blocking findings first.
        rows: Rows of each part.
        looked_for: The kinds of leak, and what each finds.
    """

    findings: tuple[LeakFinding, ...]
    rows: Mapping[str, int]
    looked_for: Mapping[str, str]

    @property
    def passed(self) -> bool:
        """Whether nothing blocks."""
        return all(finding.severity != "error" for finding in self.findings)

    def raise_if_failed(self) -> None:
        """Stops where something blocks.

        Raises:
            LeakFound: When a finding has the severity ``error``.
        """
        block_leaks(self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Gives the report as what JSON can carry."""
        return {
            "passed": self.passed,
            "rows": dict(self.rows),
            "findings": [finding.to_dict() for finding in self.findings],
            "looked_for": dict(self.looked_for),
        }

    def __str__(self) -> str:
        rows = ", ".join(f"{count:,} {part}" for part, count in self.rows.items())
        blocking = sum(finding.severity == "error" for finding in self.findings)
        answer = f"{blocking} blocking" if blocking else "none blocks"
        lines = [f"leaks: {answer}; {rows} rows; {len(self.looked_for)} kinds were looked for"]
        return "\n".join([*lines, *(f"  {one.severity}: {one.sentence()}" for one in self.findings)])

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"
