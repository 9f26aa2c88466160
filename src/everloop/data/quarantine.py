"""Keeping parts of a snapshot out of training that are unlike all earlier parts."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.digest import digest_file
from everloop.core.files import scratch_folder, write_file
from everloop.core.values import to_jsonable
from everloop.data.partitions import Part, judge_parts
from everloop.data.snapshots import SNAPSHOT_FILE, TABLE_FILE, Snapshot
from everloop.data.source_parts import judge_sources
from everloop.data.steps import SETTINGS_FILE, take_as_set
from everloop.table.acting import known_later

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import LifecycleSpec

PARTS_FILE = "parts.json"
KEPT_OUT_FILE = "quarantined.parquet"
MANY_PARTS = 20
SPANS: dict[str, tuple[timedelta, str]] = {
    "month": (timedelta(days=30), "%Y-%m"),
    "week": (timedelta(days=7), "%G-W%V"),
    "day": (timedelta(days=1), "%Y-%m-%d"),
    "hour": (timedelta(hours=1), "%Y-%m-%dT%H"),
}
"""Spans of time that a table is parted by: their length, and how a part is named."""


def span_of(first: datetime, last: datetime) -> str | None:
    """Chooses the longest span of which many fit between two times; None where the hour is too long."""
    return next((name for name, (length, _) in SPANS.items() if (last - first) / length >= MANY_PARTS), None)


def quarantine_settings(spec: LifecycleSpec, released: Collection[str]) -> dict[str, Any]:
    """Gives the settings of `quarantine_step`.

    Args:
        spec: The lifecycle file.
        released: The parts that a person said are right.
    """
    later = [name for name in (spec.problem.target, spec.problem.label_time) if name]
    later += known_later(spec.goal, spec.problem)
    return {"ignore": later, "released": sorted(released)}


def quarantine_step(
    folder: Path,
    settings: dict[str, Any],
    inputs: dict[str, Path],
    *,
    home: Path,
    kept: Path | None = None,
    tables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Looks for corrupted parts of a snapshot and takes them out.

    A part is a file of a source of many files, an increment of a source that is read on from a cursor,
    and a span of time: the longest of month, week, day and hour of which there are twenty. A snapshot
    with neither, or with too short a history, is taken as it is.

    Args:
        folder: Gets `parts.json`; where a part is kept out also the snapshot without it, and the rows
            that were kept out: of a span in `quarantined.parquet`, of a source in `quarantined-0.parquet`.
        settings: What `quarantine_settings` gave.
        inputs: `snapshot`, its folder.
        home: The lifecycle's folder; as `kept` and `tables` for the snapshot that is taken again.
        kept: Where sources keep what they have read.
        tables: Tables handed in from Python.

    Returns:
        The span, how many parts there are and were judged, and those that are kept out or released.
    """
    snapshot = Snapshot.load(inputs["snapshot"])
    sources = judge_sources(snapshot.folder, ignore=settings["ignore"], released=settings["released"])
    without = {name: [part.name for part in parts if part.quarantined] for name, parts in sources.items()}
    without = {name: parts for name, parts in without.items() if parts}
    with scratch_folder(folder) as scratch:
        if without:
            again = json.loads((snapshot.folder / SETTINGS_FILE).read_bytes())
            target = scratch / "snapshot"
            target.mkdir()
            snapshot = take_as_set(target, again, home=home, kept=kept, tables=tables, without=without)
        span = span_of(*snapshot.time_range) if snapshot.time and snapshot.time_range else None
        spans = _judged(snapshot, span, settings) if span else ()
        out = [part.name for part in spans if part.quarantined]
        if span and out:
            _take_out(snapshot, _part(snapshot, span), out, folder)
        elif without:
            for path in snapshot.folder.iterdir():
                path.rename(folder / path.name)
    parts = [*(part for one in sources.values() for part in one), *spans]
    write_file(folder / PARTS_FILE, json.dumps(to_jsonable(parts), indent=2).encode())
    return {
        "span": span,
        "parts": len(parts),
        "judged": sum(part.judged for part in parts),
        "quarantined": [_told(part) for part in parts if part.quarantined],
        "released": [part.name for part in parts if part.released],
    }


def _judged(snapshot: Snapshot, span: str, settings: dict[str, Any]) -> tuple[Part, ...]:
    ignore = (*settings["ignore"], str(snapshot.time))
    return judge_parts(
        snapshot.lazy(),
        _part(snapshot, span),
        ignore=ignore,
        released=tuple(settings["released"]),
        # The part of the snapshot's own time is not over yet.
        growing=snapshot.as_of.strftime(SPANS[span][1]),
    )


def _part(snapshot: Snapshot, span: str) -> pl.Expr:
    import polars as pl

    return pl.col(str(snapshot.time)).dt.strftime(SPANS[span][1])


def _told(part: Part) -> dict[str, Any]:
    numbers: list[Any] = to_jsonable(part.unlike)
    return {"part": part.name, "rows": part.rows, "reason": part.reason, "unlike": numbers}


def _take_out(snapshot: Snapshot, part: pl.Expr, names: list[str], folder: Path) -> None:
    """Writes the snapshot without some of its parts; what lies beside its table stays with it."""
    import polars as pl

    out = part.is_in(names).fill_null(value=False)
    for expression, name in ((~out, TABLE_FILE), (out, KEPT_OUT_FILE)):
        snapshot.lazy().filter(expression).sink_parquet(folder / name, compression="zstd")
    for path in snapshot.folder.rglob("*"):
        target = folder / path.relative_to(snapshot.folder)
        if path.is_file() and path.name not in {TABLE_FILE, SNAPSHOT_FILE}:
            target.parent.mkdir(parents=True, exist_ok=True)
            _same_file(path, target)
    time = pl.col(str(snapshot.time))
    low, high, rows = (
        pl.scan_parquet(folder / TABLE_FILE)
        .select(time.min().alias("low"), time.max().alias("high"), pl.len())
        .collect()
        .row(0)
    )
    kept = replace(
        snapshot,
        folder=folder,
        digest=digest_file(folder / TABLE_FILE),
        rows=int(rows),
        time_range=None if low is None else (low, high),
    )
    kept.save()


def _same_file(path: Path, target: Path) -> None:
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)
