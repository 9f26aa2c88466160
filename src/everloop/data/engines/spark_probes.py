"""What a check looks at, as SQL for Spark: the same probes as `everloop.table.contract.probes`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.contract import words
from everloop.table.contract.probes import Probe, fits
from everloop.table.contract.text_pattern import LONGEST_TEXT
from everloop.table.expression import to_spark
from everloop.table.expression.spark_form import instant, literal_text, quoted

if TYPE_CHECKING:
    from everloop.table.contract import ColumnRule, Contract, TableRule

_NEVER = f"CAST({-(2**62)} AS BIGINT)"


@dataclass(frozen=True)
class Columns:
    """A table's columns.

    Attributes:
        dtypes: From name to Polars type.
        kinds: From name to Spark type.
    """

    dtypes: Mapping[str, Any]
    kinds: Mapping[str, str]

    def value(self, name: str) -> str:
        """Gives a column as what is compared: NaN is missing, a time is its microseconds since 1970."""
        column, dtype = quoted(name), self.dtypes[name]
        if dtype.is_float():
            return f"CASE WHEN NOT isnan({column}) THEN {column} END"
        if dtype.is_temporal():
            return instant(name, self.kinds[name])
        return column


def spark_probes(contract: Contract, columns: Columns, now: datetime | None) -> list[Probe]:
    """Gives what to look at in a table on Spark.

    Args:
        contract: What the table must satisfy.
        columns: The table's columns.
        now: The time at which freshness is judged; it is not judged without.
    """
    fitting = [
        rule
        for rule in contract.columns
        if rule.name in columns.dtypes and fits(rule, columns.dtypes[rule.name])
    ]
    names = {rule.name for rule in fitting}
    found = [probe for rule in fitting for probe in _of_column(rule, columns)]
    found += [
        probe
        for rule in contract.rules
        if set(rule.reads) <= names and rule.kind in _OF_RULE
        for probe in _OF_RULE[rule.kind](rule, columns, now)
    ]
    return found


def _of_column(rule: ColumnRule, columns: Columns) -> Iterator[Probe]:
    column, dtype, shown = quoted(rule.name), columns.dtypes[rule.name], (rule.name,)
    value = columns.value(rule.name)
    missing = f"({value} IS NULL)"
    if dtype.is_float():
        infinite = f"(abs({column}) = CAST('Infinity' AS DOUBLE))"
        yield Probe(rule.name, "type", "error", words.FINITE, infinite, shown)
        if rule.type == "integer":
            fraction = f"(abs({value}) < {2.0**53!r}D AND {column} <> floor({column}))"
            yield Probe(rule.name, "type", "error", words.WHOLE, fraction, shown)
    if not rule.nullable:
        yield Probe(rule.name, "nullable", rule.severity, words.NOT_NULL, missing, shown)
    if rule.max_missing is not None:
        count = f"count_if({missing})"
        over = f"CASE WHEN {count} > {_number(rule.max_missing)} * count(*) THEN {count} ELSE 0 END"
        yield Probe(
            rule.name, "max_missing", rule.severity, words.share(rule.max_missing), measure=over, high=0
        )
    yield from _of_values(rule, value)


def _of_values(rule: ColumnRule, value: str) -> Iterator[Probe]:
    shown = (rule.name,)
    if rule.minimum is not None:
        below = f"({value} < {_number(words.comparable(rule.minimum))})"
        yield Probe(rule.name, "minimum", rule.severity, words.at_least(rule), below, shown)
    if rule.maximum is not None:
        above = f"({value} > {_number(words.comparable(rule.maximum))})"
        yield Probe(rule.name, "maximum", rule.severity, words.at_most(rule), above, shown)
    if rule.allowed is not None:
        other = f"(NOT {_is_one_of(rule, value)})"
        yield Probe(rule.name, "allowed", rule.severity, words.one_of(rule), other, shown)
    if rule.pattern is not None:
        # As Rust reads it: classes of Unicode, and a line ends at a line feed alone.
        whole = literal_text(f"(?dU)^(?:{rule.pattern})\\z")
        other = f"(length({value}) > {LONGEST_TEXT} OR NOT {value} RLIKE {whole})"
        yield Probe(rule.name, "pattern", rule.severity, words.like(rule), other, shown)
    if rule.content is not None:
        raise SpecFault(
            f"Column {rule.name!r} carries an {rule.content}, which is not decoded on Spark.",
            hint="engine: {data: polars}",
            place="engine.data",
        )
    if rule.unique:
        again = f"count({value}) - count(DISTINCT {value})"
        twice = f"({value} IS NOT NULL AND count(*) OVER (PARTITION BY {value}) > 1)"
        yield Probe(rule.name, "unique", rule.severity, "unique", twice, shown, measure=again, high=0)


def _is_one_of(rule: ColumnRule, value: str) -> str:
    allowed = rule.allowed or ()
    if not allowed:
        return f"CASE WHEN {value} IS NOT NULL THEN false END"
    if rule.type in {"number", "integer"}:
        return (
            f"(CAST({value} AS DOUBLE) + 0D) IN ({', '.join(_number(float(one) + 0.0) for one in allowed)})"
        )
    written = [literal_text(one) if isinstance(one, str) else str(one).lower() for one in allowed]
    return f"{value} IN ({', '.join(written)})"


def _number(value: float) -> str:
    return f"CAST({value} AS BIGINT)" if isinstance(value, int) else f"({value!r}D)"


def _row_count(rule: TableRule, columns: Columns, now: datetime | None) -> Iterator[Probe]:
    del columns, now
    yield Probe(
        "",
        "row_count",
        rule.severity,
        words.between(rule.minimum, rule.maximum),
        measure="count(*)",
        low=rule.minimum,
        high=rule.maximum,
        reads=lambda number: f"{number} rows",
    )


def _key(rule: TableRule, columns: Columns, now: datetime | None) -> Iterator[Probe]:
    del now
    values = [columns.value(name) for name in rule.columns]
    present = " AND ".join(f"{value} IS NOT NULL" for value in values)
    listed = ", ".join(values)
    # A distinct count of several columns passes over rows in which one is missing.
    again = f"count_if({present}) - count(DISTINCT {listed})"
    twice = f"({present} AND count(*) OVER (PARTITION BY {listed}) > 1)"
    expected = f"unique in {', '.join(rule.columns)}"
    yield Probe("", "unique", rule.severity, expected, twice, rule.columns, measure=again, high=0)


def _condition(rule: TableRule, columns: Columns, now: datetime | None) -> Iterator[Probe]:
    del now
    if rule.expression is None:
        return
    fails = f"coalesce(NOT ({to_spark(rule.expression, columns.kinds)}), false)"
    yield Probe("", "holds", rule.severity, words.holds(rule.expression.sql), fails, rule.expression.columns)


def _fresh(rule: TableRule, columns: Columns, now: datetime | None) -> Iterator[Probe]:
    if now is None or rule.within is None:
        return
    value = columns.value(rule.columns[0])
    known = f"CASE WHEN {value} <= {_number(words.comparable(now))} THEN {value} END"
    yield Probe(
        rule.columns[0],
        "fresh",
        rule.severity,
        words.fresh(rule.within),
        measure=f"coalesce(max({known}), {_NEVER})",
        low=words.comparable(now - rule.within),
        reads=lambda newest: words.newest(newest, now),
    )


_OF_RULE: dict[str, Callable[[Any, Columns, datetime | None], Iterator[Probe]]] = {
    "row_count": _row_count,
    "unique": _key,
    "holds": _condition,
    "fresh": _fresh,
}
"""Kinds of rules; a reference is judged by a join with the columns that it reads."""
