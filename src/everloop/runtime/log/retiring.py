"""Retiring: sealed parts of the prediction log that are too old, or too many, are removed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from everloop.core.clock import as_utc
from everloop.core.files import sync_folder
from everloop.runtime.log.segment import SegmentName, segment_names

_NEVER = datetime.min.replace(tzinfo=UTC)


def retire(
    folder: str | Path, *, before: datetime | None = None, most_bytes: int | None = None
) -> list[Path]:
    """Removes sealed parts, the oldest first; what is not sealed yet always stays.

    Args:
        folder: The log's folder.
        before: Parts whose every line is older are removed.
        most_bytes: The oldest parts are removed until the whole folder takes no more than this.

    Returns:
        The files with predictions that were removed. An actual that comes later for one of their
        predictions stands alone, as one for nobody does. A part that cannot be read is left.
    """
    folder = Path(folder)
    names = segment_names(folder) if folder.is_dir() else []
    sealed = [name for name in names if name.sealed_predictions(folder).exists()]
    found = {name: _end(folder, name) for name in sealed}
    ends = {name: end for name, end in found.items() if end is not None}
    taken = sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) if names else 0
    removed = []
    for name in sorted(ends, key=lambda name: ends[name]):
        old = before is not None and ends[name] < as_utc(before)
        if not old and (most_bytes is None or taken <= most_bytes):
            continue
        taken -= sum(path.stat().st_size for path in _files(folder, name))
        # The predictions go first: without them the part is no part, whatever else is left of it.
        for path in _files(folder, name):
            path.unlink()
        removed.append(name.sealed_predictions(folder))
    if removed:
        sync_folder(folder)
    return removed


def _files(folder: Path, name: SegmentName) -> list[Path]:
    return [path for path in name.sealed(folder) if path.exists()]


def _end(folder: Path, name: SegmentName) -> datetime | None:
    """Gives the latest time of any line of a part; None where its predictions cannot be read."""
    import polars as pl

    ends = []
    for path in _files(folder, name):
        try:
            ends.append(_latest(path))
        except (ValueError, pl.exceptions.PolarsError):  # pyarrow's faults are of ValueError
            if path == name.sealed_predictions(folder):
                return None
    return max((as_utc(end) for end in ends if end is not None), default=_NEVER)


def _latest(path: Path) -> datetime | None:
    """Gives the latest time in a file, from its footer; None where it has no line.

    This is asked of every part at every tick, so lines are read only of a file whose footer does not say it.
    """
    import polars as pl
    from pyarrow import parquet

    told = parquet.read_metadata(path)
    place = told.schema.names.index("time")
    found = [told.row_group(group).column(place).statistics for group in range(told.num_row_groups)]
    if all(one is not None and one.has_min_max for one in found):
        return max((one.max for one in found), default=None)
    latest: datetime | None = pl.scan_parquet(path).select(pl.col("time").max()).collect().item()
    return latest
