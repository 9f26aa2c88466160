"""`everloop package`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from everloop.cli.output import Answer


def command(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="A file: .skops, .cbm, .ubj, .txt, .pt2, .keras, .onnx ..."),
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
) -> Answer:
    """Makes a package of a model that was trained elsewhere, and proves that it answers as the model does.

    Nothing in the file is executed; a pickle is refused.

    Example:
        everloop package churn.cbm --sample customers.parquet --out package
        everloop package net.onnx --sample rows.csv --classes no,yes
    """
    from everloop.model import package as make
    from everloop.model.foreign_file import read_model

    labels = tuple(label.strip() for label in classes.split(",")) if classes else ()
    found = read_model(model, classes=labels)
    manifest = make(found, out, sample=sample, name=name, version=version, target=target, classes=labels)
    facts = {"package": out, "task": manifest.task, "classes": manifest.classes, "runtime": manifest.runtime}
    told = f"wrote {out}: {manifest.lifecycle} v{manifest.version}, {manifest.task}, proven equal to {model}"
    return Answer(facts, told)
