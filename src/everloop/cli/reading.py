"""What several verbs read from a lifecycle: its file, its workspace, a time, a version by its number."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.core.progress import Progress
    from everloop.loop.workspace import Workspace


@contextmanager
def opened(
    file: Path, progress: Progress | None = None, *, clock: Clock | None = None
) -> Iterator[Workspace]:
    """Opens the workspace of a lifecycle file, and closes it again.

    Raises:
        SpecFault: When the file is wrong.
        OutsideFault: When the record cannot be opened.
    """
    from everloop.core.progress import silent
    from everloop.loop.workspace import Workspace
    from everloop.spec import load

    with Workspace.open(load(file), clock=clock, progress=progress or silent) as workspace:
        yield workspace


def version_number(text: str) -> int | None:
    """Reads `v7` or `7`; None for anything else.

    Example:
        >>> version_number("v7"), version_number("7"), version_number("run_01J")
        (7, 7, None)
    """
    digits = text.removeprefix("v")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 10 else None


def optional_time(text: str | None) -> datetime | None:
    """Reads a time as an option gives it.

    Raises:
        UsageFault: When it is none.
    """
    from everloop.core.clock import parse_time

    return None if text is None else parse_time(text)


def shown_time(moment: datetime | None) -> str:
    """Writes a time to the minute, in UTC; a dash where there is none."""
    return "-" if moment is None else f"{moment:%Y-%m-%d %H:%M}"


def user_name() -> str:
    """Gives the name of who is logged in."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number without a name
        return "unknown"
