"""Parquet files, checked before they are used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.sources.bad_rows import BadRows
from everloop.data.sources.text_file import FoundFile


def whole_parquet(files: Sequence[FoundFile], bad: BadRows) -> list[FoundFile]:
    """Opens each file's footer and holds their columns against each other; gives those that are right.

    Where bad files are kept aside every value is read, so that one that is damaged inside is found
    before its rows are joined with others.

    Raises:
        SourceUnreadable: When a file is damaged or has other columns than the first, and such files
            are refused.
    """
    right: list[FoundFile] = []
    first: list[str] | None = None
    for file in files:
        try:
            names = _columns(file, deep=bad.kept)
            if first is not None and set(names) != set(first):
                raise unlike(file.name, names, right[0].name, first)
        except SourceUnreadable as error:
            bad.lose_file(file.name, error)
            continue
        first = first or names
        right.append(file)
    return right


def _columns(file: FoundFile, *, deep: bool) -> list[str]:
    parquet = require("pyarrow.parquet", extra="train")
    arrow = require("pyarrow", extra="train")
    try:
        with parquet.ParquetFile(file.path) as opened:
            names = list(opened.schema_arrow.names)
            if deep:
                for _ in opened.iter_batches(batch_size=65_536):
                    pass
    except PermissionError as error:
        raise SourceUnreachable(f"{file.name} may not be read.", hint=f"ls -l {file.path}") from error
    except (arrow.ArrowException, OSError, ValueError) as error:
        raise SourceUnreadable(
            f"{file.name} is not a whole Parquet file: {_sentence(error)}",
            hint="write or copy the file again",
        ) from error
    return names


def unlike(file: str, names: list[str], first_file: str, first: list[str]) -> SourceUnreadable:
    """Makes the error about a file whose columns differ from those of the first file."""
    missing = [name for name in first if name not in names]
    extra = [name for name in names if name not in first]
    parts = [f"lacks {', '.join(missing)}"] * bool(missing) + [f"adds {', '.join(extra)}"] * bool(extra)
    return SourceUnreadable(
        f"{file} has other columns than {Path(first_file).name}: it {' and '.join(parts)}.",
        hint="make a source of it by itself and unite the two in data.table",
    )


def _sentence(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") + "."
