"""The split into training, validation and test rows, with no way for one to tell of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, SpecFault
from everloop.core.units import format_duration
from everloop.core.values import to_jsonable
from everloop.data.duck import quote_name
from everloop.data.twins import row_keys
from everloop.table.labels import label_codes, label_texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

    Rows = NDArray[np.int8]

PARTS = ("train", "validation", "test")
TRAIN, VALIDATION, TEST, LEFT_OUT = 0, 1, 2, -1
REGRESSION_STRATA = 10


@dataclass(frozen=True)
class SplitPlan:
    """How to split.

    Attributes:
        by: ``time``, ``random``, ``stratified`` or ``group``.
        validation: The share of rows to choose by, such as 0.2.
        test: The share of rows to judge by.
        group: The column whose values stay together.
        seed: Of the chance in all but ``time``.
    """

    by: str
    validation: float
    test: float
    group: str | None = None
    seed: int = 0


@dataclass(frozen=True)
class Split:
    """Which part each row is in.

    Attributes:
        assignment: For each row 0, 1 or 2 (the position in `PARTS`), or -1 for a row left out, (n,).
        plan: How it was made.
        starts: By time: the first decision time of each later part.
        purged: Rows left out because their actual was not known when the next part began.
        twins: Rows left out because a later part has a row with the same inputs.
    """

    assignment: Rows
    plan: SplitPlan
    starts: dict[str, str] = field(default_factory=dict)
    purged: int = 0
    twins: int = 0

    def counts(self) -> dict[str, int]:
        """Gives the number of rows in each part."""
        return {part: int(np.count_nonzero(self.assignment == code)) for code, part in enumerate(PARTS)}

    def to_dict(self) -> dict[str, Any]:
        """Gives the split's description as what JSON can carry."""
        plan = self.plan
        return {
            "by": plan.by,
            "validation": plan.validation,
            "test": plan.test,
            "group": plan.group,
            "seed": plan.seed,
            "rows": self.counts(),
            "starts": self.starts,
            "purged": self.purged,
            "twins": self.twins,
        }


