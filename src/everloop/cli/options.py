"""Options that several verbs have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

LifecycleFile = Annotated[
    Path, typer.Option("--file", "-f", metavar="PATH", help="The lifecycle file, or its folder.")
]
LifecycleFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--file",
        "-f",
        metavar="PATH",
        help="The lifecycle file, or its folder; may be given again for another lifecycle.",
    ),
]
DEFAULT_FILE = Path("everloop.yaml")
Trusted = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="With --package: a public key that must have signed it; may be given again."
    ),
]
