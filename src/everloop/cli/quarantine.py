"""`everloop data quarantine`: parts of the data that are kept out of training."""

from __future__ import annotations

import getpass
from collections.abc import Callable
from typing import Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.reading import opened


def listed(file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Shows the parts that were kept out of training, and why.

    Example:
        everloop data quarantine list
    """
    from everloop.core.values import to_jsonable
    from everloop.loop.quarantine import kept_out

    with opened(file) as workspace:
        found = kept_out(workspace)
    lines = []
    for one in found:
        state = "released" if one.released else "kept out"
        lines.append(f"{one.part}  {state}  {one.decision.id}\n  {one.decision.reason}")
        if one.released:
            lines.append(f"  {one.released.reason}")
    if any(one.released is None for one in found):
        lines.append("next: everloop data quarantine release PART, where a part is right as it is")
    return Answer({"parts": to_jsonable(found)}, "\n".join(lines) or "no part is kept out")


def release(
    part: Annotated[str, typer.Argument(metavar="ID", help="The part, or the decision that kept it out.")],
    file: LifecycleFile = DEFAULT_FILE,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept with the decision.")] = "",
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who decides; by default who is logged in.")
    ] = None,
) -> Answer:
    """Says that a part is right; the next run trains on it again.

    Example:
        everloop data quarantine release 2026-05 --reason "the shop was closed for two weeks"
    """
    from everloop.core.values import to_jsonable
    from everloop.loop.quarantine import release_part

    with opened(file) as workspace:
        decision = release_part(workspace, part, by=by or getpass.getuser(), reason=reason)
    return Answer(to_jsonable(decision), f"{decision.reason}\nnext: everloop run")


COMMANDS: dict[str, Callable[..., Answer]] = {"list": listed, "release": release}
"""The verbs of `everloop data quarantine`."""