def split_rows(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    """Splits rows into training, validation and test.

    - ``time``: the test part is the latest, validation the one before it; equal times stay together.
      Rows of an earlier part whose actual was known only after the next part began are left out.
    - ``random``; ``stratified``: the same with each class (or tenth of the numbers) apart;
      ``group``: the same with the values of a column whole.

    Rows that are identical in all inputs never straddle parts: by time and by group those of the
    earlier part are left out, otherwise they go together.

    Args:
        table: Rows that have a target.
        frame: The problem.
        plan: How to split.

    Raises:
        SpecFault: When a column that the split needs is not there.
        DataFault: When a part would be empty or, of classes, have one alone.
    """
    if plan.by not in _SPLITTERS:
        raise SpecFault(
            f"data.split.by is {plan.by!r}; expected {', '.join(_SPLITTERS)}.", place="data.split.by"
        )
    if not 0 < plan.validation + plan.test < 1:
        raise SpecFault(
            "data.split leaves nothing to train on or nothing to judge by: validation "
            f"{plan.validation:.0%} and test {plan.test:.0%}.",
            hint="data: {split: {validation: 20%, test: 20%}}",
            place="data.split",
        )
    split = _SPLITTERS[plan.by](table, frame, plan)
    _check_parts(split, table, frame)
    return split


def default_plan(frame: Frame, *, validation: float, test: float, seed: int = 0) -> SplitPlan:
    """Chooses how to split where the file does not say: by time where there is one."""
    by = "time" if frame.time else "random" if frame.task == "regression" else "stratified"
    return SplitPlan(by, validation, test, seed=seed)


def _by_time(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    if frame.time is None:
        raise SpecFault(
            "data.split.by is time, and there is no time column.",
            hint="problem: {time: COLUMN}, or data: {split: {by: random}}",
            place="data.split.by",
        )
    times = _microseconds(table, frame.time)
    if np.isnan(times).any():
        raise DataFault(
            f"{int(np.isnan(times).sum())} rows have no {frame.time}, by which the split is made.",
            hint=f"leave them out in data.table: where {quote_name(frame.time)} is not null",
        )
    ordered = np.sort(times)
    rows = len(ordered)
    test_start = _start(ordered, rows - round(plan.test * rows))
    validation_start = _start(ordered, rows - round((plan.test + plan.validation) * rows))
    assignment = np.full(rows, TRAIN, dtype=np.int8)
    assignment[times >= validation_start] = VALIDATION
    assignment[times >= test_start] = TEST
    late = _known_after(table, frame, times, assignment, (validation_start, test_start))
    assignment[late] = LEFT_OUT
    keys = row_keys(table, frame.inputs)
    twins = _earlier_twins(keys, assignment)
    assignment[twins] = LEFT_OUT
    starts = {
        part: _iso(start)
        for part, start in (("validation", validation_start), ("test", test_start))
        if np.isfinite(start)
    }
    return Split(assignment, plan, starts, int(late.sum()), int(twins.sum()))


def _start(ordered: NDArray[np.float64], position: int) -> float:
    return float(ordered[position]) if position < len(ordered) else float("inf")


def _known_after(
    table: ColumnTable,
    frame: Frame,
    times: NDArray[np.float64],
    assignment: Rows,
    starts: tuple[float, float],
) -> NDArray[np.bool_]:
    known = times.copy()
    if frame.label_delay_seconds is not None:
        known = times + frame.label_delay_seconds * 1e6
    if frame.label_time is not None and frame.label_time in table.columns:
        stated = _microseconds(table, frame.label_time)
        known = np.where(np.isnan(stated), known, stated)
    next_start = np.where(
        assignment == TRAIN, starts[0], np.where(assignment == VALIDATION, starts[1], np.inf)
    )
    late: NDArray[np.bool_] = (assignment != TEST) & (known > next_start)
    return late


def _earlier_twins(keys: NDArray[np.uint64], assignment: Rows) -> NDArray[np.bool_]:
    latest = np.full(int(keys.max(initial=0)) + 1, LEFT_OUT, dtype=np.int8)
    np.maximum.at(latest, keys, assignment)
    twins: NDArray[np.bool_] = (assignment != LEFT_OUT) & (assignment < latest[keys])
    return twins


def _by_chance(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    groups = row_keys(table, frame.inputs)
    return Split(_deal(groups, plan, np.random.default_rng(plan.seed)), plan)


def _by_class(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    groups = row_keys(table, frame.inputs)
    # Twins of several classes go where the first of them goes.
    strata = _strata(table, frame)[groups]
    generator = np.random.default_rng(plan.seed)
    assignment = np.full(len(groups), TRAIN, dtype=np.int8)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        assignment[rows] = _deal(groups[rows], plan, generator)
    return Split(assignment, plan)


def _by_group(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    column = plan.group or frame.entity
    if column is None or column not in table.columns:
        raise SpecFault(
            f"data.split.by is group, and there is no column {column or 'named to group by'}.",
            hint="data: {split: {by: group, group: COLUMN}}",
            place="data.split.group",
        )
    rows = np.arange(table.height)
    groups = np.where(table[column].is_null().to_numpy(), rows, row_keys(table, [column])).astype(np.uint64)
    assignment = _deal(groups, plan, np.random.default_rng(plan.seed))
    # Twins are taken out of the earlier part: joining their groups would chain most groups into one.
    twins = _earlier_twins(row_keys(table, frame.inputs), assignment)
    assignment[twins] = LEFT_OUT
    return Split(assignment, replace(plan, group=column), twins=int(twins.sum()))


def _deal(groups: NDArray[np.uint64], plan: SplitPlan, generator: np.random.Generator) -> Rows:
    """Deals whole groups to the parts by chance, until each has its share of rows."""
    _, inverse, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = generator.permutation(len(sizes))
    # A group goes where its middle row falls.
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    of_group = np.full(len(sizes), TRAIN, dtype=np.int8)
    test, validation = plan.test * len(groups), (plan.test + plan.validation) * len(groups)
    of_group[order[middle < validation]] = VALIDATION
    of_group[order[middle < test]] = TEST
    return of_group[inverse]


def _strata(table: ColumnTable, frame: Frame) -> NDArray[np.int64]:
    target = table[frame.target]
    if frame.task == "regression":
        numbers = target.cast(_float()).to_numpy()
        edges = np.quantile(numbers, np.linspace(0, 1, REGRESSION_STRATA + 1)[1:-1])
        return np.asarray(np.searchsorted(edges, numbers), dtype=np.int64)
    return label_codes(target)[1]


def _check_parts(split: Split, table: ColumnTable, frame: Frame) -> None:
    shares = {"validation": split.plan.validation, "test": split.plan.test}
    for code, part in enumerate(PARTS):
        rows = split.assignment == code
        if shares.get(part) == 0:
            continue
        if not rows.any():
            raise DataFault(f"The {part} part would be empty.{_why_empty(split, frame)}", hint=_hint(split))
        if frame.task == "regression":
            continue
        classes = label_texts(table[frame.target].filter(rows)).unique().to_list()
        if len(classes) < 2:
            raise DataFault(
                f"The {part} part would hold one class alone: {classes[0]} in all its "
                f"{int(rows.sum())} rows.",
                hint=_hint(split),
            )


def _why_empty(split: Split, frame: Frame) -> str:
    reasons = []
    if split.purged:
        delay = frame.label_delay_seconds
        known = f" {format_duration(timedelta(seconds=delay))} after the decision" if delay else " later"
        reasons.append(f"{split.purged} rows were left out because their actual is known{known}")
    if split.twins:
        reasons.append(f"{split.twins} rows were left out because a later part has the same inputs")
    return f" {'; '.join(reasons)}." if reasons else ""


def _hint(split: Split) -> str:
    if split.plan.by == "time":
        return "take more history, or choose other shares: data: {split: {validation: 20%, test: 20%}}"
    return "bring more rows, or split otherwise: data: {split: {by: stratified}}"


def _microseconds(table: ColumnTable, column: str) -> NDArray[np.float64]:
    import polars as pl

    if column not in table.columns:
        raise SpecFault(
            f"The split needs the column {column}, which the table does not have.", place="data.split"
        )
    return table[column].cast(pl.Datetime("us")).cast(pl.Int64).cast(pl.Float64).fill_null(np.nan).to_numpy()


def _iso(microseconds: float) -> str:
    from datetime import UTC, datetime

    return str(to_jsonable(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)))


def _float() -> Any:
    import polars as pl

    return pl.Float64


_SPLITTERS: dict[str, Callable[[Any, Any, SplitPlan], Split]] = {
    "time": _by_time,
    "random": _by_chance,
    "stratified": _by_class,
    "group": _by_group,
}
