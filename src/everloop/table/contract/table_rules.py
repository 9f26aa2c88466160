"""What the table as a whole, or each row as a whole, must satisfy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from everloop.core.errors import SpecFault
from everloop.table.contract.column_rules import SEVERITIES, Severity
from everloop.table.expression.parsing import parse
from everloop.table.expression.tree import Expression

RuleKind = Literal["row_count", "unique", "holds", "fresh", "refers"]
RULE_KINDS: tuple[RuleKind, ...] = ("row_count", "unique", "holds", "fresh", "refers")


@dataclass(frozen=True)
class TableRule:
    """A rule of the table.

    Attributes:
        kind: ``row_count`` (between minimum and maximum), ``unique`` (columns together are a key),
            ``holds`` (a condition that is true or null on every row), ``fresh`` (the newest time of a
            column is not older than ``within``) or ``refers`` (values of the columns are in the key of
            another source).
        minimum: For ``row_count``.
        maximum: For ``row_count``.
        columns: For ``unique``, ``fresh`` (one) and ``refers``.
        expression: For ``holds``.
        severity: ``error`` or ``warn``.
        within: For ``fresh``.
        source: For ``refers``, the other source.
        key: For ``refers``, its columns, as many as ``columns``.
    """

    kind: RuleKind
    minimum: int | None = None
    maximum: int | None = None
    columns: tuple[str, ...] = ()
    expression: Expression | None = None
    severity: Severity = "error"
    within: timedelta | None = None
    source: str | None = None
    key: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        complete = {
            "row_count": self.minimum is not None or self.maximum is not None,
            "unique": bool(self.columns),
            "holds": self.expression is not None,
            "fresh": len(self.columns) == 1 and self.within is not None and self.within > timedelta(0),
            "refers": bool(self.columns) and bool(self.source) and len(self.key) == len(self.columns),
        }
        if not complete.get(self.kind, False):
            raise SpecFault(
                f"A table rule is one of {', '.join(RULE_KINDS)} with its content; this is {self.kind!r}."
            )
        if self.severity not in SEVERITIES:
            raise SpecFault(f"A table rule's severity {self.severity!r} is neither error nor warn.")
        if self.expression is not None and self.expression.type != "boolean":
            raise SpecFault(
                f"A rule holds or does not; {self.expression.sql!r} gives {self.expression.type}."
            )

    @classmethod
    def holds(cls, sql: str, types: Mapping[str, str], severity: Severity = "error") -> TableRule:
        """Makes a rule of a condition in SQL.

        Raises:
            SpecFault: It is no condition over these columns.
        """
        return cls("holds", expression=parse(sql, types), severity=severity)

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns that the rule looks at."""
        return self.columns if self.expression is None else self.expression.columns

    def to_dict(self) -> dict[str, Any]:
        """Gives the rule as what JSON can carry."""
        plain: dict[str, Any] = {"kind": self.kind}
        for name in ("minimum", "maximum", "source"):
            if getattr(self, name) is not None:
                plain[name] = getattr(self, name)
        for name in ("columns", "key"):
            if getattr(self, name):
                plain[name] = list(getattr(self, name))
        if self.within is not None:
            plain["within"] = self.within.total_seconds()
        if self.expression is not None:
            plain["expression"] = self.expression.to_dict()
        return {**plain, "severity": self.severity}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> TableRule:
        """Reads what `to_dict` gave.

        Raises:
            SpecFault: It is no rule.
        """
        expression, within = data.get("expression"), data.get("within")
        return cls(
            data["kind"],
            data.get("minimum"),
            data.get("maximum"),
            tuple(data.get("columns", ())),
            None if expression is None else Expression.from_dict(expression),
            data.get("severity", "error"),
            None if within is None else timedelta(seconds=within),
            data.get("source"),
            tuple(data.get("key", ())),
        )
