"""The loop of batch scoring: a part of the rows, what the package says of it, the next part."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SourceUnreadable, UsageFault
from everloop.core.files import storage_faults
from everloop.core.nearness import near_names
from everloop.core.progress import Event, Progress, silent
from everloop.core.tasks import decides_by
from everloop.loop.scoring.kept import KeptScoring, kept_beside, package_identity
from everloop.loop.scoring.outputs import ParquetWriter, Writer, publish, writer_for
from everloop.loop.scoring.table import DatabaseTable
from everloop.runtime.decision import watched_score

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.loop.scoring.asked import AskedRows
    from everloop.runtime import Package

PART_ROWS = 131_072
"""So many rows are in memory at a time, and so many are scored again at most after a kill."""

PREDICTION, SCORE = "prediction", "score"


def score_rows(  # noqa: PLR0913  (what is asked, and how)
    package: Package,
    asked: AskedRows,
    output: Path | DatabaseTable,
    *,
    keep: Sequence[str] = (),
    featured: Callable[[Path, Path], Path] | None = None,
    fresh: bool = False,
    progress: Progress = silent,
    part_rows: int = PART_ROWS,
) -> int:
    """Scores every row and writes it with `prediction` and `score` appended.

    What is scored is kept in a folder beside the output until that is there, so the same call goes on
    after whatever ended it; rows that are not the same any more, or another package, begin anew.

    Args:
        package: What answers.
        asked: The rows.
        output: A file that ends in `.parquet`, `.csv`, `.jsonl` or `.ndjson`, or a table. It appears
            when all rows are scored.
        keep: The columns to keep; empty keeps all.
        featured: Gives rows with the features that they lack, from a Parquet file and a scratch folder.
        fresh: Whether what was kept of an earlier call is dropped.
        progress: Is told how far it is.
        part_rows: Rows that are in memory at a time.

    Returns:
        The number of rows.

    Raises:
        UsageFault: When the output's format is unknown, it is the input, or a column is not there.
        DataFault: When the rows cannot be read or lack a column of the model.
        SourceUnreadable: When a file is damaged.
    """
    import pyarrow.parquet as pq

    place, writer = _destination(asked, output)
    identity = [package_identity(package.folder), asked.identity(), part_rows]
    with kept_beside(place, output.name) as kept:
        if kept.begin(identity, fresh=fresh):
            message = "goes on where it was stopped; --fresh begins again"
            progress(Event("predict", message, kind="notice"))
        landed = kept.landed if kept.landed.exists() else asked.land(kept.landed, kept.scratch)
        names = _kept_columns(pq.read_schema(landed).names, keep)
        rows = _with_features(kept, landed, featured)
        with storage_faults(place / output.name), _writing(writer, kept.work) as write:
            count = _Scoring(package, kept, names, progress).run(rows, write, part_rows)
        if isinstance(output, DatabaseTable):
            output.load(kept.work)
        else:
            publish(kept.work, output)
    return count


def _destination(asked: AskedRows, output: Path | DatabaseTable) -> tuple[Path, Callable[[Path], Writer]]:
    """Gives the folder that the output is in, and what writes the rows, once both are known to be fine."""
    if isinstance(output, DatabaseTable):
        output.require_room()
        return output.folder, ParquetWriter
    source = getattr(asked, "source", None)
    if source is not None and Path(source).resolve() == output.resolve():
        raise UsageFault(f"{output} is the input; it is not overwritten.", hint="--output scored.parquet")
    return output.parent, writer_for(output)


def _with_features(kept: KeptScoring, landed: Path, featured: Callable[[Path, Path], Path] | None) -> Path:
    if featured is None:
        return landed
    if kept.featured.exists():
        return kept.featured
    made = featured(landed, kept.scratch)
    return made if made == landed else made.replace(kept.featured)


@dataclass(frozen=True)
class _Scoring:
    package: Package
    kept: KeptScoring
    names: list[str]
    progress: Progress

    def run(self, rows: Path, write: Callable[[pl.DataFrame], None], part_rows: int) -> int:
        """Scores a file's rows part by part; the next part is scored while one is written."""
        import pyarrow.parquet as pq

        with _damaged(rows), pq.ParquetFile(rows) as file:
            columns = [name for name in file.schema_arrow.names if name in self._read]
            empty = _frame(file.schema_arrow.empty_table().select(columns))
            total, done, started = file.metadata.num_rows, 0, time.perf_counter()
            write(self._answered(empty, self._said(empty if total else _untyped(empty))))
            scored = 0
            for part in _parts(file, columns, part_rows):
                said = self.kept.answers(done, part.height)
                if said is None:
                    said = self._said(part)
                    self.kept.keep(done, said)
                    scored += part.height
                write(self._answered(part, said))
                done += part.height
                took = time.perf_counter() - started
                left = took / scored * (total - done) if scored else None
                self.progress(
                    Event("predict", f"{done:,} of {total:,} rows", fraction=done / total, seconds_left=left)
                )
        return done

    @property
    def _read(self) -> set[str]:
        segment = self.package.manifest.decision.segment if self.package.manifest.decision else None
        return {item.name for item in self.package.plan.inputs} | {*self.names, segment}  # type: ignore[arg-type]

    def _answered(self, part: pl.DataFrame, said: pl.DataFrame) -> pl.DataFrame:
        return part.select(self.names).hstack(said.get_columns())

    def _said(self, part: pl.DataFrame) -> pl.DataFrame:
        import polars as pl

        manifest = self.package.manifest
        scores = self.package.scores(part)
        chosen = self.package.chosen(scores, part)
        if decides_by(manifest.task, "number"):
            prediction = pl.Series(PREDICTION, chosen, dtype=pl.Float64)
        elif decides_by(manifest.task, "items"):  # a list has no place in a CSV file
            listed = [[manifest.classes[place] for place in row] for row in chosen.tolist()]
            texts = [json.dumps(items, ensure_ascii=False) for items in listed]
            prediction = pl.Series(PREDICTION, texts, dtype=pl.String)
        else:
            prediction = pl.Series(PREDICTION, manifest.classes, dtype=pl.String).gather(chosen)
        score = pl.Series(SCORE, watched_score(_single(scores), manifest.task), dtype=pl.Float64)
        return pl.DataFrame([prediction, score])


