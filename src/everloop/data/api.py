"""What users of the data phase call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock, SystemClock
from everloop.core.files import publish_folder, scratch_folder
from everloop.core.progress import Progress, silent
from everloop.data.preparing import prepare_dataset
from everloop.data.snapshots import Snapshot
from everloop.data.sources import DigestMemo, Surroundings
from everloop.data.taking import take_snapshot

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec
    from everloop.spec.frame import Frame
    from everloop.table.contract import Contract, ContractReport
    from everloop.table.dataset import Dataset


def snapshot(
    spec: LifecycleSpec,
    folder: Path | str,
    as_of: datetime | None = None,
    *,
    tables: Mapping[str, Any] | None = None,
    clock: Clock | None = None,
    progress: Progress = silent,
) -> Snapshot:
    """Takes a snapshot of the sources and keeps it under the digest of its content.

    Args:
        spec: The lifecycle file.
        folder: Snapshots are kept below it; equal content is kept once. What was read of a source with
            a cursor is kept there too, and the next snapshot reads only what is newer.
        as_of: Nothing later than this is taken; by default the clock's time.
        tables: Tables handed in from Python, by the name of the source that each stands for.
        clock: Tells the time, and waits between attempts to reach a source.
        progress: Is told what is read.

    Raises:
        SourceUnreachable: When a source is not there.
        SourceUnreadable: When a source is damaged.
        SpecFault: When the query or a column's role is wrong.
        DataFault: When no row is left.
    """
    folder, clock = Path(folder), clock or SystemClock()
    around = Surroundings(
        folder=Path(spec.folder), clock=clock, memo=DigestMemo(), progress=progress, kept=folder / "sources"
    )
    with scratch_folder(folder) as scratch:
        work = scratch / "work"
        work.mkdir()
        taken = take_snapshot(spec.data, spec.problem, work, as_of or clock.now(), around, tables=tables)
        final = folder / taken.digest[:16]
        publish_folder(work, final)
    return replace(taken, folder=final)


def check(
    table: Any,
    contract: Contract,
    *,
    now: datetime | None = None,
    tables: Mapping[str, Any] | None = None,
) -> ContractReport:
    """Holds a table against a contract.

    Args:
        table: A snapshot, a Polars, pandas, Arrow or DuckDB table, or a path.
        contract: What `learn` gave or `everloop.table.contract.load_contract` read.
        now: The time at which freshness is judged; for a snapshot, by default, the time it was taken.
        tables: The sources that references are judged with, by name.

    Returns:
        Whether the table passed, and what was found, with counts and examples.
    """
    from everloop.table.contract import check as check_table

    if isinstance(table, Snapshot):
        now = now or table.as_of
        table = table.arrived()
    return check_table(table, contract, now=now, tables=tables)


def prepare(snapshot: Snapshot, frame: Frame, spec: LifecycleSpec, folder: Path | str) -> Dataset:
    """Cleans, splits and features a snapshot.

    Args:
        snapshot: The rows.
        frame: The problem.
        spec: The lifecycle file.
        folder: Where the dataset is written.

    Raises:
        DataFault: When no row or no part stays.
        SpecFault: When a feature or the split is wrong.
        LeakFound: When the dataset leaks.
    """
    return prepare_dataset(snapshot, frame, spec.data, Path(folder), seed=spec.model.seed).dataset
