"""The split into training, validation and test rows, with no way for one to tell of another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, SpecFault
from everloop.core.tasks import TASKS
from everloop.core.units import format_duration
from everloop.core.values import to_jsonable
from everloop.data.dealing import LEFT_OUT, TEST, TRAIN, VALIDATION, deal
from everloop.data.duck import quote_name
from everloop.table.labels import label_codes, label_texts
from everloop.table.twins import content_hashes, equal_by_chance, own_hashes, row_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

    Rows = NDArray[np.int8]

PARTS = ("train", "validation", "test")
REGRESSION_STRATA = 10


@dataclass(frozen=True)
class SplitPlan:
    """How to split.

    Attributes:
        by: ``time``, ``random``, ``stratified`` or ``group``.
        validation: The share of rows to choose by, such as 0.2.
        test: The share of rows to judge by.
        group: The column whose values stay together; with any way to split.
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
        regrouped: Rows left out because a later part has rows of their group.
        twins: Rows left out because a later part has a row with the same inputs.
        by_chance: Whether rows have the same inputs by chance; then they are divided like any.
    """

    assignment: Rows
    plan: SplitPlan
    starts: dict[str, str] = field(default_factory=dict)
    purged: int = 0
    regrouped: int = 0
    twins: int = 0
    by_chance: bool = False

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
            "regrouped": self.regrouped,
            "twins": self.twins,
            "by_chance": self.by_chance,
        }


def split_rows(table: ColumnTable, frame: Frame, plan: SplitPlan) -> Split:
    """Splits rows into training, validation and test.

    - ``time``: the test part is the latest, validation the one before it; equal times stay together, so
      a part's share is off by at most half the rows of one time. Rows of an earlier part whose actual
      was known only after the next part began are left out.
    - ``random``; ``stratified``: the same with each class (or tenth of the numbers) apart, so that each
      part has every class; ``group``: the values of a column stay whole.

    With a group ``random`` is ``group``, ``stratified`` deals whole groups by their class, and ``time``
    leaves out earlier rows of a group that has later ones. Rows that are identical in all inputs, and not by
    chance (`everloop.table.twins.equal_by_chance`), never straddle parts: by time and by group those of the
    earlier part are left out, otherwise they go together. A row without a group is a group. The split
    follows from what rows hold and the seed, whatever their order.

    Args:
        table: Rows that have a target.
        frame: The problem.
        plan: How to split.

    Raises:
        SpecFault: When a column that the split needs is not there.
        DataFault: When a part would be empty, or would lack a class that it needs.
    """
    if plan.by not in _SPLITTERS:
        raise SpecFault(
            f"data.split.by is {plan.by!r}; expected {', '.join(_SPLITTERS)}.", place="data.split.by"
        )
    if plan.validation + plan.test >= 1:
        raise SpecFault(
            "There would be nothing to train on: validation and test together take "
            f"{plan.validation + plan.test:.0%}.",
            hint="data: {split: {validation: 20%, test: 20%}}",
            place="data.split",
        )
    by_chance = equal_by_chance(table, frame.inputs)
    split = replace(_SPLITTERS[plan.by](table, frame, plan, by_chance), by_chance=by_chance)
    _check_parts(split, table, frame)
    return split


def default_plan(
    frame: Frame, *, validation: float, test: float, seed: int = 0, table: ColumnTable | None = None
) -> SplitPlan:
    """Chooses how to split where the file does not say.

    By time where there is one; else by the entity where it comes more than once; else by chance, with
    classes in equal shares.

    Args:
        frame: The problem.
        validation: The share of rows to choose by.
        test: The share of rows to judge by.
        seed: Of the chance.
        table: The rows, to see whether an entity comes again.
    """
    if frame.time:
        return SplitPlan("time", validation, test, seed=seed)
    by = "stratified" if _has_classes(frame) else "random"
    entity = frame.entity
    if entity and table is not None and table[entity].drop_nulls().is_duplicated().any():
        return SplitPlan("group" if by == "random" else by, validation, test, entity, seed)
    return SplitPlan(by, validation, test, seed=seed)


def _by_time(table: ColumnTable, frame: Frame, plan: SplitPlan, by_chance: bool) -> Split:
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
    validation_start, test_start = _starts(times, plan.validation, plan.test)
    assignment = np.full(len(times), TRAIN, dtype=np.int8)
    assignment[times >= validation_start] = VALIDATION
    assignment[times >= test_start] = TEST
    late = _known_after(table, frame, times, assignment, (validation_start, test_start))
    assignment[late] = LEFT_OUT
    regrouped = _leave_out_earlier(assignment, _groups(table, plan.group)) if plan.group else 0
    # Events of one entity are alike in what is asked by; it is their order that keeps them apart.
    apart = TASKS[frame.task].alone and not by_chance
    twins = _leave_out_earlier(assignment, row_keys(table, frame.inputs)) if apart else 0
    starts = {
        part: _iso(start)
        for part, start in (("validation", validation_start), ("test", test_start))
        if np.isfinite(start)
    }
    return Split(assignment, plan, starts, int(late.sum()), regrouped, twins)


def _starts(times: NDArray[np.float64], validation: float, test: float) -> tuple[float, float]:
    """Gives the times at which the later parts begin: of the times there are, the nearest to the shares."""
    rows = len(times)
    distinct, counts = np.unique(times, return_counts=True)
    before = np.concatenate(([0], np.cumsum(counts)))  # rows before each time; the last: before none
    places = np.append(distinct, np.inf)

    def nearest(wanted: int, start: int, end: int) -> int:
        return start + int(np.abs(before[start:end] - wanted).argmin()) if end > start else start

    last = len(places) - 1
    of_test = last if not test else nearest(rows - round(test * rows), min(2, last - 1), last)
    least = of_test if not validation else min(1, of_test)
    of_validation = nearest(rows - round((test + validation) * rows), least, max(of_test, least + 1))
    return float(places[of_validation]), float(places[of_test])


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


def _leave_out_earlier(assignment: Rows, keys: NDArray[np.uint64]) -> int:
    """Leaves out rows of which a later part has one of the same key; gives how many."""
    _, places = np.unique(keys, return_inverse=True)
    latest = np.full(int(places.max(initial=0)) + 1, LEFT_OUT, dtype=np.int8)
    np.maximum.at(latest, places, assignment)
    earlier = (assignment != LEFT_OUT) & (assignment < latest[places])
    assignment[earlier] = LEFT_OUT
    return int(earlier.sum())


def _by_chance(table: ColumnTable, frame: Frame, plan: SplitPlan, by_chance: bool) -> Split:
    if plan.group:
        return _by_group(table, frame, plan, by_chance)
    return Split(_dealt(_keys(table, frame, by_chance), plan), plan)


def _by_class(table: ColumnTable, frame: Frame, plan: SplitPlan, by_chance: bool) -> Split:
    strata = _strata(table, frame)
    if not plan.group:
        return Split(_dealt(_keys(table, frame, by_chance), plan, strata), plan)
    return _whole_groups(table, frame, plan, strata, by_chance)


def _by_group(table: ColumnTable, frame: Frame, plan: SplitPlan, by_chance: bool) -> Split:
    column = plan.group or frame.entity
    if column is None:
        raise SpecFault(
            "data.split.by is group, and there is no column named to group by.",
            hint="data: {split: {by: group, group: COLUMN}}",
            place="data.split.group",
        )
    return _whole_groups(table, frame, replace(plan, group=column), None, by_chance)


def _whole_groups(
    table: ColumnTable, frame: Frame, plan: SplitPlan, strata: NDArray[np.int64] | None, by_chance: bool
) -> Split:
    assignment = _dealt(_groups(table, str(plan.group)), plan, strata)
    # Twins are taken out of the earlier part: joining their groups would chain most groups into one.
    twins = 0 if by_chance else _leave_out_earlier(assignment, row_keys(table, frame.inputs))
    return Split(assignment, plan, twins=twins)


def _keys(table: ColumnTable, frame: Frame, by_chance: bool) -> NDArray[np.uint64]:
    """Gives rows numbers that those share which go together."""
    return own_hashes(table) if by_chance else content_hashes(table, frame.inputs)


def _dealt(keys: NDArray[np.uint64], plan: SplitPlan, strata: NDArray[np.int64] | None = None) -> Rows:
    return deal(keys, plan.validation, plan.test, plan.seed, strata)


def _groups(table: ColumnTable, column: str) -> NDArray[np.uint64]:
    """Gives each row's group; a row without one is a group of its own, known by all that it holds."""
    if column not in table.columns:
        raise SpecFault(
            f"The split keeps groups whole, and there is no column {column}.",
            hint="data: {split: {by: group, group: COLUMN}}",
            place="data.split.group",
        )
    missing = table[column].is_null().to_numpy()
    groups = content_hashes(table, [column])
    return np.where(missing, content_hashes(table, table.columns), groups) if missing.any() else groups


