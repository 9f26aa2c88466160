"""The kinds of leak that are looked for, as a table.

Source: Kapoor and Narayanan, "Leakage and the reproducibility crisis in machine-learning-based science"
(Patterns 2023): no clean separation of training and test rows (duplicates, preprocessing, target encoding),
features that are not legitimate (target copy, time travel, identifier), and a test part that is not drawn
from the population of interest (groups, time order).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.core.tasks import TASKS
from everloop.data.leaks import (
    duplicates,
    groups,
    identifiers,
    preprocessing,
    target_copy,
    target_encoding,
    time_order,
    time_travel,
)
from everloop.data.leaks.finding import LeakFinding, waive

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts


@dataclass(frozen=True)
class LeakKind:
    """One kind.

    Attributes:
        looks_for: What it finds, in a line.
        find: Gives what is found in a split table.
        needs_target: Whether it compares with the target, and so finds nothing where there is none.
    """

    looks_for: str
    find: Callable[[Parts], Iterator[LeakFinding]]
    needs_target: bool = False


KINDS: dict[str, LeakKind] = {
    target_copy.KIND: LeakKind(
        "the target, a copy of it, or what is known only after the outcome, among the inputs",
        target_copy.find,
        needs_target=True,
    ),
    duplicates.KIND: LeakKind("rows of one part that are in another", duplicates.find),
    groups.KIND: LeakKind("rows of one group on both sides of a split", groups.find),
    time_travel.KIND: LeakKind("values from after the decision; parts out of order", time_travel.find),
    preprocessing.KIND: LeakKind("constants fitted with the rows of other parts", preprocessing.find),
    target_encoding.KIND: LeakKind(
        "means of the target that include the row's own", target_encoding.find, needs_target=True
    ),
    identifiers.KIND: LeakKind("inputs that name rows", identifiers.find),
    time_order.KIND: LeakKind(
        "a split by chance over rows whose order in time matters", time_order.find, needs_target=True
    ),
}


def leaks_of(parts: Parts, waivers: Mapping[str, str] | None = None) -> tuple[LeakFinding, ...]:
    """Looks for every kind of leak in a split table.

    Args:
        parts: The table.
        waivers: From a finding's name, such as ``identifier: account_no``, to the reason why it may stay.

    Returns:
        What was found, blocking findings first, then in the order of `KINDS`.
    """
    if not TASKS[parts.frame.task].alone:
        return ()  # events of one entity are meant to tell of each other; their order keeps the parts apart
    kinds = [one for one in KINDS.values() if parts.frame.is_labelled or not one.needs_target]
    found = [finding for kind in kinds for finding in kind.find(parts)]
    columns = {kind: {one.column for one in found if one.kind == kind} for kind in KINDS}
    found = [
        one
        for one in found
        if one.column is None
        or not any(one.column in columns[exact] for exact in _SAID_BETTER.get(one.kind, ()))
    ]
    order = {"error": 0, "waived": 1, "warn": 2}
    return tuple(sorted(waive(found, waivers or {}), key=lambda finding: order[finding.severity]))


_SAID_BETTER = {
    target_copy.KIND: (target_encoding.KIND, time_travel.KIND),
    identifiers.KIND: (time_travel.KIND,),
}
"""A column that one kind finds is not told again by a kind that says less."""
