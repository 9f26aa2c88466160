"""`everloop report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.reading import opened

DEFAULT_OUTPUT = Path("report.html")


def command(
    identity: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A run, version (v7), window or decision; or backtest, the last one; else the whole story.",
        ),
    ] = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="PATH", help="The file to write.")
    ] = DEFAULT_OUTPUT,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Writes a self-contained HTML report of a run, version, window, decision or the whole lifecycle.

    Example:
        everloop report
        everloop report v7 --output card.html
        everloop report backtest
    """
    from everloop.console.pages import page_for
    from everloop.core.files import write_file
    from everloop.report import render

    path = writable(output)
    with opened(file) as workspace:
        page = page_for(workspace, identity)
    write_file(path, render(page).encode())
    facts = {"path": str(path), "title": page.title, "sections": [section.title for section in page.sections]}
    return Answer(facts, str(path))


def writable(output: Path) -> Path:
    """Gives the path of a report that can be written.

    Raises:
        UsageFault: When it is a folder, or in one that is not there.
    """
    from everloop.core.errors import UsageFault

    path = output.resolve()
    if path.is_dir() or not path.parent.is_dir():
        wrong = "is a folder" if path.is_dir() else "is in a folder that is not there"
        raise UsageFault(
            f"{output} {wrong}; a file was expected.", hint="everloop report --output report.html"
        )
    return path