def _has_classes(frame: Frame) -> bool:
    return frame.is_labelled and TASKS[frame.task].names_classes


def _strata(table: ColumnTable, frame: Frame) -> NDArray[np.int64]:
    if not frame.is_labelled:
        raise SpecFault(
            "data.split.by is stratified, and there is no target to keep in equal shares.",
            hint="data: {split: {by: random}}",
            place="data.split.by",
        )
    target = table[frame.target]
    if frame.task == "regression":
        numbers = target.cast(_float()).to_numpy()
        edges = np.quantile(numbers, np.linspace(0, 1, REGRESSION_STRATA + 1)[1:-1])
        return np.asarray(np.searchsorted(edges, numbers), dtype=np.int64)
    labels, codes = label_codes(target)
    return np.where(codes < 0, len(labels), codes)


def _check_parts(split: Split, table: ColumnTable, frame: Frame) -> None:
    shares = {"validation": split.plan.validation, "test": split.plan.test}
    for code, part in enumerate(PARTS):
        rows = split.assignment == code
        if shares.get(part) == 0:
            continue
        if not rows.any():
            raise DataFault(f"The {part} part would be empty.{_why_empty(split, frame)}", hint=_hint(split))
    if _has_classes(frame):
        known = table[frame.target].is_not_null().to_numpy()
        labels = label_texts(table[frame.target]).to_numpy()[known]
        _check_classes(replace(split, assignment=split.assignment[known]), labels)


