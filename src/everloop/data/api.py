"""What users of the data phase call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from everloop.table.acting import known_later

if TYPE_CHECKING:
    from everloop.data.leaks import LeakReport
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
        later = known_later(spec.goal, spec.problem)
        taken = take_snapshot(
            spec.data, spec.problem, work, as_of or clock.now(), around, tables=tables, later=later
        )
        final = folder / taken.digest[:16]
        publish_folder(work, final)
    return replace(taken, folder=final)


def check(
    table: Any,
    contract: Contract,
    *,
    now: datetime | None = None,
    tables: Mapping[str, Any] | None = None,
    engine: str = "polars",
) -> ContractReport:
    """Holds a table against a contract.

    Args:
        table: A snapshot, a Polars, pandas, Arrow or DuckDB table, or a path.
        contract: What `learn` gave or `everloop.table.contract.load_contract` read.
        now: The time at which freshness is judged; for a snapshot, by default, the time it was taken.
        tables: The sources that references are judged with, by name.
        engine: Where it is judged; see `everloop.data.engines`. A table on Spark is judged there.

    Returns:
        Whether the table passed, and what was found, with counts and examples.
    """
    from everloop.data.engines import open_engine
    from everloop.data.engines.spark_session import is_spark_table

    without: Sequence[str] = ()
    if isinstance(table, Snapshot):
        # A contract is about what comes in, not about the features that were added.
        now, without, table = now or table.as_of, table.feature_names, table.path
    chosen = open_engine("pyspark" if is_spark_table(table) else engine)
    return chosen.check(table, contract, now=now, tables=tables, without=without)


def find_leaks(  # noqa: PLR0913  (each is a role that a column or a table may have)
    train: Any,
    test: Any = None,
    *,
    target: str,
    validation: Any = None,
    split: str | None = None,
    time: str | None = None,
    label_time: str | None = None,
    entity: str | None = None,
    inputs: Sequence[str] | None = None,
    waive: Mapping[str, str] | None = None,
) -> LeakReport:
    """Looks for leaks in tables that were split, and perhaps prepared, elsewhere.

    Eight kinds: the target or a copy of it among the inputs; rows, and groups, in two parts; values from
    after the decision; constants, and means of the target, that were fitted with other rows than the
    training part's; identifiers; and a split by chance of rows whose order in time matters.

    Args:
        train: The training rows, or all rows where `split` divides them: a Polars, pandas, Arrow or
            DuckDB table, or a path.
        test: The test rows. With neither `test` nor `split` only leaks of one table are looked for.
        target: The column to predict.
        validation: The rows that models are chosen on.
        split: The column of `train` that names each row's part: ``train``, ``validation`` or ``test``.
        time: The column that says when the decision is made.
        label_time: The column that says when the actual was known.
        entity: The column that names whom or what a row is about.
        inputs: What a model may read; by default every column without another role.
        waive: From a finding's name, such as ``identifier: account_no``, to the reason why it may stay.

    Returns:
        What was found, with the evidence; `report.passed` where nothing blocks.

    Raises:
        DataFault: When a column is not there, or rows cannot be divided.

    Example:
        >>> import polars as pl
        >>> y = ["yes", "no"] * 50
        >>> rows = pl.DataFrame({"age": range(100), "y": y, "paid": [one == "no" for one in y]})
        >>> report = find_leaks(rows[:70], rows[70:], target="y")
        >>> [finding.name for finding in report.findings]
        ['target copy: paid', 'identifier: age']
    """
    from everloop.data.leaks.outside import Roles, divided, look
    from everloop.table.stored import StoredTable

    given = {"train": train, "validation": validation, "test": test}
    if split is None:
        parts = {part: StoredTable.of(table) for part, table in given.items() if table is not None}
    else:
        parts = divided(train, split)
    roles = Roles(target, time, label_time, entity, None if inputs is None else tuple(inputs))
    return look(parts, roles, waive or {}, without=(split,) if split else ())


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
