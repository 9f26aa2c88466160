"""What a benchmark found, as values, and as tables of text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from everloop.core.units import Bound

HEADINGS = ("what", "figure", "lowest..highest", "beside", "", "ratio", "goal", "")


@dataclass(frozen=True)
class Options:
    """How the benchmarks are asked to run: small sizes; peers in environments of their own.

    Attributes:
        quick: Whether sizes are small.
        peers: Whether peers are installed.
        rounds: How often each figure is measured.
        tables: For `automl`, which tables; empty means all.
        systems: For `automl`, which systems; empty means all.
        seconds: For `automl`, the budget of a search.
        seeds: For `automl`, which splits.
    """

    quick: bool = False
    peers: bool = False
    rounds: int = 7
    tables: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    seconds: float | None = None
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Figure:
    """One number with what it is compared with.

    Attributes:
        what: What was measured.
        value: The median.
        unit: Of the value and of `other`.
        low: The lowest round.
        high: The highest round.
        beside: The peer or bound of the same run.
        other: Its median.
        goal: A bound such as `< 150` in the same unit; empty where none is claimed.
    """

    what: str
    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    beside: str = ""
    other: float | None = None
    goal: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the other's number this is."""
        return self.value / self.other if self.other else None

    @property
    def verdict(self) -> str:
        """`met`, `not met`, or empty where no goal is claimed."""
        if not self.goal:
            return ""
        return "met" if Bound.parse(self.goal).holds(self.value) else "not met"

    def cells(self) -> tuple[str, ...]:
        """Gives the figure as the cells of a table."""
        spread = "" if self.low is None or self.high is None else f"{self.low:,.4g}..{self.high:,.4g}"
        return (
            self.what,
            f"{self.value:,.4g} {self.unit}".rstrip(),
            spread,
            self.beside,
            "" if self.other is None else f"{self.other:,.4g}",
            "" if self.ratio is None else f"{self.ratio:.3g}x",
            self.goal,
            self.verdict,
        )


@dataclass(frozen=True)
class Report:
    """All that one benchmark found; notes say what a reader has to know of the figures."""

    figures: tuple[Figure, ...]
    notes: tuple[str, ...] = field(default=())

    def to_dict(self) -> dict[str, Any]:
        """Gives it as what JSON can carry."""
        return {
            "figures": [asdict(one) | {"ratio": one.ratio, "verdict": one.verdict} for one in self.figures],
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        """Reads what `to_dict` gave."""
        derived = ("ratio", "verdict")
        kept = [{k: v for k, v in one.items() if k not in derived} for one in data["figures"]]
        return cls(tuple(Figure(**one) for one in kept), tuple(data["notes"]))


def text_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Writes a table in columns of text."""
    cells = [tuple(headings), *(tuple(row) for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(headings))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)
    return "\n".join(line.rstrip() for line in lines)
