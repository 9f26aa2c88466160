"""The rows that a snapshot's sources could not read, kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.data.sources import Reading

BAD_ROWS_FILE = "bad-rows.parquet"
EXAMPLES = 5


def keep_bad_rows(readings: Mapping[str, Reading], folder: Path) -> dict[str, Any]:
    """Writes what the sources could not read into one file, with the source's name beside each row.

    Args:
        readings: What each source gave.
        folder: The snapshot's folder; it gets `bad-rows.parquet` where there is any.

    Returns:
        Source -> how many ``rows``, and ``examples`` with file, line and reason; those without any are
        left out.
    """
    import polars as pl

    tables = {
        name: pl.read_parquet(reading.bad_rows) for name, reading in readings.items() if reading.bad_rows
    }
    if not tables:
        return {}
    named = [table.select(pl.lit(name).alias("source"), pl.all()) for name, table in tables.items()]
    pl.concat(named).write_parquet(folder / BAD_ROWS_FILE)
    return {
        name: {
            "rows": table.height,
            "examples": table.head(EXAMPLES).select("file", "line", "reason", "unit").to_dicts(),
        }
        for name, table in tables.items()
    }


def keep_notes(readings: Mapping[str, Reading]) -> list[str]:
    """Gives what the sources say of their content, each note with its source's name."""
    return [f"{name}: {note}" for name, reading in readings.items() for note in reading.notes]


def told(bad_rows: Mapping[str, Any]) -> list[str]:
    """Says of each source in a sentence what was kept aside, with the first place."""
    sentences = []
    for name, found in bad_rows.items():
        first = found["examples"][0]
        # What has no line is a whole file, which its reason names.
        one = "1 bad row" if first["line"] is not None else "1 file"
        what = one if found["rows"] == 1 else f"{found['rows']:,} bad rows"
        where = first["reason"]
        if first["line"] is not None:
            where = f"{Path(first['file']).name}, {first['unit']} {first['line']}: {where}"
        sentences.append(f"{what} of {name} kept aside in {BAD_ROWS_FILE} ({where})")
    return sentences
