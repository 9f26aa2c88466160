"""The target, or a copy of it, among the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.data.leaks.finding import LeakFinding
from everloop.data.leaks.skill import Skill, column_skill, lucky_columns, right_where_wrong
from everloop.data.leaks.values import numbers_of

if TYPE_CHECKING:
    from everloop.data.leaks.parts import Parts

KIND = "target copy"
# Fewer rows of a class than this can be separated by chance.
FEWEST_ROWS = 10
# In fewer rows a skill is known badly, and two honest columns may lie ahead of all others together.
FEW_ROWS = 500
BY_CHANCE = 0.01
"""In few rows a column is a copy only where fewer of the others than this would do as well by chance."""
UNLIKELY = 1e-9
EXACT = 1 - 1e-9
FEWEST_HARD_ROWS = 20
RIGHT_IN_HARD_ROWS = 0.8
"""Honest columns are right in half of the rows, at most, in which the next best of them is wrong."""


@dataclass(frozen=True)
class Suspicion:
    """From which skill on a column is taken for a copy.

    Attributes:
        alone: At this skill whatever the other columns know.
        ahead: From this skill on where the column is far ahead of every other.
        left: How far ahead: at most this part of the next column's error is left.
    """

    alone: float
    ahead: float
    left: float


CLASSES = Suspicion(alone=0.95, ahead=0.85, left=0.5)
NUMBERS = Suspicion(alone=0.98, ahead=0.8, left=0.25)
"""One column often tells most of a number (a distance tells the time of a flight), seldom of a class."""


def find(parts: Parts) -> Iterator[LeakFinding]:
    """Finds inputs that are the target, come after it by their role, or tell it by themselves."""
    frame = parts.frame
    roles = {frame.target: "the target", frame.label_time: "known only after the outcome"}
    for name in parts.inputs:
        if name in roles:
            yield LeakFinding(KIND, name, "error", f"{name} is among the inputs, and is {roles[name]}.")
    if parts.target.rows < 2 * FEWEST_ROWS or parts.target.least() < FEWEST_ROWS:
        return
    skills = {name: column_skill(parts.judged[name], parts.target) for name in parts.candidates}
    known = {name: skill for name, skill in skills.items() if skill is not None}
    numbers = frame.task == "regression"
    copies, lucky = _copies(known, NUMBERS if numbers else CLASSES, numbers=numbers)
    if parts.target.names:
        copies |= _right_in_hard_rows(parts, known, copies)
    for name, next_best in copies.items():
        yield _copy(parts, name, known[name], next_best)
    for name, chance in lucky.items():
        if name not in copies:
            yield _doubt(parts, name, known[name], chance, len(known))
    for name in parts.candidates:
        if name not in copies:
            yield from _known_for_one_class(parts, name)
    if frame.task == "regression":
        yield from _sums(parts, set(copies))


def _copies(
    skills: dict[str, Skill], limits: Suspicion, *, numbers: bool
) -> tuple[dict[str, float], dict[str, float]]:
    """Gives the columns that are copies, and those that few rows do not tell from luck.

    The more columns are looked at, the better is the luckiest of them. In few rows those behind a column say
    how likely that luck is: each of them, were its skill what it showed, would do as well by some chance.

    Returns:
        Copies with the skill of the best column that is none; the others with how many columns would do as
        well by chance.
    """
    ordered = sorted(skills, key=lambda name: (-skills[name].score, name))
    found: list[str] = []
    doubtful: dict[str, float] = {}
    for place, name in enumerate(ordered):
        few = skills[name].rows < FEW_ROWS
        score = skills[name].surely if few else skills[name].score
        rest = skills[ordered[place + 1]].score if place + 1 < len(ordered) else 0.0
        ahead = score >= limits.ahead and 1 - score <= limits.left * (1 - max(rest, 0.0))
        several = len(found) < place
        if score >= limits.alone or (ahead and not (several and few)):
            behind = [skills[other] for other in ordered[place + 1 :]]
            doubtful[name] = lucky_columns(skills[name], behind, numbers=numbers) if few else 0.0
            if doubtful[name] <= BY_CHANCE:
                found = ordered[: place + 1]
    best = max((skills[name].score for name in ordered[len(found) :]), default=0.0)
    lucky = {name: chance for name, chance in doubtful.items() if name not in found}
    return dict.fromkeys(found, max(best, 0.0)), lucky


def _right_in_hard_rows(parts: Parts, skills: dict[str, Skill], copies: dict[str, float]) -> dict[str, float]:
    """Gives strong columns that are right in the rows, too, in which the next column is wrong."""
    left = sorted(
        (name for name in skills if name not in copies), key=lambda name: (-skills[name].score, name)
    )
    found = {}
    for name, other in pairwise(left):
        if skills[name].score < CLASSES.ahead:
            break
        right, rows = right_where_wrong(parts.judged[name], parts.judged[other], parts.target)
        if rows < FEWEST_HARD_ROWS or right < RIGHT_IN_HARD_ROWS:
            break
        found[name] = max(skills[other].score, 0.0)
    return found


def _told(parts: Parts, name: str, skill: Skill) -> str:
    target = parts.frame.target
    if parts.frame.task == "regression":
        return f"{name} alone tells {skill.score:.1%} of the variance of {target}'s ranks"
    return f"{name} alone tells {target} right in {skill.right:.1%} of the rows"


def _doubt(parts: Parts, name: str, skill: Skill, chance: float, looked_at: int) -> LeakFinding:
    return LeakFinding(
        KIND,
        name,
        "warn",
        f"{_told(parts, name, skill)}, which may be luck: of {looked_at:,} columns {max(chance, 0.01):.2g} "
        f"are expected to do as well in {skill.rows:,} rows by chance. Look at whether it is known in time.",
        {"rows": skill.rows, "skill": skill.score, "columns": looked_at, "by chance": chance},
    )


def _copy(parts: Parts, name: str, skill: Skill, next_best: float) -> LeakFinding:
    return LeakFinding(
        KIND,
        name,
        "error",
        f"{_told(parts, name, skill)} that the guess was not made of (skill {skill.score:.2f}, the next "
        f"column's {next_best:.2f}). "
        "It is a copy of the target or is known only after the outcome.",
        {
            "rows": skill.rows,
            "skill": skill.score,
            "right": skill.right,
            "skill of the next column": next_best,
            "examples": _examples(parts, name),
        },
    )


def _examples(parts: Parts, name: str) -> list[Any]:
    return parts.judged.select(name, parts.frame.target).unique(maintain_order=True).head(5).rows()


def _known_for_one_class(parts: Parts, name: str) -> Iterator[LeakFinding]:
    """Finds a column that has a value for one class alone, as of what is filled in afterwards."""
    column = parts.judged[name]
    present = column.is_not_null().to_numpy()
    if not parts.target.names or not 0 < present.sum() < len(present):
        return
    shares = parts.target.matrix.mean(axis=0)
    counts = parts.target.matrix[present].sum(axis=0)
    held = np.flatnonzero(counts)
    rows = int(present.sum())
    if len(held) != 1 or rows * np.log(shares[held[0]]) > np.log(UNLIKELY):
        return
    label = parts.target.names[int(held[0])]
    yield LeakFinding(
        KIND,
        name,
        "error",
        f"{name} has a value in {rows:,} of {len(present):,} rows, and {parts.frame.target} is {label} in "
        "all "
        "of them: it is filled in when the outcome is known.",
        {"rows with a value": rows, "class": label, "share of the class": float(shares[held[0]])},
    )


def _sums(parts: Parts, known: set[str]) -> Iterator[LeakFinding]:
    """Finds numbers that make up the target together, such as the two parts of a total."""
    names = [name for name in parts.candidates if parts.judged[name].dtype.is_numeric()]
    columns = {name: numbers_of(parts.judged[name]) for name in names}
    matrix = (
        np.stack([column for column in columns.values() if column is not None], axis=1) if names else None
    )
    if matrix is None:
        return
    spread = np.nanstd(matrix, axis=0)
    use = np.flatnonzero(spread > 0)
    rows = ~np.isnan(matrix).any(axis=1)
    if rows.sum() < 3 * max(FEWEST_ROWS, len(use)) or not len(use):
        return
    x = (matrix[rows][:, use] - matrix[rows][:, use].mean(axis=0)) / spread[use]
    y = parts.target.numbers[rows] - parts.target.numbers[rows].mean()
    weights, *_ = np.linalg.lstsq(x, y, rcond=None)
    error = float(((y - x @ weights) ** 2).sum() / max(float((y**2).sum()), 1e-300))
    if error > 1 - EXACT:
        return
    involved = [names[use[i]] for i in np.flatnonzero(np.abs(weights) > 1e-6 * np.abs(weights).max())]
    for name in involved:
        if name not in known:
            yield LeakFinding(
                KIND,
                name,
                "error",
                f"{' and '.join(involved)} make up {parts.frame.target} together, but for scale, in "
                f"{int(rows.sum()):,} rows.",
                {"rows": int(rows.sum()), "columns": involved, "unexplained": error},
            )
