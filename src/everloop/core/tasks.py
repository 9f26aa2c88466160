"""The tasks, as one table: what each is learned from, and how a score becomes an answer.

Example:
    >>> TASKS["anomaly"].decides, decides_by("regression", "number")
    ('threshold', True)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Decides = Literal["threshold", "largest", "number", "items"]


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """What a task is.

    Attributes:
        decides: From a score to an answer: positive from a ``threshold`` on, the class with the
            ``largest`` of its scores, the ``number`` itself, or a list of ``items``.
        supervised: Whether fitting reads the target. Otherwise labels, where there are any, choose
            between models and judge them, and no more.
        needs_target: Whether there must be a target.
        names_classes: Whether the target's values are classes that an answer names.
        metric: What models are chosen by where there are no labels; empty where there have to be.
        metric_reason: Why by that.
        alone: Whether a row is a case of its own; otherwise rows are events, and tell of one another.
        classes: What an answer is called where there is no target, as far as that is known before training.
    """

    decides: Decides
    supervised: bool = True
    needs_target: bool = True
    names_classes: bool = True
    metric: str = ""
    metric_reason: str = ""
    classes: tuple[str, ...] = ()
    alone: bool = True

    @property
    def judged(self) -> str:
        """What an evaluation counts: a list for each who had something later, or else a row."""
        return "list" if self.decides == "items" else "row"

    @property
    def positive(self) -> str | None:
        """The class that is the event, where an answer is one of two and there is no target."""
        return self.classes[-1] if self.classes and self.decides == "threshold" else None


TASKS: dict[str, TaskFacts] = {
    "binary": TaskFacts("threshold"),
    "multiclass": TaskFacts("largest"),
    "regression": TaskFacts("number", names_classes=False),
    "anomaly": TaskFacts(
        "threshold",
        supervised=False,
        needs_target=False,
        metric="volume_excluded",
        metric_reason="no labels: a score that knows where the rows are encloses them in little room",
        classes=("normal", "anomaly"),
    ),
    "clustering": TaskFacts(
        "largest",
        supervised=False,
        needs_target=False,
        metric="silhouette",
        metric_reason="no labels: rows should lie nearer to their own cluster than to the next",
    ),
    "recommendation": TaskFacts(
        "items",
        supervised=False,
        names_classes=False,
        metric="ndcg_at_10",
        metric_reason="it rewards items that come later, the more the earlier they are named",
        alone=False,
    ),
}
"""Every task that can be learned here."""

UNTARGETED = tuple(name for name, one in TASKS.items() if not one.needs_target)
"""Those that need no column to predict."""

LISTED_ITEMS = 20
"""So many items an answer of a recommendation lists, where there are as many and no metric asks for more."""


def score_width(task: str, classes: int, listed: int = LISTED_ITEMS) -> int:
    """Gives how many numbers a row's score is: one, one a class, or of each listed item place and score."""
    if decides_by(task, "items"):
        return 2 * min(listed, classes)
    return classes if decides_by(task, "largest") else 1


def decides_by(task: str, how: Decides) -> bool:
    """Says whether a task's answers come from its scores in this way; an unknown task's do in none."""
    return task in TASKS and TASKS[task].decides == how
