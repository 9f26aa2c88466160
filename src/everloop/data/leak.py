"""Leaks: what would let a model know its answers beforehand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import NegativeAnswer
from everloop.core.values import to_jsonable
from everloop.data.duck import quote_name
from everloop.table.labels import label_codes, label_texts

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec.frame import Frame
    from everloop.table.stored import ColumnTable

# Fewer rows of a class than this can be separated by chance.
FEWEST_ROWS = 10
# A value that is this rare on average says which row it is, not which class.
ROWS_PER_VALUE = 5
COPY_CORRELATION = 1 - 1e-9


class LeakFound(NegativeAnswer):
    """A dataset leaks; its findings say where."""

    code = "leak"


@dataclass(frozen=True)
class LeakFinding:
    """One leak.

    Attributes:
        check: What was looked for, such as ``target copy``.
        column: The column that leaks, where it is one.
        severity: ``error`` blocks, ``warn`` is recorded.
        message: What was found, in a sentence.
        evidence: The numbers.
    """

    check: str
    column: str | None
    severity: str
    message: str
    evidence: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Gives the finding as what JSON can carry."""
        return dict(to_jsonable(vars(self)))


@dataclass(frozen=True)
class Parts:
    """What is looked at.

    Attributes:
        tables: ``train``, ``validation`` and ``test`` rows.
        inputs: The columns that a model may read, features included.
        frame: The problem.
        split_by: How the parts were made.
    """

    tables: Mapping[str, ColumnTable]
    inputs: Sequence[str]
    frame: Frame
    split_by: str


def find_leaks(parts: Parts) -> tuple[LeakFinding, ...]:
    """Looks for leaks in a split table.

    Returns:
        What was found, blocking findings first.
    """
    found = [finding for check in CHECKS.values() for finding in check(parts)]
    return tuple(sorted(found, key=lambda finding: finding.severity != "error"))


def block_leaks(findings: Sequence[LeakFinding]) -> None:
    """Stops a run whose dataset leaks.

    Raises:
        LeakFound: When a finding has the severity ``error``.
    """
    blocking = [finding for finding in findings if finding.severity == "error"]
    if not blocking:
        return
    columns = ", ".join(quote_name(finding.column) for finding in blocking if finding.column)
    raise LeakFound(
        " ".join(finding.message for finding in blocking),
        hint=f"leave it out in data.table: select * exclude ({columns})" if columns else None,
    )


def _roles_among_inputs(parts: Parts) -> Iterator[LeakFinding]:
    roles = {parts.frame.target: "the target", parts.frame.label_time: "known only after the outcome"}
    for name in parts.inputs:
        if name in roles:
            yield LeakFinding("role", name, "error", f"{name} is among the inputs, and is {roles[name]}.")


def _target_copies(parts: Parts) -> Iterator[LeakFinding]:
    train, frame = parts.tables["train"], parts.frame
    if frame.task == "regression":
        yield from _number_copies(parts)
        return
    classes, codes = label_codes(train[frame.target])
    counts = np.bincount(codes, minlength=len(classes))
    if len(classes) < 2 or counts.min() < FEWEST_ROWS:
        return
    for name in parts.inputs:
        if name == frame.target:
            continue
        how = _separates(train[name], codes, len(classes))
        if how is not None:
            evidence = {
                "rows": train.height,
                "classes": dict(zip(classes, counts.tolist(), strict=True)),
            }
            yield LeakFinding(
                "target copy",
                name,
                "error",
                f"{name} alone tells {frame.target} in all {train.height:,} training rows: {how}. "
                "It is a copy of the target or is known only after the outcome.",
                evidence,
            )


def _separates(column: pl.Series, codes: Any, classes: int) -> str | None:
    """Says how a column's values tell the classes apart without an error, or None."""
    values = _ranks(column)
    distinct = int(values.max()) + 1
    least, greatest = np.full(distinct, classes), np.full(distinct, -1)
    np.minimum.at(least, values, codes)
    np.maximum.at(greatest, values, codes)
    if (least != greatest).any():
        return None
    if distinct * ROWS_PER_VALUE <= len(values):
        return f"each of its {distinct} values comes with one class"
    if column.dtype.is_numeric() or column.dtype.is_temporal():
        # Values are in order, so a column that separates changes class once for each further class.
        missing = int(column.null_count() > 0)
        if int((np.diff(least) != 0).sum()) <= classes - 1 + missing:
            return "each class has its own range of values"
    return None


