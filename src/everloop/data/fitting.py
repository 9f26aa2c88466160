"""Fits the cleaning plan: what each column needs, found on the training part alone.

Each kind of fault is one stage: it looks at every column at once, as the stages before it left them,
and gives the actions that it wants. Rows are counted, never read one by one, so their order does not
matter and the table may be larger than memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import SpecFault
from everloop.data.cleaning_log import CleaningEntry
from everloop.data.dependencies import dependent_spellings
from everloop.data.ordered import in_order, quantile
from everloop.data.sentinels import number_facts, number_sentinels, plain, text_sentinels
from everloop.data.spelling import MOST_VALUES, find_spellings
from everloop.spec.cleaning import ColumnCleanSpec
from everloop.table.cleaning import (
    Action,
    CleaningPlan,
    Clip,
    ColumnCleaning,
    MergeCategories,
    MissingValues,
    ReadNumber,
    ReadTime,
    free_name,
)
from everloop.table.expression import to_polars
from everloop.table.text_types import TextType, text_types

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.spec import CleanSpec
    from everloop.table.stored import ColumnTable

MOST_COMPARED = 100_000
VALUES_HELD = 2_000_000
"""So many values are read by one query: a query of its own for each of thousands of columns takes minutes."""

_TAIL = 3.0  # An outlier lies this many times as far beyond the 1st or 99th percentile as that lies out.


@dataclass
class _Fit:
    """The plan as it grows."""

    table: pl.LazyFrame
    rows: int
    clean: CleanSpec
    types: Mapping[str, str]
    actions: dict[str, list[Action]] = field(default_factory=dict)
    entries: list[CleaningEntry] = field(default_factory=list)

    def rule(self, name: str) -> ColumnCleanSpec:
        return self.clean.columns.get(name) or ColumnCleanSpec()

    def column(self, name: str, clean: str = "clean") -> ColumnCleaning:
        return ColumnCleaning(name, self.types[name], clean, tuple(self.actions[name]))

    def kind(self, name: str) -> str:
        """The type of a column after the actions so far."""
        return str(self.column(name).definition.expression.type)

    def form(self, name: str) -> pl.Expr:
        """A column after the actions so far."""
        return to_polars(self.column(name).definition.expression)

    def add(self, name: str, action: Action, step: str, rows: int, detail: str, undo: str) -> None:
        self.actions[name].append(action)
        place = f"data.clean.columns.{name}.{undo}"
        self.entries.append(CleaningEntry(step, rows, detail, column=name, undo=place))

    def of_kind(self, kind: str) -> list[str]:
        return [name for name in self.actions if self.kind(name) == kind]

    def numbers(self, names: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float64]]]:
        """Each column's finite values after the actions so far, from the least to the greatest."""
        at_once = max(1, VALUES_HELD // max(1, self.rows))
        for start in range(0, len(names), at_once):
            forms = [self.form(name).alias(name) for name in names[start : start + at_once]]
            for column in self.table.select(forms).collect(engine="streaming"):
                yield column.name, in_order(column)

    def count(self, name: str, test: Callable[[pl.Expr], pl.Expr]) -> int:
        """Counts the rows of which something holds."""
        counted = self.table.select(test(self.form(name)).sum()).collect(engine="streaming")
        return int(counted.item() or 0)

    def facts(
        self, names: Sequence[str], make: Callable[[pl.Expr], Mapping[str, pl.Expr]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """Computes facts of several columns at once."""
        made = {(name, key): fact for name in names for key, fact in make(self.form(name)).items()}
        if not made:
            return
        named = [fact.alias(str(place)) for place, fact in enumerate(made.values())]
        found: dict[str, dict[str, Any]] = {name: {} for name in names}
        values = self.table.select(named).collect(engine="streaming").row(0)
        for (name, key), value in zip(made, values, strict=True):
            found[name][key] = value
        yield from found.items()


def fit_cleaning(
    train: ColumnTable, inputs: Sequence[str], clean: CleanSpec
) -> tuple[CleaningPlan, tuple[CleaningEntry, ...]]:
    """Fits the cleaning of the columns that a model may read.

    Args:
        train: The training rows.
        inputs: The columns.
        clean: What the file says.

    Returns:
        The plan, with nothing for columns that need nothing, and what it does to the training rows.

    Raises:
        SpecFault: When the file names a column that is not there, or asks a column for what it cannot.

    Example:
        >>> import polars as pl
        >>> from everloop.spec import CleanSpec
        >>> plan, done = fit_cleaning(pl.DataFrame({"age": ["30", "?", "41"] * 9}), ["age"], CleanSpec())
        >>> [(entry.step, entry.rows) for entry in done]
        [('sentinel', 9), ('type', 18)]
    """
    from everloop.table.schema import schema_of

    table = train.lazy()
    types: dict[str, str] = dict(schema_of(table).types)
    for name in clean.columns:
        if name not in types:
            raise SpecFault(
                f"data.clean.columns names {name}, which is no column of the table.",
                hint=f"the columns are {', '.join(types)}",
                place=f"data.clean.columns.{name}",
            )
    fit = _Fit(table, train.height, clean, types, {name: [] for name in inputs})
    for stage in (_text_sentinels, _spellings, _types, _numbers):
        stage(fit)
    taken = set(types)
    names = {name: free_name(f"{name}_clean", taken) for name, actions in fit.actions.items() if actions}
    columns = tuple(fit.column(name, clean) for name, clean in names.items())
    entries = tuple(replace(entry, feature=names[str(entry.column)]) for entry in fit.entries)
    return CleaningPlan(columns), entries


def _text_sentinels(fit: _Fit) -> None:
    looks = fit.clean.missing != "keep" and fit.clean.sentinels == "find"
    sought = []
    for name in fit.of_kind("text"):
        given = fit.rule(name).missing_values
        if given is None and looks:
            sought.append(name)
        elif given:
            values = tuple(str(value) for value in given)
            _add_missing(fit, name, values, fit.count(name, partial(_among, values=values)))
    for name, facts in fit.facts(sought, _text_facts):
        counts = dict(sorted(tuple(entry.values()) for entry in facts["counts"]))
        if counts and sum(counts.values()) < facts["present"]:
            _add_missing(fit, name, tuple(counts), sum(counts.values()))


def _text_facts(text: pl.Expr) -> dict[str, pl.Expr]:
    return {"counts": text_sentinels(text), "present": text.count()}


def _among(column: pl.Expr, values: Sequence[Any]) -> pl.Expr:
    return column.is_in(values)


def _add_missing(fit: _Fit, name: str, values: tuple[Any, ...], rows: int) -> None:
    shown = ", ".join(repr(plain(value)) for value in values)
    verb = "means" if len(values) == 1 else "mean"
    fit.add(
        name, MissingValues(values), "sentinel", int(rows), f"{shown} {verb} missing", "missing_values: []"
    )


def _spellings(fit: _Fit) -> None:
    sought = []
    for name in fit.of_kind("text"):
        rule = fit.rule(name).categories or fit.clean.categories
        if isinstance(rule, dict):
            _merge(fit, name, _grouped(rule))
        elif rule == "merge":
            sought.append(name)
    few = [
        name
        for name, facts in fit.facts(sought, lambda text: {"different": text.approx_n_unique()})
        if 1 < facts["different"] <= MOST_VALUES
    ]
    counts = {name: _text_counts(fit, name) for name in few}
    meant = {name: _told(find_spellings(counts[name])) for name in few}
    while moved := _dependent(fit, few, meant):
        for name, slips in moved.items():
            whole = {text: slips.get(kept, kept) for text, kept in meant[name].items()} | slips
            again = _told(find_spellings(_merged(counts[name], whole)))
            meant[name] = {text: again.get(kept, kept) for text, kept in whole.items()} | again
    for name in few:
        _merge(fit, name, _grouped(meant[name]), counts[name])


def _told(groups: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Gives from each spelling the one that stays."""
    return {other: kept for kept, others in groups.items() for other in others}


def _merged(counts: Mapping[str, int], meant: Mapping[str, str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for text, rows in counts.items():
        kept = meant.get(text, text)
        found[kept] = found.get(kept, 0) + rows
    return found


def _dependent(
    fit: _Fit, names: Sequence[str], meant: Mapping[str, Mapping[str, str]]
) -> dict[str, dict[str, str]]:
    """Finds slips that other columns give away, in what was merged so far; of a large table in a part."""
    import polars as pl

    if len(names) < 2:
        return {}
    step = max(1, fit.rows // MOST_COMPARED)
    texts = fit.table.select(fit.form(name).alias(name) for name in names)
    sample = texts.with_row_index("__row").filter(pl.col("__row") % step == 0).drop("__row")
    whole = sample.with_columns(pl.col(name).replace(dict(meant[name])) for name in names if meant[name])
    return dependent_spellings(whole.collect(engine="streaming"))


def _text_counts(fit: _Fit, name: str) -> dict[str, int]:
    import polars as pl

    counted = fit.table.select(fit.form(name).alias("value")).drop_nulls().group_by("value").agg(pl.len())
    return dict(sorted(counted.collect(engine="streaming").iter_rows()))


def _grouped(spellings: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for text, kept in spellings.items():
        groups.setdefault(kept, []).append(text)
    return {kept: tuple(sorted(others)) for kept, others in sorted(groups.items())}


def _merge(
    fit: _Fit, name: str, groups: Mapping[str, tuple[str, ...]], counts: Mapping[str, int] | None = None
) -> None:
    if not groups:
        return
    counts = _text_counts(fit, name) if counts is None else counts
    rows = sum(counts.get(other, 0) for others in groups.values() for other in others)
    kept, others = max(groups.items(), key=lambda group: (sum(counts.get(o, 0) for o in group[1]), group[0]))
    spellings = sum(map(len, groups.values()))
    detail = f"{spellings} spelling{'s' * (spellings != 1)} merged, such as {others[0]!r} into {kept!r}"
    fit.add(name, MergeCategories(dict(groups)), "categories", rows, detail, "categories: keep")


def _asked(fit: _Fit, name: str, kind: str) -> TextType:
    """Reads a column as what the file says that it is; of ambiguous days the day comes first."""
    text = text_types(fit.table, {name: fit.form(name)}, share=1e-9)[name]
    if kind == "time" and text.ambiguous:
        return replace(text, kind="time")
    if text.kind != kind:
        raise SpecFault(
            f"data.clean reads {name} as a {kind}, and no value of the training part is one.",
            place=f"data.clean.columns.{name}.type",
            hint=f"take data.clean.columns.{name}.type away",
        )
    return text


def _types(fit: _Fit) -> None:
    asked = {name: fit.rule(name).type for name in fit.actions}
    for name, kind in asked.items():
        if kind in ("number", "time") and fit.kind(name) != "text":
            raise SpecFault(
                f"data.clean reads {name} as a {kind}, and it holds {fit.types[name]} values, not text.",
                place=f"data.clean.columns.{name}.type",
                hint=f"take data.clean.columns.{name}.type away",
            )
    texts = [name for name in fit.of_kind("text") if asked[name] != "text"]
    found = {}
    if fit.clean.types == "repair":
        found = text_types(fit.table, {name: fit.form(name) for name in texts if asked[name] is None})
    for name in texts:
        if asked[name] is not None:
            found[name] = _asked(fit, name, str(asked[name]))
    for name, text in found.items():
        if text.kind == "text":
            continue
        action: Action = ReadNumber(text.style) if text.kind == "number" else ReadTime(text.forms)
        like = text.style if text.kind == "number" else ", ".join(text.forms)
        how = f" like {like}" if like else ""
        unread = f"; {text.unread} that are none become missing" if text.unread else ""
        detail = f"text read as a {text.kind}{how}{unread}"
        fit.add(name, action, "type", text.read + text.unread, detail, "type: text")


def _numbers(fit: _Fit) -> None:
    """Looks at each column of numbers in order once: for marks that mean missing, then for outliers."""
    looks = fit.clean.missing != "keep" and fit.clean.sentinels == "find"
    columns = fit.of_kind("number")
    clipped = {name for name in columns if (fit.rule(name).outliers or fit.clean.outliers) == "clip"}
    sought = {name for name in columns if looks and fit.rule(name).missing_values is None}
    told = {name for name in columns if fit.rule(name).missing_values}
    for name, found in fit.numbers([name for name in columns if name in clipped | sought | told]):
        ordered, given = found, fit.rule(name).missing_values
        marks: dict[float, int] = number_sentinels(number_facts(ordered)) if name in sought else {}
        if given and fit.types[name] != "text":
            values = np.array([_number(name, value) for value in given])
            marks = {float(value): int((ordered == value).sum()) for value in values}
        if marks:
            _add_missing(fit, name, tuple(marks), sum(marks.values()))
            ordered = ordered[~np.isin(ordered, list(marks))]
        if name in clipped:
            _clip(fit, name, ordered)


def _clip(fit: _Fit, name: str, ordered: NDArray[np.float64]) -> None:
    low, high = _fences(ordered)
    rows = int(np.searchsorted(ordered, low)) if low is not None else 0
    rows += len(ordered) - int(np.searchsorted(ordered, high, "right")) if high is not None else 0
    if rows:
        fit.add(name, Clip(low, high), "outliers", rows, _clipped(low, high), "outliers: keep")


def _number(name: str, value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        raise SpecFault(
            f"data.clean says that {value!r} means missing in {name}, which holds numbers.",
            hint="write a number",
            place=f"data.clean.columns.{name}.missing_values",
        ) from None


def _clipped(low: float | None, high: float | None) -> str:
    ends = {"below": low, "above": high}
    said = " or ".join(f"{word} {end:.6g}" for word, end in ends.items() if end is not None)
    return f"numbers {said} become it"


def _fences(ordered: NDArray[np.float64]) -> tuple[float | None, float | None]:
    if not len(ordered):
        return None, None
    first, middle, last = (quantile(ordered, share) for share in (0.01, 0.5, 0.99))
    low, high = first - _TAIL * (middle - first), last + _TAIL * (last - middle)
    return (
        low if first < middle and ordered[0] < low else None,
        high if last > middle and ordered[-1] > high else None,
    )
