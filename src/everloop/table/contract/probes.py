"""What a check looks at: a contract and a table's columns, as Polars expressions."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import TYPE_CHECKING, Any, Literal

from everloop.table.contract import words
from everloop.table.contract.contents import content_flaw
from everloop.table.contract.text_pattern import LONGEST_TEXT, whole
from everloop.table.schema import column_type, is_known

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.column_rules import ColumnRule
    from everloop.table.contract.rules import Contract
    from everloop.table.contract.table_rules import TableRule

Deciding = Literal["presence", "ends", "values"]

# Polars compares short texts in place; in a short list of them that is several times as fast as `is_in`.
_SHORT_LIST, _SHORT_TEXT = 8, 12


@dataclass(frozen=True)
class Probe:
    """One thing to look at.

    Attributes:
        column: The column, or the empty text for the table as a whole.
        rule: Which rule.
        severity: ``error`` or ``warn``.
        expected: What it asks for, in words.
        fails: Whether a row fails; None where one number of the table is judged.
        shows: The columns whose values are shown of a row that fails.
        measure: The one number; with `fails` it decides whether rows are looked for at all.
        low: The least that the number may be.
        high: The most.
        reads: Writes the number in words.
        key: What must not come twice, where that is the rule.
        present: The rows that have a key.
        decided_by: What of a column is enough to know that no row fails: whether values are missing, that
            and the least and the greatest, or that and each different value. None where rows are needed.
    """

    column: str
    rule: str
    severity: str
    expected: str
    fails: Any = None
    shows: tuple[str, ...] = ()
    measure: Any = None
    low: float | None = None
    high: float | None = None
    reads: Any = None
    key: Any = None
    present: Any = None
    decided_by: Deciding | None = None

    @property
    def columns(self) -> set[str]:
        """All columns that are read for it."""
        looked_at = [one for one in (self.fails, self.measure) if one is not None]
        return {*self.shows, *(name for one in looked_at for name in one.meta.root_names())}

    def holds(self, number: float) -> bool:
        """Tells whether the one number, or the number of rows that fail, is as it should be."""
        if self.measure is None:
            return number == 0
        return (self.low is None or number >= self.low) and (self.high is None or number <= self.high)


def fits(rule: ColumnRule, dtype: pl.DataType) -> bool:
    """Tells whether a column of this type can be held against the rule."""
    import polars as pl

    if dtype == pl.Null:
        return True
    if not is_known(dtype):
        return False
    kind = column_type(rule.name, dtype)
    numeric = {"integer", "number"}
    return kind == rule.type or (kind in numeric and rule.type in numeric)


def probes_of(contract: Contract, schema: Mapping[str, Any], now: datetime | None) -> list[Probe]:
    """Gives what to look at in a table.

    Args:
        contract: What the table must satisfy.
        schema: The table's columns, from name to Polars type.
        now: The time at which freshness is judged; it is not judged without.
    """
    fitting = [rule for rule in contract.columns if rule.name in schema and fits(rule, schema[rule.name])]
    names = {rule.name for rule in fitting}
    found = [probe for rule in fitting for probe in _of_column(rule, schema[rule.name])]
    found += [
        probe
        for rule in contract.rules
        if set(rule.reads) <= names
        for probe in _OF_RULE[rule.kind](rule, schema, now)
    ]
    return found


def _of_column(rule: ColumnRule, dtype: pl.DataType) -> Iterator[Probe]:
    import polars as pl

    raw = pl.col(rule.name)
    column, missing, shown = raw, raw.is_null(), (rule.name,)
    if dtype.is_float():
        missing = missing | raw.is_nan()
        yield Probe(rule.name, "type", "error", words.FINITE, raw.is_infinite(), shown, decided_by="ends")
        if rule.type == "integer":
            yield Probe(
                rule.name, "type", "error", words.WHOLE, raw.is_finite() & (raw != raw.floor()), shown
            )
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        column = raw.cast(pl.String)
    elif dtype == pl.Null:
        kinds: dict[str, Any] = {"text": pl.String, "boolean": pl.Boolean, "time": pl.Int64}
        column = raw.cast(kinds.get(rule.type, pl.Float64))
    elif rule.type == "time":
        column = raw.dt.epoch("us")
    if not rule.nullable:
        yield Probe(
            rule.name, "nullable", rule.severity, words.NOT_NULL, missing, shown, decided_by="presence"
        )
    if rule.max_missing is not None:
        most = rule.max_missing
        over = pl.when(missing.sum() > most * pl.len()).then(missing.sum()).otherwise(0)
        yield Probe(rule.name, "max_missing", rule.severity, words.share(most), measure=over, high=0)
    present = raw.is_not_nan() if dtype.is_float() else None
    yield from _of_values(rule, column, present, dtype)


def _of_values(rule: ColumnRule, column: pl.Expr, present: Any, dtype: pl.DataType) -> Iterator[Probe]:
    shown = (rule.name,)
    if rule.minimum is not None:
        below = column < words.comparable(rule.minimum)
        yield Probe(
            rule.name, "minimum", rule.severity, words.at_least(rule), below, shown, decided_by="ends"
        )
    if rule.maximum is not None:
        # NaN is missing, and Polars orders it above every number.
        above = column > words.comparable(rule.maximum)
        above = above if present is None else above & present
        yield Probe(rule.name, "maximum", rule.severity, words.at_most(rule), above, shown, decided_by="ends")
    if rule.allowed is not None:
        other = _is_one_of(rule, column).not_()
        other = other if present is None else other & present
        yield Probe(
            rule.name, "allowed", rule.severity, words.one_of(rule), other, shown, decided_by="values"
        )
    if rule.pattern is not None:
        short = column.str.len_chars() <= LONGEST_TEXT
        matches = short & column.str.contains(whole(rule.pattern), strict=True)
        yield Probe(
            rule.name, "pattern", rule.severity, words.like(rule), matches.not_(), shown, decided_by="values"
        )
    if rule.content is not None:
        flawed = {"content": words.carries(rule)} | ({"size": words.sized(rule)} if rule.size else {})
        for broken, expected in flawed.items():
            yield Probe(rule.name, broken, rule.severity, expected, _flawed(rule, column, broken), shown)
    if rule.unique:
        compared = column.fill_nan(None) if dtype.is_float() else column
        yield Probe(
            rule.name,
            "unique",
            rule.severity,
            "unique",
            compared.is_duplicated() & compared.is_not_null(),
            shown,
            measure=compared.count() - compared.drop_nulls().n_unique(),
            high=0,
            key=compared,
            present=compared.is_not_null(),
        )


def _flawed(rule: ColumnRule, column: pl.Expr, broken: str) -> pl.Expr:
    """Gives whether a text that should carry an image or a sound breaks a rule of it; each is decoded."""
    import polars as pl

    def look(texts: pl.Series) -> pl.Series:
        flaws = (None if text is None else content_flaw(text, rule) for text in texts.to_list())
        return pl.Series(texts.name, [None if f is None else f[0] == broken for f in flaws], dtype=pl.Boolean)

    return column.map_batches(look, return_dtype=pl.Boolean).fill_null(value=False)


def _is_one_of(rule: ColumnRule, column: pl.Expr) -> pl.Expr:
    import polars as pl

    allowed = list(rule.allowed or ())
    if rule.type in {"number", "integer"}:
        return column.cast(pl.Float64).is_in([float(value) for value in allowed])
    short = rule.type == "text" and all(len(value.encode()) <= _SHORT_TEXT for value in allowed)
    if short and 0 < len(allowed) <= _SHORT_LIST:
        equal: pl.Expr = reduce(operator.or_, (column == value for value in allowed))
        return equal
    return column.is_in(allowed)


def _row_count(rule: TableRule, schema: Mapping[str, Any], now: datetime | None) -> Iterator[Probe]:
    del schema, now
    import polars as pl

    yield Probe(
        "",
        "row_count",
        rule.severity,
        words.of_table(rule)[1],
        measure=pl.len(),
        low=rule.minimum,
        high=rule.maximum,
        reads=lambda number: f"{number} rows",
    )


def _key(rule: TableRule, schema: Mapping[str, Any], now: datetime | None) -> Iterator[Probe]:
    del now
    import polars as pl

    compared = [
        pl.col(name).fill_nan(None) if schema[name].is_float() else pl.col(name) for name in rule.columns
    ]
    key, present = pl.struct(compared), pl.all_horizontal([one.is_not_null() for one in compared])
    yield Probe(
        "",
        "unique",
        rule.severity,
        words.of_table(rule)[1],
        key.is_duplicated() & present,
        rule.columns,
        measure=present.sum() - key.filter(present).n_unique(),
        high=0,
        key=key,
        present=present,
    )


def _condition(rule: TableRule, schema: Mapping[str, Any], now: datetime | None) -> Iterator[Probe]:
    del schema, now
    import polars as pl

    from everloop.table.expression import to_polars

    if rule.expression is None:
        return
    fails = to_polars(rule.expression).not_().fill_null(value=False)
    if not rule.expression.columns:
        fails = fails & (pl.int_range(pl.len()) >= 0)
    yield Probe("", "holds", rule.severity, words.of_table(rule)[1], fails, rule.expression.columns)


def _fresh(rule: TableRule, schema: Mapping[str, Any], now: datetime | None) -> Iterator[Probe]:
    del schema
    import polars as pl

    if now is None or rule.within is None:
        return
    column, today = pl.col(rule.columns[0]).dt.epoch("us"), words.comparable(now)
    yield Probe(
        rule.columns[0],
        "fresh",
        rule.severity,
        words.of_table(rule)[1],
        measure=column.filter(column <= today).max().fill_null(-(2**62)),
        low=words.comparable(now - rule.within),
        reads=lambda newest: words.newest(newest, now),
    )


def _reference(rule: TableRule, schema: Mapping[str, Any], now: datetime | None) -> Iterator[Probe]:
    """References need another table; see `everloop.table.contract.references`."""
    del rule, schema, now
    yield from ()


_OF_RULE = {
    "row_count": _row_count,
    "unique": _key,
    "holds": _condition,
    "fresh": _fresh,
    "refers": _reference,
}
