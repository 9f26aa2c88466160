"""From a snapshot to a dataset: cleaned, split, featured, and looked at for leaks."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault, SpecFault
from everloop.data.clean import drop_rows, exclude_columns, recent_rows
from everloop.data.cleaning_log import CleaningEntry
from everloop.data.engines import open_engine
from everloop.data.features import row_features
from everloop.data.fitting import fit_cleaning
from everloop.data.leaks import LeakFinding, LeakFound, Parts, block_leaks, leaks_of
from everloop.data.split import PARTS, Split, SplitPlan, default_plan, split_rows
from everloop.table.dataset import Dataset
from everloop.table.feature import FeatureDefinition
from everloop.table.schema import schema_of
from everloop.table.stored import ColumnTable, StoredTable

if TYPE_CHECKING:
    from everloop.data.snapshots import Snapshot
    from everloop.spec import CleanSpec, DataSpec
    from everloop.spec.frame import Frame


@dataclass(frozen=True)
class Prepared:
    """A dataset and what was found on the way.

    Attributes:
        dataset: The dataset, written.
        findings: Leaks that do not block.
    """

    dataset: Dataset
    findings: tuple[LeakFinding, ...]


def prepare_dataset(
    snapshot: Snapshot,
    frame: Frame,
    data: DataSpec,
    folder: Path,
    *,
    seed: int = 0,
    engine: str = "polars",
    last: timedelta | None = None,
) -> Prepared:
    """Cleans, splits and features a snapshot, and stops where it leaks.

    Args:
        snapshot: The rows.
        frame: The problem.
        data: The file's part about data.
        folder: Where the dataset is written.
        seed: Of a split by chance.
        engine: Where the rows are worked on; see `everloop.data.engines`.
        last: Rows that are older than the latest by more than this are left out.

    Raises:
        DataFault: When no row or no part stays.
        SpecFault: When a feature or the split is wrong.
        LeakFound: When a leak blocks.
    """
    with open_engine(engine).open(snapshot.path) as table:
        recent, cleaning = recent_rows(table, frame, last)
        return _prepare(recent, frame, data, folder, seed, cleaning)


def _prepare(
    table: StoredTable,
    frame: Frame,
    data: DataSpec,
    folder: Path,
    seed: int,
    before: tuple[CleaningEntry, ...],
) -> Prepared:
    _check_columns(table, frame)
    kept, cleaning = drop_rows(table, frame, data.clean.duplicates)
    split = split_rows(kept, frame, _plan(kept, data, frame, seed))
    parts = _parts(kept, split)
    inputs, excluded = exclude_columns(parts["train"], frame, data.clean)
    if not inputs:
        raise DataFault(
            "No column is left to learn from: each has one value in the training part.",
            hint="bring columns that differ between rows",
        )
    plan, cleaned = fit_cleaning(parts["train"], inputs, _clean(data, frame))
    features = (*plan.definitions, *row_features(data.features, schema_of(kept.lazy()).types, plan))
    written = _write(parts, features, folder)
    featured = {part: StoredTable.open(path) for part, path in written.items()}
    read = [*(name for name in inputs if name not in plan.clean_names), *(one.name for one in features)]
    left_out = table.height > sum(part.height for part in featured.values())
    looked_at = Parts(
        featured,
        read,
        frame,
        split.plan.by,
        split.plan.group,
        whole=table if left_out else None,
        by_chance=split.by_chance,
    )
    findings = leaks_of(looked_at, data.leaks.waive)
    try:
        block_leaks(findings)
    except LeakFound:
        for path in written.values():
            path.unlink()
        with suppress(OSError):  # what else is in it is not ours
            folder.rmdir()
        raise
    dataset = Dataset.save(
        folder,
        {part: path for part, path in written.items() if featured[part].height or part == "train"},
        features=features,
        split={
            **split.to_dict(),
            "inputs": list(inputs),
            "leaks": [finding.to_dict() for finding in findings],
        },
        cleaning=[entry.to_dict() for entry in (*before, *cleaning, *excluded, *cleaned)],
        plan=plan,
    )
    return Prepared(dataset, findings)


def _clean(data: DataSpec, frame: Frame) -> CleanSpec:
    """Gives the rules of cleaning; where what is far out is looked for, it is not cut."""
    return data.clean.model_copy(update={"outliers": "keep"}) if frame.task == "anomaly" else data.clean


def _plan(table: ColumnTable, data: DataSpec, frame: Frame, seed: int) -> SplitPlan:
    spec = data.split
    if spec.by is None:
        return default_plan(frame, validation=spec.validation, test=spec.test, seed=seed, table=table)
    return SplitPlan(spec.by, spec.validation, spec.test, spec.group, seed)


def _parts(table: StoredTable, split: Split) -> Mapping[str, StoredTable]:
    return {part: table.where(split.assignment == code) for code, part in enumerate(PARTS)}


def _write(
    parts: Mapping[str, StoredTable], features: tuple[FeatureDefinition, ...], folder: Path
) -> dict[str, Path]:
    """Writes the parts where the dataset has them, so that no later look at a column computes it again."""
    folder.mkdir(parents=True, exist_ok=True)
    written = {part: folder / f"{part}.parquet" for part in parts}
    for part, rows in parts.items():
        rows.write(written[part], features)
    return written


def _check_columns(table: ColumnTable, frame: Frame) -> None:
    missing = [name for name in (*filter(None, (frame.target,)), *frame.inputs) if name not in table.columns]
    if missing:
        raise SpecFault(
            f"The frame names {missing[0]}, which the snapshot does not have.",
            hint="everloop run --from problem",
        )


def facts_of(prepared: Prepared) -> dict[str, Any]:
    """Gives what the record keeps of a dataset."""
    dataset = prepared.dataset
    split = {key: value for key, value in dataset.split.items() if key != "leaks"}
    return {
        "rows": dict(dataset.counts),
        "split": split,
        "features": [feature.name for feature in dataset.features],
        "cleaning": [dict(entry) for entry in dataset.cleaning],
        "leaks": [finding.to_dict() for finding in prepared.findings],
    }
