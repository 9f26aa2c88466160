"""Rows that a source gives again because its cursor stands on their value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class Repeats:
    """Leaves out of a reading what was kept before it, each kept row as often as it is there.

    A kept row is taken for a new one's twin when all columns that both have are equal. It is a twin
    once: where two equal rows were kept and three come, one is new.

    Args:
        kept: The Parquet files of all that was kept before this reading.
    """

    def __init__(self, kept: Sequence[Path]) -> None:
        self._kept = kept
        self._used: Counter[str] = Counter()

    def without(self, files: Sequence[Path], cursor: str, scratch: Path) -> tuple[Path, ...]:
        """Gives files without the rows that were kept before.

        Args:
            files: Parquet files of one schema.
            cursor: The column by whose values the two may overlap.
            scratch: Where they are written.
        """
        import polars as pl

        last = self._last(cursor)
        if last is None:
            return tuple(files)
        result = []
        for place, file in enumerate(files):
            lazy = _scan(file)
            early = lazy.filter(pl.col(cursor) <= last).collect()
            if early.is_empty():
                result.append(file)
                continue
            new = self._new(early, cursor)
            target = scratch / f"new-{place:06d}.parquet"
            later = lazy.filter(pl.col(cursor) > last)
            pl.concat([new.lazy(), later]).sink_parquet(target, compression="zstd")
            result.append(target)
        return tuple(result)

    def _last(self, cursor: str) -> Any:
        import polars as pl

        lasts = [_scan(file).select(pl.col(cursor).max()).collect().item() for file in self._kept]
        return max((one for one in lasts if one is not None), default=None)

    def _new(self, early: pl.DataFrame, cursor: str) -> pl.DataFrame:
        """Leaves out of rows up to the last kept value those that are kept."""
        import polars as pl

        first = early[cursor].min()
        held = [_scan(file).filter(pl.col(cursor) >= first).collect() for file in self._kept]
        held = [frame for frame in held if not frame.is_empty()]
        shared = [name for name in early.columns if all(name in frame.columns for frame in held)]
        there = Counter(text for frame in held for text in _texts(frame, shared))
        there.subtract({text: used for text, used in self._used.items() if text in there})
        fresh = []
        for text in _texts(early, shared):
            fresh.append(there[text] <= 0)
            if not fresh[-1]:
                there[text] -= 1
                self._used[text] += 1
        return early.filter(pl.Series(fresh, dtype=pl.Boolean))


def _scan(file: Path) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(file, glob=False)


def _texts(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """Writes each row as a text that equal rows share."""
    import polars as pl

    return frame.select(pl.struct(columns).struct.json_encode()).to_series().to_list()
