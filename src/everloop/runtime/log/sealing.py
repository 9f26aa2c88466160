"""Sealing: a finished segment becomes Parquet. Done by the loop, never by the server."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.files import SCRATCH_PREFIX, storage_faults, sync_folder
from everloop.runtime.log.damage import Damage, tail_told
from everloop.runtime.log.part import DAMAGE, Part, is_sealed, read_open
from everloop.runtime.log.segment import SegmentName, segment_names

if TYPE_CHECKING:
    import polars as pl

_ROW_GROUP = 2**14
"""So many lines are found or left together: who asks for an hour of a part reads little else of it."""


def seal(folder: str | Path, known: Mapping[SegmentName, Part] | None = None) -> list[Path]:
    """Turns every segment but each worker's last into Parquet.

    The last one may still be written to; a worker that starts again begins a new one. Killed at any
    moment, the log reads the same before and after, and the next call goes on. What of a segment was damaged
    is kept with its predictions; a Parquet file that cannot be read is made again while its segment is there.

    Args:
        folder: The log's folder.
        known: What was read of segments before: the rest of each is read.

    Returns:
        The Parquet files with predictions that were made.

    Raises:
        StorageFull: When the disk has no room; nothing is lost.
    """
    folder = Path(folder)
    names = segment_names(folder) if folder.is_dir() else []
    last = {name.worker: name.number for name in names}
    made = []
    for name in names:
        if name.number == last[name.worker] or not name.segment(folder).exists():
            continue
        if not is_sealed(folder, name):
            part = None if known is None else known.get(name)
            # Of a part that was sealed already, and cannot be read as such, nothing is held.
            found = read_open(folder, name, None if part is None or part.sealed else part)
            damage = (*found.damage, *tail_told(name, found.end, found.left))
            # The predictions come last: their file is what says that the segment is sealed.
            _write_parquet(found.tables.refusals, name.sealed_refusals(folder))
            _write_parquet(found.tables.actuals, name.sealed_actuals(folder))
            _write_parquet(found.tables.predictions, name.sealed_predictions(folder), damage)
            made.append(name.sealed_predictions(folder))
        _remove(name, folder)
    return made


def _write_parquet(table: pl.DataFrame, path: Path, damage: tuple[Damage, ...] = ()) -> None:
    scratch = path.with_name(SCRATCH_PREFIX + path.name)
    with storage_faults(path):
        try:
            told = json.dumps([one.what for one in damage])
            told_with = {DAMAGE: told} if damage else None
            table.write_parquet(scratch, metadata=told_with, row_group_size=_ROW_GROUP)
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
            scratch.replace(path)
        finally:
            scratch.unlink(missing_ok=True)
        sync_folder(path.parent)


def _remove(name: SegmentName, folder: Path) -> None:
    name.segment(folder).unlink()
    sync_folder(folder)
