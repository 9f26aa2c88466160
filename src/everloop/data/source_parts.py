"""Sources that come in parts, files or increments: summarised when a snapshot is taken, judged afterwards.

What is kept with the snapshot are the numbers that each part is compared by (`everloop.data.partitions`), so
that judging reads no row again; a part that is kept out is taken out of its source, before any query.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.files import write_file
from everloop.data.partitions import FEWEST_PARTS, Numbers, Part, judge_numbers, summarise_parts
from everloop.table.schema import is_known

if TYPE_CHECKING:
    import polars as pl

    from everloop.data.sources import Reading

SUMMARY_FILE = "source-parts.json"
FEWEST_SAMPLED, MOST_SAMPLED, MOST_SAMPLED_IN_ALL = 1_000, 20_000, 2_000_000
"""A part is summarised by so many of its rows, taken evenly: what is looked for is no matter of decimals."""

_ROW, _PLACE = "__everloop_row", "__everloop_place"


def summarise_sources(readings: Mapping[str, Reading], folder: Path) -> None:
    """Keeps the numbers of each part of the sources that have enough parts to be judged.

    Args:
        readings: What the sources gave.
        folder: Gets `source-parts.json`, where there is such a source.
    """
    found = {
        name: _summary(name, reading).to_dict()
        for name, reading in readings.items()
        if len(reading.parts) > FEWEST_PARTS
    }
    if found:
        write_file(folder / SUMMARY_FILE, json.dumps(found).encode() + b"\n")


def _summary(name: str, reading: Reading) -> Numbers:
    import polars as pl

    rows = _rows(reading)
    known = [column for column, dtype in rows.collect_schema().items() if is_known(dtype)]
    most = max(FEWEST_SAMPLED, min(MOST_SAMPLED, MOST_SAMPLED_IN_ALL // len(reading.parts)))
    steps = pl.lit(pl.Series([max(1, part.rows // most) for part in reading.parts], dtype=pl.UInt32))
    place = pl.lit(_ends(reading)).search_sorted(pl.col(_ROW), side="right")
    sampled = rows.with_columns(place.alias(_PLACE)).filter(pl.col(_ROW) % steps.gather(pl.col(_PLACE)) == 0)
    table = sampled.select(*known, _PLACE).collect(engine="streaming")
    numbers = summarise_parts(table, _text(pl.col(_PLACE)), ignore=(_ROW, _PLACE))
    parts = [reading.parts[int(place)] for place in numbers.names]
    counts = np.array([part.rows for part in parts], dtype=np.float64)
    volume = np.log(counts) if all(part.sized for part in parts) else np.full(len(parts), np.nan)
    # The first part may be all there was before the others.
    volume[:1] = np.nan
    return Numbers(
        tuple(f"{name}:{part.name}" for part in parts),
        counts,
        {**numbers.values, ("", "volume", ""): volume},
        numbers.units,
    )


def judge_sources(
    folder: Path, *, ignore: Collection[str] = (), released: Collection[str] = ()
) -> dict[str, tuple[Part, ...]]:
    """Looks for parts of sources that are unlike all earlier ones.

    Args:
        folder: The snapshot's.
        ignore: Columns that say nothing here, such as the target, whose actuals come late.
        released: Parts that a person said are right.

    Returns:
        For each source that comes in parts all of them, in order.
    """
    path = folder / SUMMARY_FILE
    if not path.is_file():
        return {}
    found: dict[str, Any] = json.loads(path.read_bytes())
    return {
        name: judge_numbers(Numbers.from_dict(one).without(ignore), released=released)
        for name, one in found.items()
    }


def take_out(
    readings: Mapping[str, Reading], out: Mapping[str, Collection[str]], scratch: Path, folder: Path
) -> dict[str, Reading]:
    """Takes parts out of what the sources gave.

    Args:
        readings: It.
        out: For some of the sources the names of parts.
        scratch: Where what stays is written.
        folder: Where the rows of each such source that were taken out are kept.
    """
    import polars as pl

    left = dict(readings)
    for number, (name, parts) in enumerate(sorted(out.items())):
        reading = readings[name]
        places = [place for place, part in enumerate(reading.parts) if f"{name}:{part.name}" in parts]
        place = pl.lit(_ends(reading)).search_sorted(pl.col(_ROW), side="right")
        is_out, kept = place.is_in(places), scratch / f"kept-{number}.parquet"
        rows = _rows(reading)
        rows.filter(~is_out).drop(_ROW).sink_parquet(kept)
        rows.filter(is_out).drop(_ROW).sink_parquet(folder / f"quarantined-{number}.parquet")
        stay = tuple(part for place, part in enumerate(reading.parts) if place not in places)
        left[name] = replace(reading, files=(kept,), parts=stay)
    return left


def _rows(reading: Reading) -> pl.LazyFrame:
    import polars as pl

    files = [pl.scan_parquet(file) for file in reading.files]
    return pl.concat(files, how="diagonal_relaxed").with_row_index(_ROW)


def _ends(reading: Reading) -> pl.Series:
    import polars as pl

    return pl.Series([part.rows for part in reading.parts], dtype=pl.UInt32).cum_sum()


def _text(place: pl.Expr) -> pl.Expr:
    """Writes places so that their texts sort as they do."""
    import polars as pl

    return place.cast(pl.String).str.zfill(9)
