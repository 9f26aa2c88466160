"""What is known of a rollout at one look, and how wrong its guards may be together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from everloop.deploy.candidate import Candidate

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

FALSE_ROLLBACKS = 0.04
"""How often a challenger that is no worse may be sent back by its guards, all of them together."""
FALSE_STOPS = 0.01
"""How often a rollout whose requests are divided as meant may be stopped for their division."""
FALSE_PROMOTIONS = 0.05
"""How often a challenger that is worse by more than its margin may pass the guard that it breaks.

All guards have to say fine, so a worse challenger passes only where the very guard that it breaks errs:
each of them may use all of it (an intersection-union test).
"""


@dataclass(frozen=True, slots=True)
class Budget:
    """How often one guard may err, ever, whatever the number of looks.

    Attributes:
        back: Saying harm where there is none.
        on: Saying fine where there is harm.
    """

    back: float
    on: float

    @classmethod
    def of(cls, guards: int) -> Budget:
        """Divides what may be wrong among so many guards."""
        return cls(FALSE_ROLLBACKS / max(1, guards), FALSE_PROMOTIONS)


@dataclass(frozen=True)
class Requests:
    """The requests since the rollout began, in the order of their time; all arrays (n,).

    Attributes:
        second: Whether the challenger (or the shadow) was to answer.
        chance: The challenger's chance to be drawn then; 0 or 1 where nothing was drawn.
        unit: What keeps its arm: the entity, or the request itself.
        failed: Whether the arm failed, or gave no number.
        refused: Whether the row violated the arm's contract.
        seconds: How long the answer took; NaN where there was none.
        scores: The score; NaN where there was none.
    """

    second: Booleans
    chance: Floats
    unit: NDArray[Any]
    failed: Booleans
    refused: Booleans
    seconds: Floats
    scores: Floats

    @cached_property
    def drawn(self) -> Booleans:
        """Which requests either arm could have got: those that say something of their difference."""
        found: Booleans = (self.chance > 0) & (self.chance < 1)
        return found

    def only(self, rows: NDArray[Any]) -> Requests:
        """Gives some of the requests: a mask, or positions."""
        return Requests(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Known:
    """Both versions on rows whose actual is known, in the order in which that came to be.

    Attributes:
        champion: The champion on these rows.
        challenger: The challenger on the same rows.
        second: Which of them the challenger answered, (n,).
        chance: The challenger's chance to be drawn, (n,).
        unit: What keeps its arm, (n,).
        own: Where what comes of an answer depends on it: by name, what the arm's own answer had, (n,).
    """

    champion: Candidate
    challenger: Candidate
    second: Booleans
    chance: Floats
    unit: NDArray[Any]
    own: Mapping[str, Floats] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """Both versions on all rows that were answered, whether their actual is known or not.

    Attributes:
        champion: The champion on these rows.
        challenger: The challenger on the same rows.
        reference: For each of both, the scores and the actuals by which its scores are read as chances.
    """

    champion: Candidate
    challenger: Candidate
    reference: tuple[tuple[Floats, Floats], tuple[Floats, Floats]]


@dataclass(frozen=True)
class Look:
    """What is known of a rollout at one look.

    Attributes:
        strategy: The rollout's strategy.
        requests: Every request since it began.
        known: The rows with actuals.
        asked: All rows.
        usual_value: What a decision of the champion was worth before the rollout; None where unknown.
        named: The guards that the file names.
        has_entities: Whether the requests of one entity are known to be its own.
        hidden: Columns that a version reads and the log does not show: no row can be scored again.
    """

    strategy: str
    requests: Requests
    known: Known
    asked: Asked
    usual_value: float | None = None
    named: tuple[str, ...] = ()
    has_entities: bool = True
    hidden: tuple[str, ...] = ()


def first_of_each(unit: NDArray[Any]) -> NDArray[np.int64]:
    """Gives the position of each unit's first row, in order: what one entity does again is no new draw."""
    _, first = np.unique(unit, return_index=True)
    return np.sort(first)
