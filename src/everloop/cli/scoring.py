"""Scoring a file of any size: batches of rows in, batches of rows out, whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from everloop.core.errors import UsageFault
from everloop.core.files import scratch_folder, storage_faults, sync_folder
from everloop.core.progress import Event, Progress, silent
from everloop.core.tasks import decides_by
from everloop.runtime.decision import watched_score

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.runtime import Package

BATCH_ROWS = 65_536
PREDICTION, SCORE = "prediction", "score"


class _Writer(Protocol):
    def write(self, batch: pl.DataFrame) -> None: ...

    def close(self) -> None: ...


def score_file(
    package: Package,
    source: str | Path,
    output: Path,
    *,
    keep: Sequence[str] = (),
    featured: Callable[[Path, Path], Path] | None = None,
    progress: Progress = silent,
    batch_rows: int = BATCH_ROWS,
) -> int:
    """Scores every row of a file and writes it with `prediction` and `score` appended.

    Args:
        package: What answers.
        source: A path or glob that `as_lazy` reads.
        output: Ends in `.parquet` or `.csv`; it appears when all rows are scored.
        keep: The columns to keep; empty keeps all.
        featured: Gives rows with the features that they lack, from a Parquet file and a scratch folder.
        progress: Is told how far it is.
        batch_rows: Rows that are in memory at a time.

    Returns:
        The number of rows.

    Raises:
        UsageFault: When the output's format is unknown, it is the input, or a column is not there.
        DataFault: When the file cannot be read or lacks a column of the model.
    """
    import pyarrow.parquet as pq

    if output.suffix not in _WRITERS:
        raise UsageFault(
            f"{output.name} must end in {' or '.join(_WRITERS)}.", hint="--output scored.parquet"
        )
    if Path(source).resolve() == output.resolve():
        raise UsageFault(f"{output} is the input; it is not overwritten.", hint="--output scored.parquet")
    with scratch_folder(output.parent) as scratch:
        landed = _landed(source, scratch)
        names = _kept(pq.read_schema(landed).names, keep)
        landed = featured(landed, scratch) if featured else landed
        with pq.ParquetFile(landed) as file:
            work = scratch / f"scored{output.suffix}"
            total, done = file.metadata.num_rows, 0
            with storage_faults(output), _writing(work) as writer:
                writer.write(_scored(package, _empty(file.schema_arrow), names))
                for batch in _batches(file, batch_rows):
                    writer.write(_scored(package, batch, names))
                    done += batch.height
                    progress(Event("predict", f"{done:,} of {total:,} rows", fraction=done / total))
            _publish(work, output)
    return done


def _landed(source: str | Path, scratch: Path) -> Path:
    """Gives the rows as one Parquet file: the input itself, or a copy made in a stream."""
    from everloop.table.tables import as_lazy

    path = Path(source)
    lazy = as_lazy(source)
    if path.suffix == ".parquet" and path.is_file():
        return path
    landed = scratch / "landed.parquet"
    lazy.sink_parquet(landed)
    return landed


def _batches(file: Any, batch_rows: int) -> Iterator[pl.DataFrame]:
    import polars as pl

    for batch in file.iter_batches(batch_size=batch_rows):
        frame = pl.from_arrow(batch)
        if isinstance(frame, pl.DataFrame) and frame.height:
            yield frame


def _empty(schema: Any) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(schema.empty_table())
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _kept(columns: Sequence[str], keep: Sequence[str]) -> list[str]:
    from difflib import get_close_matches

    for name in keep:
        if name not in columns:
            near = get_close_matches(name, columns, n=1, cutoff=0.4)
            raise UsageFault(
                f"--keep names {name!r}, which the file does not have; it has {', '.join(columns)}.",
                hint=f"--keep {near[0]}" if near else None,
            )
    names = list(dict.fromkeys(keep)) or list(columns)
    taken = [name for name in (PREDICTION, SCORE) if name in names]
    if taken:
        raise UsageFault(
            f"The file has a column {taken[0]!r} already, which would be written.",
            hint="name the columns to keep: --keep id",
        )
    return names


def _scored(package: Package, batch: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    import polars as pl

    scores = package.scores(batch)
    kind = pl.Float64 if decides_by(package.manifest.task, "number") else pl.String
    decided = package.decide(scores, batch).tolist()
    if decides_by(package.manifest.task, "items"):  # a list has no place in a CSV file
        decided = [json.dumps(items, ensure_ascii=False) for items in decided]
    prediction = pl.Series(PREDICTION, decided, dtype=kind)
    score = pl.Series(SCORE, watched_score(_single(scores), package.manifest.task), dtype=pl.Float64)
    return batch.select(names).with_columns(prediction, score)


def _single(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores if scores.shape[1] > 1 else scores[:, 0]


@contextmanager
def _writing(path: Path) -> Iterator[_Writer]:
    writer = _WRITERS[path.suffix](path)
    try:
        yield writer
    finally:
        writer.close()


def _publish(work: Path, output: Path) -> None:
    with storage_faults(output):
        with work.open("rb") as file:
            os.fsync(file.fileno())
        work.chmod(0o644)
        work.replace(output)
        sync_folder(output.parent)


class _ParquetWriter:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None

    def write(self, batch: pl.DataFrame) -> None:
        import pyarrow.parquet as pq

        table = batch.to_arrow()
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema, compression="zstd")
        self._writer.write_table(table.cast(self._writer.schema))

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class _CsvWriter:
    def __init__(self, path: Path) -> None:
        self._file = path.open("wb")
        self._started = False

    def write(self, batch: pl.DataFrame) -> None:
        batch.write_csv(self._file, include_header=not self._started)
        self._started = True

    def close(self) -> None:
        self._file.close()


_WRITERS: dict[str, type[_ParquetWriter | _CsvWriter]] = {
    ".parquet": _ParquetWriter,
    ".csv": _CsvWriter,
}