def _parts(file: Any, columns: list[str], part_rows: int) -> Iterator[pl.DataFrame]:
    """Gives the rows in parts of at least so many, whatever the file's row groups."""
    import pyarrow as pa

    waiting: list[Any] = []
    rows = 0
    # One reader for each row group: one for all of them keeps every group that it has read in memory.
    groups = range(file.metadata.num_row_groups)
    readers = (
        file.iter_batches(batch_size=part_rows, row_groups=[group], columns=columns) for group in groups
    )
    for batch in chain.from_iterable(readers):
        waiting.append(batch)
        rows += batch.num_rows
        if rows >= part_rows:
            yield _frame(pa.Table.from_batches(waiting))
            waiting, rows = [], 0
    if rows:
        yield _frame(pa.Table.from_batches(waiting))


def _untyped(empty: pl.DataFrame) -> pl.DataFrame:
    """Takes the types away, which a header alone does not tell: of CSV every column would be text."""
    import polars as pl

    return empty.cast(pl.Null)


def _frame(table: Any) -> pl.DataFrame:
    import polars as pl

    frame = pl.from_arrow(table)
    return frame if isinstance(frame, pl.DataFrame) else frame.to_frame()


def _kept_columns(columns: Sequence[str], keep: Sequence[str]) -> list[str]:
    for name in keep:
        if name not in columns:
            near = near_names(name, columns)
            raise UsageFault(
                f"--keep names {name!r}, which the rows do not have; they have {', '.join(columns)}.",
                hint=f"--keep {(near or list(columns))[0]}",
            )
    names = list(dict.fromkeys(keep)) or list(columns)
    taken = [name for name in (PREDICTION, SCORE) if name in names]
    if taken:
        raise UsageFault(
            f"The rows have a column {taken[0]!r} already, which would be written.",
            hint="name the columns to keep: --keep id",
        )
    return names


def _single(scores: NDArray[Any]) -> NDArray[Any]:
    return scores if scores.shape[1] > 1 else scores[:, 0]


@contextmanager
def _damaged(rows: Path) -> Iterator[None]:
    """Says which file is damaged where reading it fails in the middle."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise  # the disk's own, not the file's
        said = str(error).strip().splitlines()[0][:200]
        raise SourceUnreadable(f"{rows} is damaged: {said}.", place=str(rows)) from None


@contextmanager
def _writing(writer: Callable[[Path], Writer], path: Path) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Gives what writes a batch while the caller goes on; of two batches the second waits."""
    opened = writer(path)
    waiting: list[Future[None]] = []

    def write(batch: pl.DataFrame) -> None:
        if waiting:
            waiting.pop().result()
        waiting.append(pool.submit(opened.write, batch))

    with ThreadPoolExecutor(1) as pool:
        try:
            yield write
            if waiting:
                waiting.pop().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            opened.close()