def _ranks(column: pl.Series) -> Any:
    """Gives each value's rank among the different ones from 0 on, the missing ones as one at the end."""
    import polars as pl

    if column.dtype.is_numeric() or column.dtype.is_temporal():
        comparable = column.to_physical().cast(pl.Float64).fill_nan(None)
    else:
        comparable = label_texts(column)
    ranks = comparable.rank("dense").cast(pl.Int64) - 1
    highest: Any = ranks.max()
    return ranks.fill_null(0 if highest is None else highest + 1).to_numpy()


def _number_copies(parts: Parts) -> Iterator[LeakFinding]:
    import polars as pl

    train, frame = parts.tables["train"], parts.frame
    target = train[frame.target].cast(pl.Float64)
    for name in parts.inputs:
        if name == frame.target or not train[name].dtype.is_numeric():
            continue
        pair = pl.DataFrame({"x": train[name].cast(pl.Float64), "y": target}).fill_nan(None).drop_nulls()
        if pair.height < FEWEST_ROWS or pair["x"].n_unique() < FEWEST_ROWS:
            continue
        correlation = float(np.corrcoef(pair["x"].to_numpy(), pair["y"].to_numpy())[0, 1])
        if abs(correlation) >= COPY_CORRELATION:
            yield LeakFinding(
                "target copy",
                name,
                "error",
                f"{name} is {frame.target} but for scale, in {pair.height:,} training rows.",
                {"rows": pair.height, "correlation": correlation},
            )


def _shared_rows(parts: Parts) -> Iterator[LeakFinding]:
    import polars as pl

    columns = list(parts.frame.inputs)
    keys = {
        part: table.select(pl.struct(columns).hash(seed=0).alias("key"))
        for part, table in parts.tables.items()
        if columns and table.height
    }
    for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if earlier not in keys or later not in keys:
            continue
        shared = keys[later].join(keys[earlier].unique(), on="key", how="semi").height
        if shared:
            yield LeakFinding(
                "shared rows",
                None,
                "error",
                f"{shared:,} rows of the {later} part have the same inputs as a row of the {earlier} part.",
                {"earlier": earlier, "later": later, "rows": shared},
            )


def _time_travel(parts: Parts) -> Iterator[LeakFinding]:
    time = parts.frame.time
    if parts.split_by != "time" or time is None:
        return
    for earlier, later in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if not parts.tables[earlier].height or not parts.tables[later].height:
            continue
        last: Any = parts.tables[earlier][time].max()
        first: Any = parts.tables[later][time].min()
        if last >= first:
            yield LeakFinding(
                "time travel",
                time,
                "error",
                f"The {earlier} part reaches to {to_jsonable(last)}, after the {later} part begins "
                f"({to_jsonable(first)}).",
                {"last": to_jsonable(last), "first": to_jsonable(first)},
            )


def _later_times(parts: Parts) -> Iterator[LeakFinding]:
    import polars as pl

    train, time = parts.tables["train"], parts.frame.time
    if time is None:
        return
    for name in parts.inputs:
        if name == time or not train[name].dtype.is_temporal():
            continue
        after = pl.col(name).cast(pl.Datetime("us", "UTC")) > pl.col(time)
        later = train.select(after.sum()).item()
        if later:
            yield LeakFinding(
                "later time",
                name,
                "warn",
                f"{name} is after {time} in {later:,} of {train.height:,} training rows; was it known then?",
                {"rows": later},
            )


CHECKS: dict[str, Callable[[Parts], Iterator[LeakFinding]]] = {
    "role": _roles_among_inputs,
    "target copy": _target_copies,
    "shared rows": _shared_rows,
    "time travel": _time_travel,
    "later time": _later_times,
}
