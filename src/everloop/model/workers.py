"""Where the folds of trials are fitted: children of this process, or machines elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from everloop.core.errors import SpecFault
from everloop.model.contained import Children

if TYPE_CHECKING:
    from everloop.model.contained import Outcome, Task

GROUP = "everloop.workers"
"""Entry points: a tuner's name -> what makes its workers, given how many tasks run at once."""

HERE = "optuna"
"""The tuner whose trials run on this machine."""


class Workers(Protocol):
    """What runs tasks: `contained.Children`, or machines elsewhere."""

    @property
    def free(self) -> bool:
        """Whether another task can be started now."""
        ...

    @property
    def busy(self) -> bool:
        """Whether an outcome is to come."""
        ...

    def start(self, task: Task) -> None:
        """Starts a task."""
        ...

    def wait(self) -> Outcome:
        """Waits for the next outcome."""
        ...


def known_tuners() -> tuple[str, ...]:
    """Names the tuners that there are."""
    return (HERE, *sorted(point.name for point in entry_points(group=GROUP)))


def workers_of(tuner: str, count: int) -> AbstractContextManager[Workers]:
    """Makes the workers of a tuner, to be entered.

    Args:
        tuner: A name of `known_tuners`.
        count: How many tasks run at once.

    Raises:
        SpecFault: When there is no such tuner.
        MissingExtra: When its package is not installed.
    """
    if tuner == HERE:
        return Children(count)
    for point in entry_points(group=GROUP):
        if point.name == tuner:
            made: Any = point.load()(count)
            return made  # type: ignore[no-any-return]
    raise SpecFault(
        f"There is no tuner {tuner!r}; there are {', '.join(known_tuners())}.", place="model.tuner"
    )
