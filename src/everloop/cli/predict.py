"""`everloop predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened

if TYPE_CHECKING:
    from everloop.runtime import Package


def command(
    context: typer.Context,
    table: Annotated[
        str, typer.Argument(metavar="FILE", help="CSV, Parquet or JSON lines; a glob takes many.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="Where to write: .parquet or .csv.")
    ],
    package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A package; by default the champion's.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to keep; by default all. Repeatable.")
    ] = None,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Scores a file without a server; its size does not matter, it is read in batches.

    The columns `prediction` and `score` are appended: the chance of the positive class, of the chosen
    class where there are several, or the number of a regression.

    Example:
        everloop predict loans.parquet --output scored.parquet --keep id
        everloop predict loans.csv -o scored.csv --package ./package
    """
    from everloop.cli.scoring import score_file
    from everloop.runtime import Package

    loaded = Package(package) if package is not None else champion_package(file)
    with watching(context) as progress:
        rows = score_file(loaded, table, output, keep=tuple(keep or ()), progress=progress)
    manifest = loaded.manifest
    facts = {"rows": rows, "output": output, "lifecycle": manifest.lifecycle, "version": manifest.version}
    return Answer(
        facts, f"scored {rows:,} rows with {manifest.lifecycle} v{manifest.version}; wrote {output}"
    )


def champion_package(file: Path) -> Package:
    """Loads the package of the version that serves.

    Raises:
        NotFound: When nothing was released yet.
    """
    from everloop.core.errors import NotFound
    from everloop.deploy.release import PACKAGE_FOLDER
    from everloop.deploy.versions import champion
    from everloop.runtime import Package

    with opened(file) as workspace:
        version = champion(workspace.record, workspace.name)
        if version is None:
            raise NotFound(
                f"{workspace.name} has no champion yet, so there is nothing to predict with.",
                hint="everloop run; or name a package with --package DIR",
            )
        return Package(workspace.store.open(version.package) / PACKAGE_FOLDER)
