"""Parquet files, checked before they are used."""

from __future__ import annotations

from pathlib import Path

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require


def check_parquet(paths: tuple[Path, ...]) -> None:
    """Opens each file's footer and holds their columns against each other.

    Raises:
        SourceUnreadable: When a file is damaged or has other columns than the first.
    """
    parquet = require("pyarrow.parquet", extra="train")
    arrow = require("pyarrow", extra="train")
    first: list[str] | None = None
    for path in paths:
        try:
            names = list(parquet.read_schema(path).names)
        except PermissionError as error:
            raise SourceUnreachable(f"{path} may not be read.", hint=f"ls -l {path}") from error
        except (arrow.ArrowException, OSError, ValueError) as error:
            raise SourceUnreadable(
                f"{path} is not a whole Parquet file: {_sentence(error)}", hint="write or copy the file again"
            ) from error
        if first is None:
            first = names
        elif set(names) != set(first):
            raise unlike(path, names, paths[0], first)


def unlike(path: Path, names: list[str], first_path: Path, first: list[str]) -> SourceUnreadable:
    """Makes the error about a file whose columns differ from those of the first file."""
    missing = [name for name in first if name not in names]
    extra = [name for name in names if name not in first]
    parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"adds {', '.join(extra)}"] * bool(extra)
    return SourceUnreadable(
        f"{path} has other columns than {first_path.name}: it {' and '.join(parts)}.",
        hint="make a source of it by itself and unite the two in data.table",
    )


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."