def _check_classes(split: Split, labels: NDArray[Any]) -> None:
    """Demands every class of training, and of the later parts two; of those a class may be rare."""
    known = {part: np.unique(labels[split.assignment == code]) for code, part in enumerate(PARTS)}
    for part, classes in known.items():
        rows = int((split.assignment == PARTS.index(part)).sum())
        if rows and len(classes) < 2:
            raise DataFault(
                f"The {part} part would hold one class alone: {classes[0]} in all its {rows} rows.",
                hint=_hint(split),
            )
    unknown = sorted({*known["validation"], *known["test"]} - {*known["train"]})
    if unknown:
        times = int((labels == unknown[0]).sum())
        raise DataFault(
            f"The training part would hold no row of the class {unknown[0]}, which has {times} of "
            f"{len(labels):,} rows: it could not be learned.",
            hint=_hint(split),
        )


def _why_empty(split: Split, frame: Frame) -> str:
    reasons = []
    if split.purged:
        delay = frame.label_delay_seconds
        known = f" {format_duration(timedelta(seconds=delay))} after the decision" if delay else " later"
        reasons.append(f"{split.purged} rows were left out because their actual is known{known}")
    if split.regrouped:
        reasons.append(
            f"{split.regrouped} rows were left out because a later part has their {split.plan.group}"
        )
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


_SPLITTERS: dict[str, Callable[[Any, Any, SplitPlan, bool], Split]] = {
    "time": _by_time,
    "random": _by_chance,
    "stratified": _by_class,
    "group": _by_group,
}
