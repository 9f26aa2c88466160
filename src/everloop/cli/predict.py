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
    class where there are several, or the number of a regression. Features over other sources and in
    Python that the file has no column of are made as they were known at each row's decision, from the
    lifecycle's sources; a row without its time is decided now.

    Example:
        everloop predict loans.parquet --output scored.parquet --keep id
        everloop predict loans.csv -o scored.csv --package ./package
    """
    from everloop.cli.scoring import score_file
    from everloop.runtime import Package

    with watching(context) as progress:
        features = _of_package(Package(package), file) if package is not None else champion_features(file)
        features = replace(features, progress=progress)
        kept = tuple(keep or ())
        loaded = features.package
        rows = score_file(loaded, table, output, keep=kept, featured=features.add, progress=progress)
    manifest = loaded.manifest
    facts = {"rows": rows, "output": output, "lifecycle": manifest.lifecycle, "version": manifest.version}
    return Answer(
        facts, f"scored {rows:,} rows with {manifest.lifecycle} v{manifest.version}; wrote {output}"
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
