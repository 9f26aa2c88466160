"""An ensemble as a `ScoreForm`: each member's own form on its slots, then the weighted sum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from everloop.model.compile.form import Floats, Integers, ScoreForm

if TYPE_CHECKING:
    from everloop.model.ensemble import Ensemble
    from everloop.table.expression import GraphBuilder


@dataclass(frozen=True)
class WeightedMember:
    """One member.

    Attributes:
        form: What it computes from its own vector.
        slots: Where that vector is within the ensemble's.
        weight: What its answer counts.
        seen: The classes that its outputs stand for.
    """

    form: ScoreForm
    slots: Integers
    weight: float
    seen: tuple[int, ...]


@dataclass(frozen=True)
class WeightedForm(ScoreForm):
    """The form of an ensemble; its members' forms are in the graph part by part.

    Attributes:
        members: The members, in the order in which their answers are added.
    """

    members: tuple[WeightedMember, ...] = ()

    @property
    def takes_missing(self) -> bool:
        """Whether every member has an answer for a missing number."""
        return all(one.form.takes_missing for one in self.members)

    @property
    def tolerance(self) -> float:
        """How far a compiled score may be from the trained one: as far as the roughest member's."""
        return max(one.form.tolerance for one in self.members)

    def split_values(self) -> dict[int, Floats]:
        """Gives the split values of all members' trees, by the ensemble's own columns."""
        found: dict[int, list[Floats]] = {}
        for one in self.members:
            for column, values in one.form.split_values().items():
                found.setdefault(int(one.slots[column]), []).append(values)
        return {column: np.unique(np.concatenate(parts)) for column, parts in sorted(found.items())}

    def slots_without_missing(self) -> frozenset[int]:
        """Gives the slots that are read by a member which has no answer for a missing number."""
        return frozenset(
            int(slot) for one in self.members if not one.form.takes_missing for slot in one.slots
        )


@dataclass(frozen=True)
class WeightedPart:
    """The nodes of each member in turn, and of their weighted sum.

    Attributes:
        members: The members.
        classes: How many chances to give; 0 for one chance, or a number.
    """

    members: tuple[WeightedMember, ...]
    classes: int

    def add(self, graph: GraphBuilder, x: str) -> str:
        """Adds the members' nodes and their weighted sum."""
        from everloop.model.compile.score import add_answer

        total = ""
        for one in self.members:
            own = graph.node("Gather", x, graph.constant(one.slots), axis=1)
            answer = add_answer(graph, own, one.form, one.seen, self.classes)
            part = graph.node("Mul", answer, graph.constant(np.array(one.weight)))
            total = graph.node("Add", total, part) if total else part
        return total


def weighted_form(estimator: Ensemble) -> ScoreForm:
    """Reads an ensemble."""
    from everloop.model.compile.registry import classes_of, score_form

    classes = 0 if estimator.classes_ is None else len(estimator.classes_)
    several = classes if classes > 2 else 0
    members = tuple(
        WeightedMember(
            score_form(member),
            slots,
            float(weight),
            (0,) if (seen := classes_of(member)) is None else tuple(int(one) for one in seen),
        )
        for member, slots, weight in zip(estimator.members, estimator.slots, estimator.weights, strict=True)
    )
    return WeightedForm(
        width=estimator.n_features_in_,
        outputs=several or 1,
        link="identity",
        part=WeightedPart(members, several),
        members=members,
    )
