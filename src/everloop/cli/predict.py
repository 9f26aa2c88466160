"""`everloop predict`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer
from everloop.cli.progress import watching
from everloop.cli.reading import opened

if TYPE_CHECKING:
    from everloop.data.file_features import FileFeatures
    from everloop.runtime import Package


ROWS_HELP = "CSV, Parquet or JSON lines; a glob takes many. With --from: a table or a query."
OUTPUT_HELP = "Where to write: .parquet, .csv or .jsonl. With --to: a table."


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    rows: Annotated[str, typer.Argument(metavar="FILE", help=ROWS_HELP)],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="OUT", help=OUTPUT_HELP)],
    package: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A package; by default the champion's.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="A column to keep; by default all. Repeatable.")
    ] = None,
    origin: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Read from this database; env:NAME keeps it secret."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--to", metavar="URL", help="Write to a table of this database.")
    ] = None,
    replace_table: Annotated[
        bool, typer.Option("--replace", help="With --to: replace the table where it is there already.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin again instead of going on where scoring was stopped.")
    ] = False,
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Scores rows without a server; their number does not matter, they are read in parts.

    The columns `prediction` and `score` are appended: the chance of the positive class, of the chosen
    class where there are several, or the number of a regression. Features over other sources and in
    Python that the rows have no column of are made as they were known at each row's decision, from the
    lifecycle's sources; a row without its time is decided now. The output appears when all rows are
    scored; the same command goes on where it was stopped or killed.

    Example:
        everloop predict loans.parquet --output scored.parquet --keep id
        everloop predict loans.csv -o scored.csv --package ./package
        everloop predict "select * from loans" --from env:DATABASE_URL -o scored --to env:DATABASE_URL
    """
    from everloop.loop.scoring import DatabaseRows, DatabaseTable, FileRows, score_rows
    from everloop.runtime import Package

    with watching(context) as progress:
        features = _of_package(Package(package), file) if package is not None else champion_features(file)
        features = replace(features, progress=progress)
        loaded = features.package
        asked = FileRows(rows) if origin is None else DatabaseRows(rows, origin, progress=progress)
        written = output if target is None else DatabaseTable(str(output), target, replace=replace_table)
        count = score_rows(
            loaded,
            asked,
            written,
            keep=tuple(keep or ()),
            featured=features.add,
            fresh=fresh,
            progress=progress,
        )
    manifest = loaded.manifest
    facts = {"rows": count, "output": output, "lifecycle": manifest.lifecycle, "version": manifest.version}
    return Answer(
        facts, f"scored {count:,} rows with {manifest.lifecycle} v{manifest.version}; wrote {output}"
    )


def _of_package(package: Package, file: Path) -> FileFeatures:
    """Makes features from the lifecycle file, where there is one beside the package that is named."""
    from everloop.data.file_features import FileFeatures
    from everloop.spec import load

    there = file.is_file() or (file / DEFAULT_FILE).is_file()
    return FileFeatures(package, load(file) if there else None)


def champion_features(file: Path) -> FileFeatures:
    """Loads the package of the version that serves, with what makes its features.

    Raises:
        NotFound: When nothing was released yet.
    """
    from everloop.data.file_features import FileFeatures
    from everloop.deploy.versions import require_champion
    from everloop.record.rows import StepRow

    with opened(file) as workspace:
        version = require_champion(workspace.record, workspace.name, "predict with")
        package = workspace.served(version).package
        steps = workspace.record.find(StepRow, lifecycle=workspace.name, key=version.package)
        settings: dict[str, Any] = next(
            (step.facts["settings"] for step in steps if "settings" in step.facts), {}
        )
        functions = settings.get("features", {}).get("python", ())
        return FileFeatures(
            package,
            workspace.spec,
            kept=workspace.kept_folder,
            tables=workspace.tables,
            digests={one["name"]: one["digest"] for one in functions},
        )
