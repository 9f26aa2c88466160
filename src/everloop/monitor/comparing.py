"""Drift between any two tables, with the reference's own noise as the measure."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from everloop.core.errors import DataFault
from everloop.core.values import to_jsonable
from everloop.monitor.columns import watched_columns
from everloop.monitor.drifting import judge_state
from everloop.monitor.facets import kind_of
from everloop.monitor.finding import ColumnDrift, DriftFinding, JointDrift
from everloop.monitor.references import ReferenceRules, reference
from everloop.monitor.state import count_window
from everloop.monitor.telling_apart import ToldApart, tell_apart
from everloop.spec.fields import AlarmBudget
from everloop.table.tables import as_frame

_SHOWN = 20
_FEWEST_ROWS = 60


@dataclass(frozen=True)
class DriftReport:
    """How far a table is from another.

    Attributes:
        finding: Whether it drifted, and each column's distances.
        rows_reference: Rows of the first table.
        rows_current: Rows of the second.
        added: Columns that only the second has.
        removed: Columns that only the first has.
        skipped: Columns of both that cannot be compared (times, nested values).
        apart: How well a learner told the rows of both apart; None where that was not asked.
    """

    finding: DriftFinding
    rows_reference: int
    rows_current: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    skipped: tuple[str, ...]
    apart: ToldApart | None = None

    @property
    def drifted(self) -> bool:
        """Whether a column moved further than chance explains, or the rows can be told apart."""
        return self.finding.exceeded or (self.apart is not None and self.apart.exceeded)

    @property
    def columns(self) -> tuple[ColumnDrift, ...]:
        """Every distance, the most moved first."""
        return self.finding.columns

    @property
    def statistics(self) -> Mapping[str, Mapping[str, float]]:
        """Every distance of every column, by their names in `everloop.measure.DISTANCES`."""
        return self.finding.distances

    def moved(self) -> tuple[str, ...]:
        """The columns that moved, the most moved first."""
        return self.finding.moved()

    def to_dict(self) -> dict[str, Any]:
        """Gives the report as what JSON can carry."""
        return {"drifted": self.drifted, "moved": list(self.moved()), **to_jsonable(vars(self))}

    def __str__(self) -> str:
        """Writes the report as lines of text."""
        return "\n".join([self._summary(), *("  ".join(row) for row in self._rows())])

    def _repr_html_(self) -> str:
        """Shows the report in a notebook."""
        head = "".join(f"<th>{name}</th>" for name in ("column", "distance", "is", "rarity"))
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        return f"<table><caption>{html.escape(self._summary())}</caption><tr>{head}</tr>{body}</table>"

    def _summary(self) -> str:
        found = ", ".join(self.moved()) if self.finding.exceeded else "none"
        said = f"{self.rows_reference:,} rows against {self.rows_current:,}; moved: {found}"
        if self.apart is None or not self.apart.exceeded:
            return said
        return f"{said}; rows are told apart (area {self.apart.area:.2f}) by {', '.join(self.apart.columns)}"

    def _rows(self) -> list[tuple[str, ...]]:
        return [
            *((each.column, each.statistic, *_told(each)) for each in self.columns[:_SHOWN]),
            *((f"{', '.join(each.columns)} ...", "joint", *_told(each)) for each in self.finding.joint),
        ]


def _told(each: ColumnDrift | JointDrift) -> tuple[str, str]:
    return f"{each.distance:.4g}", f"{each.standardised:.1f}"


def compare_tables(
    before: Any,
    after: Any,
    *,
    alarms: int = 1,
    windows: int = 100,
    multivariate: bool = False,
    segments: tuple[str, ...] = (),
    seed: int = 0,
) -> DriftReport:
    """Compares two tables; see `everloop.monitor.drift`."""
    first, second = as_frame(before), as_frame(after)
    shared = tuple(name for name in first.columns if name in second.columns)
    watched = (*watched_columns(first, shared), *(name for name in shared if kind_of(first[name])))
    if not watched:
        raise DataFault("The two tables share no column that can be compared.")
    for name, frame in (("reference", first), ("current", second)):
        if frame.height < _FEWEST_ROWS:
            raise DataFault(
                f"The {name} table has {frame.height} rows; at least {_FEWEST_ROWS} are needed to tell a "
                "shift from noise."
            )
    # The two looks share the budget.
    windows = 2 * windows if multivariate else windows
    apart = tell_apart(first, second, alarms=alarms, windows=windows, seed=seed) if multivariate else None
    rules = ReferenceRules(
        alarm=AlarmBudget(alarms, windows),
        window_rows=second.height,
        smaller=False,
        seed=seed,
        segments=segments,
    )
    made = reference(first, watched, rules=rules)
    return DriftReport(
        finding=judge_state(count_window(second, made), made, seed=seed),
        rows_reference=first.height,
        rows_current=second.height,
        added=tuple(name for name in second.columns if name not in first.columns),
        removed=tuple(name for name in first.columns if name not in second.columns),
        skipped=tuple(name for name in shared if name not in watched),
        apart=apart,
    )
