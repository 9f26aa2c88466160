"""Events of long work: a live display on a terminal, lines elsewhere, nothing under `--json`."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from everloop.cli.pipe import quiet_pipe
from everloop.core.progress import Event, Progress, silent

if TYPE_CHECKING:
    import typer
    from rich.progress import Progress as Display

# What becomes a line; of the rest the live display shows all, and where lines are written one now and then.
TOLD = ("started", "result", "notice")
WIDTH = 8
PAUSE = 15.0
"""Seconds without a line after which one says how far the work is."""


@contextmanager
def watching(context: typer.Context) -> Iterator[Progress]:
    """Gives who is told what happens, for as long as the work lasts.

    Args:
        context: The verb's; whether `--json` was given is in it.
    """
    if context.obj.as_json:
        yield silent
    elif sys.stdout.isatty():
        with _live() as progress:
            yield progress
    else:
        yield Lines()


def line_of(event: Event) -> str:
    """Writes an event as a line, its phase in a column of its own.

    Example:
        >>> line_of(Event("goal", "a decision is worth -26.30 EUR today"))
        'goal     a decision is worth -26.30 EUR today'
    """
    return f"{event.phase:<{WIDTH}} {event.message}"


def time_left(seconds: float | None) -> str:
    """Writes an estimate of the time left; empty where there is none.

    Example:
        >>> time_left(75.2)
        'about 0:01:15 left'
    """
    return "" if seconds is None else f"about {timedelta(seconds=round(seconds))} left"


class Lines:
    """Writes events as lines: all that last, and how far the work is where nothing was said for a while.

    Args:
        timer: Seconds from any start.
    """

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer, self._said = timer, timer()

    def __call__(self, event: Event) -> None:
        """Takes an event."""
        now, line = self._timer(), line_of(event)
        if event.kind not in TOLD:
            if event.fraction is None or now - self._said < PAUSE:
                return
            line += _how_far(event)
        self._said = now
        with quiet_pipe():  # the work goes on, whoever still listens
            sys.stdout.write(line + "\n")


def _how_far(event: Event) -> str:
    return f"; {time_left(event.seconds_left) or f'{event.fraction:.0%} done'}"


@contextmanager
def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    display = Bar(
        SpinnerColumn(),
        TextColumn("{task.fields[phase]:<7} {task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
        console=Console(file=sys.stdout),
        transient=True,
    )
    with display:
        task = display.add_task("starting", total=None, phase="", left="")
        yield lambda event: _show(display, task, event)


def _show(display: Display, task: Any, event: Event) -> None:
    if event.kind in TOLD:
        display.console.print(line_of(event), markup=False, highlight=False, soft_wrap=True)
    if event.kind in ("result", "notice"):
        return
    display.update(
        task,
        description=event.message,
        total=None if event.fraction is None else 1.0,
        completed=event.fraction or 0.0,
        phase=event.phase,
        left=time_left(event.seconds_left),
    )
