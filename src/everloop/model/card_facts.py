"""What a model card says beyond the trained model, as the record has it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.model.card_origin import MadeBy, Origins

if TYPE_CHECKING:
    from everloop.model.explanation import Explanation


@dataclass(frozen=True, slots=True)
class CardFacts:
    """What a card says beyond the trained model, as the record has it.

    Attributes:
        lifecycle: The lifecycle's name.
        version: The version's number; None before it has one.
        created: When the version was made.
        owner: Who answers for it.
        brief: Facts of the goal's brief.
        snapshot: Facts of the snapshot.
        dataset: Facts of the dataset.
        labels: Facts of the problem's sufficiency.
        outlook: What a month brings by the trained model, as the training says.
        explanation: What moves the scores, as `Explanation.to_dict` gives it.
        steps: The steps that made its figures, by name, as `card_origin.SHOWN` has them: every figure is a
            link to one.
        timed: Whether to tell how long the search took, in which two equal trainings differ.
        runtime: Of a version that was not compiled: what serves it and why, in a sentence.
    """

    lifecycle: str
    version: int | None = None
    created: datetime | None = None
    owner: str = ""
    brief: Mapping[str, Any] = field(default_factory=dict)
    snapshot: Mapping[str, Any] = field(default_factory=dict)
    dataset: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, Any] = field(default_factory=dict)
    explanation: Mapping[str, Any] = field(default_factory=dict)
    outlook: Mapping[str, Any] | None = None
    steps: Mapping[str, MadeBy] = field(default_factory=dict)
    timed: bool = True
    runtime: str = ""

    @property
    def explained(self) -> Explanation | None:
        """The explanation; None where there is none on record."""
        from everloop.model.explanation import Explanation

        return Explanation.from_dict(dict(self.explanation)) if self.explanation else None

    @property
    def origins(self) -> Origins:
        """Where the links of the card's figures lead."""
        return Origins(self.steps)

    @property
    def currency(self) -> str:
        """The money that decisions are priced in."""
        return str(self.brief.get("currency") or "")
