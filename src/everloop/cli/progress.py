"""Events of long work: a live display on a terminal, plain lines elsewhere, nothing under `--json`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from everloop.cli.pipe import quiet_pipe
from everloop.core.progress import Event, Progress, silent

if TYPE_CHECKING:
    import typer
    from rich.progress import Progress as Display

# What becomes a line; the rest is only for the live display.
TOLD = ("started", "result", "notice")
WIDTH = 8


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
        yield _print_line


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


def _print_line(event: Event) -> None:
    if event.kind in TOLD:
        with quiet_pipe():  # the work goes on, whoever still listens
            sys.stdout.write(line_of(event) + "\n")


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
