"""`everloop data`: the data phase alone, on any table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from everloop.cli import contracts, exchange, quarantine
from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer

Table = Annotated[str, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines; a glob takes many.")]


def profile(
    file: Table,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="OUT", help="Write the profile as a page (.html), too."),
    ] = None,
) -> Answer:
    """Shows what a table holds, column by column, and what in it is worth a look.

    Example:
        everloop data profile loans.parquet --output profile.html
    """
    from everloop import data

    found = data.profile(file)
    text = str(found)
    if output is not None:
        found.save(output, f"Profile of {file}")
        text += f"\nwrote {output}"
    return Answer(found.to_dict(), text)


def diff(
    before: Annotated[str, typer.Argument(metavar="A", help="A table, a snapshot's folder, or its id.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    key: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column that tells rows apart; found where there is one."),
    ] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Compares two tables or snapshots: columns, rows by their key, and distributions.

    A snapshot is named by its folder, its run, or the first letters of its digest.

    Example:
        everloop data diff loans-may.parquet loans-june.parquet --key loan_id
        everloop data diff run_01JD2Q8M2V9S1R7T4W6Y8Z0A2C 3f9a2c7d
    """
    from everloop import data

    found = data.diff(_table(before, file), _table(after, file), key=key)
    return Answer(found.to_dict(), str(found))


def _table(name: str, file: Path) -> Any:
    """Gives a path as it is, and the snapshot where a name is none and could be that of one."""
    from everloop.cli.reading import opened
    from everloop.loop.taken import find_snapshot, names_snapshot

    if Path(name).exists() or not names_snapshot(name):
        return name
    with opened(file) as workspace:
        return find_snapshot(workspace, name)


COMMANDS: dict[str, Callable[..., Answer] | dict[str, Callable[..., Answer]]] = {
    "learn": contracts.learn,
    "check": contracts.check,
    "export": exchange.export,
    "import": exchange.import_,
    "quarantine": quarantine.COMMANDS,
    "profile": profile,
    "diff": diff,
}
"""The verbs of `everloop data`."""
