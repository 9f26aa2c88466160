"""`everloop package`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.output import Answer

if TYPE_CHECKING:
    from everloop.runtime.manifest import Manifest


class Runtime(StrEnum):
    """What answers."""

    graph = "graph"
    python = "python"


def command(  # noqa: PLR0913, PLR0917  (one for each option)
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A file: .skops, .cbm, .ubj, .json, .keras, .onnx or .mar; or a SavedModel's folder.",
        ),
    ],
    sample: Annotated[
        Path, typer.Option("--sample", "-s", metavar="FILE", help="Rows such as the model will see.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="Where the package goes; not there yet.")
    ] = Path("package"),
    classes: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="The classes in the order of the outputs; none means a number."),
    ] = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="The lifecycle's name.")] = "model",
    version: Annotated[int, typer.Option(metavar="N", help="The version's number.")] = 1,
    target: Annotated[
        str, typer.Option(metavar="NAME", help="What the prediction is called.")
    ] = "prediction",
    runtime: Annotated[
        Runtime | None,
        typer.Option(
            help="graph refuses what does not compile, python compiles nothing; else what can be is."
        ),
    ] = None,
) -> Answer:
    """Makes a package of a model that was trained elsewhere, and proves that it answers as the model does.

    Nothing in a file or folder is executed; a pickle is refused. What cannot be compiled serves in a Python
    runtime, by its own library, and the package says so.

    Example:
        everloop package churn.cbm --sample customers.parquet --out churn
        everloop package net.onnx --sample rows.csv --classes no,yes --out net
        everloop package models/churn/3 --sample rows.csv --classes no,yes --out churn-3
    """
    from everloop.model import package as make
    from everloop.model.foreign_file import read_model

    labels = tuple(label.strip() for label in classes.split(",")) if classes else ()
    found = read_model(model, classes=labels)
    manifest = make(
        found,
        out,
        sample=sample,
        name=name,
        version=version,
        target=target,
        classes=labels,
        runtime=None if runtime is None else runtime.value,
    )
    facts = {
        "package": out,
        "task": manifest.task,
        "classes": manifest.classes,
        "runtime": manifest.runtime,
        "requirements": manifest.requirements,
    }
    told = f"wrote {out}: {manifest.lifecycle} v{manifest.version}, {manifest.task}, proven equal to {model}"
    return Answer(facts, told + _runtime_told(manifest, out))


def _runtime_told(manifest: Manifest, out: Path) -> str:
    """Says what a package that was not compiled costs, and why it was not."""
    if manifest.runtime == "graph":
        return ""
    from everloop.model.packaging import read_certificate

    reason = read_certificate(out)["absent"]["graph"]
    needed = ", ".join(f"{name} {version}" for name, version in manifest.requirements.items())
    return f"\nIt serves in a Python runtime, slower than compiled, and needs {needed}.\nWhy: {reason}"
