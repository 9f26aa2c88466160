"""What more labels would bring: a value that phases pass on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from everloop.measure.intervals import Interval

SUFFICIENCY_FILE = "sufficiency.json"


@dataclass(frozen=True, slots=True)
class Ahead:
    """The score that is expected with more labels.

    Attributes:
        more: How many more.
        score: The metric, with its interval.
    """

    more: int
    score: Interval


@dataclass(frozen=True, slots=True)
class Sufficiency:
    """What more labels would bring.

    Attributes:
        verdict: `enough` (twice the labels change little), `more` (they would help), `too few`
            (the model cannot be told from chance, or the rows do not suffice to judge),
            `unclear` (the curve is ill-behaved, so nothing is extrapolated), or `not needed` (the task
            is learned without labels).
        reason: Why, in a sentence.
        metric: What was measured.
        labels: Labelled rows there are.
        sizes: Training rows of each point of the curve.
        scores: The metric at each size, one list of repeats each.
        now: The metric expected with all the labels there are, where it can be said.
        at_double: The metric expected with twice the labels, where it can be said.
        ahead: The metric expected with more labels, by how many more.
        required: The bound that `problem.require` sets for the metric, as it is written.
        needed: How many more labels keep that bound: 0 where it is kept already, None where none do within
            ten times the labels, or it cannot be said.
    """

    verdict: str
    reason: str
    metric: str
    labels: int
    sizes: tuple[int, ...] = ()
    scores: tuple[tuple[float, ...], ...] = ()
    now: Interval | None = None
    at_double: Interval | None = None
    ahead: tuple[Ahead, ...] = ()
    required: str | None = None
    needed: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Gives the finding as what JSON can carry."""
        return asdict(self) | {
            "sizes": list(self.sizes),
            "scores": [list(repeats) for repeats in self.scores],
            "now": self.now.to_dict() if self.now else None,
            "at_double": self.at_double.to_dict() if self.at_double else None,
            "ahead": [{"more": one.more, "score": one.score.to_dict()} for one in self.ahead],
        }

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Sufficiency:
        """Reads what `to_dict` gave."""
        ends = {name: _interval(facts[name]) for name in ("now", "at_double")}
        ahead = tuple(Ahead(one["more"], Interval(**one["score"])) for one in facts["ahead"])
        lists = {
            "sizes": tuple(facts["sizes"]),
            "scores": tuple(tuple(repeats) for repeats in facts["scores"]),
        }
        return cls(**{**facts, **ends, **lists, "ahead": ahead})


def _interval(facts: Mapping[str, float] | None) -> Interval | None:
    return Interval(**facts) if facts else None
