"""`everloop data`: the data phase alone, on any table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli import contracts
from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer

if TYPE_CHECKING:
    from everloop.data import ColumnProfile, Profile
    from everloop.report import Picture

Table = Annotated[str, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines; a glob takes many.")]


def profile(
    file: Table,
    html_file: Annotated[
        Path | None, typer.Option("--html", metavar="OUT", help="Write the profile as a page, too.")
    ] = None,
) -> Answer:
    """Shows what a table holds, column by column.

    Example:
        everloop data profile loans.parquet --html profile.html
    """
    from everloop import data
    from everloop.core.files import write_file

    found = data.profile(file)
    text = str(found)
    if html_file is not None:
        write_file(html_file, _page(f"Profile of {file}", found).encode())
        text += f"\nwrote {html_file}"
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


def _page(title: str, found: Profile) -> str:
    """Draws a profile as a page of its own, with a picture of each column of numbers."""
    from everloop.report import Page, Section, render
    from everloop.report import Table as Rows

    headings = ["column", "type", "missing", "distinct", "low", "high", "notes"]
    rows = [_row(one) for one in found.columns]
    pictures = [_picture(one) for one in found.columns if _is_spread(one)]
    subtitle = f"{found.rows:,} rows, {found.duplicates:,} repeated"
    sections = [Section("Columns", [Rows(headings, rows)]), Section("Numbers", pictures)]
    return render(Page(title, subtitle, [one for one in sections if one.blocks]))


def _row(column: ColumnProfile) -> list[Any]:
    missing, notes = f"{column.missing_share:.1%}", ", ".join(column.notes)
    return [column.name, column.type, missing, column.distinct, column.low, column.high, notes]


def _is_spread(column: ColumnProfile) -> bool:
    return bool(column.histogram) and isinstance(column.low, (int, float)) and column.low < column.high


def _picture(column: ColumnProfile) -> Picture:
    from everloop.report import Picture
    from everloop.report.pictures import histogram

    low, high, bins = float(column.low), float(column.high), len(column.histogram)
    edges = [low + (high - low) * place / bins for place in range(bins + 1)]
    shares = [count / max(1, sum(column.histogram)) for count in column.histogram]
    return Picture(
        histogram({column.name: (edges, shares)}, x_label=column.name), f"Values of {column.name}."
    )


COMMANDS: dict[str, Callable[..., Answer]] = {
    "learn": contracts.learn,
    "check": contracts.check,
    "profile": profile,
    "diff": diff,
}
"""The verbs of `everloop data`."""
