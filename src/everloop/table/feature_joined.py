"""A feature over rows of another source, as they were known at the time of the decision: its definition.

One meaning for training and serving. For a decision on the entity `k` at the time `t`, the rows of the
source that count are those

- whose `by` column equals `k` (a missing key equals none, neither here nor there),
- whose event happened at `t` or before: `time <= t`,
- and, with a span, after its start: `time > t - span` (a row exactly `span` old does not count),
- that were known at `t`: `known <= t`; a row without a time or without a known time counts never,
- and that had not been corrected by then: of the rows with the same `key` (versions of one event) only
  the last that was known at `t` counts, and it alone decides whether the event lies in the span. A version
  without a time takes its event back. Rows with a missing key are events of their own.

Rows are in the order of their `time`, then of when they were `known`, then of the feature's value (a
missing one first); versions in the order of when they were `known`, then of `time`, of `by`, and of the
value. So no order of arrival, and no engine, changes an answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.expression import Expression, parse
from everloop.table.expression.parsing import syntax_of
from everloop.table.feature_aggregates import AGGREGATES, Aggregate

if TYPE_CHECKING:
    from everloop.spec import AsOfFeature, WindowFeature

_MICROSECOND = timedelta(microseconds=1)
# Class of sqlglot's node, or name of an unknown function -> aggregate.
_WRITTEN = {
    "Sum": "sum",
    "Avg": "mean",
    "mean": "mean",
    "Min": "min",
    "Max": "max",
    "Stddev": "std",
    "StddevSamp": "std",
    "std": "std",
    "Count": "count",
    "latest": "latest",
}


@dataclass(frozen=True)
class SourceEvents:
    """Which columns of a source say what its rows are, and when.

    Attributes:
        time: When the event happened.
        known: When the row became known; the same column as `time` where the source says nothing.
        key: What tells events apart; empty where every row is an event of its own.
    """

    time: str
    known: str
    key: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Gives it as what JSON can carry."""
        return {"time": self.time, "known": self.known, "key": list(self.key)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SourceEvents:
        """Reads what `to_dict` gave."""
        return cls(str(data["time"]), str(data["known"]), tuple(data["key"]))


@dataclass(frozen=True)
class JoinedFeature:
    """One feature over rows of another source.

    Attributes:
        name: The feature's name.
        source: The source's name.
        by: The column that tells entities apart, of the same name in the source and in the row.
        aggregate: The name of one of `AGGREGATES`. An as-of feature is `latest`.
        value: What is computed from each row of the source first; None for `count_rows`.
        span: How far back rows count; None is without end.
        type: What it gives, in the words of `table.schema`.
    """

    name: str
    source: str
    by: str
    aggregate: str
    value: Expression | None
    span: timedelta | None
    type: str

    @property
    def meaning(self) -> Aggregate:
        """The aggregate's definition."""
        return AGGREGATES[self.aggregate]

    @property
    def span_us(self) -> int | None:
        """The span in microseconds."""
        return None if self.span is None else self.span // _MICROSECOND

    @property
    def columns(self) -> tuple[str, ...]:
        """The source's columns that the value reads."""
        return () if self.value is None else self.value.columns

    def to_dict(self) -> dict[str, Any]:
        """Gives the definition as what JSON can carry."""
        return {
            "name": self.name,
            "source": self.source,
            "by": self.by,
            "aggregate": self.aggregate,
            "value": None if self.value is None else self.value.to_dict(),
            "span_us": self.span_us,
            "type": self.type,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> JoinedFeature:
        """Reads what `to_dict` gave; needs no SQL parser."""
        value, span = data["value"], data["span_us"]
        return cls(
            name=str(data["name"]),
            source=str(data["source"]),
            by=str(data["by"]),
            aggregate=str(data["aggregate"]),
            value=None if value is None else Expression.from_dict(value),
            span=None if span is None else span * _MICROSECOND,
            type=str(data["type"]),
        )


def define_joined(
    name: str, feature: WindowFeature | AsOfFeature, types: Mapping[str, str] | None = None
) -> JoinedFeature:
    """Reads one feature from the lifecycle file.

    Args:
        name: The feature's name.
        feature: Its part of the file.
        types: From each column of the source to its type; without it names are not checked, and the
            type of a value is what its place asks for.

    Raises:
        SpecFault: When its value is no aggregate, or reads what the source does not have; the message
            names the feature.
    """
    try:
        aggregate, value = _read_value(feature, types)
    except SpecFault as fault:
        raise SpecFault(
            f"The feature {name}: {fault.message}", hint=fault.hint, place=f"data.features.{name}"
        ) from fault
    result = AGGREGATES[aggregate].result
    return JoinedFeature(
        name=name,
        source=feature.source,
        by=feature.by,
        aggregate=aggregate,
        value=value,
        span=getattr(feature, "over", None) or getattr(feature, "within", None),
        type=value.type if result == "same" and value is not None else result,
    )


def _read_value(
    feature: WindowFeature | AsOfFeature, types: Mapping[str, str] | None
) -> tuple[str, Expression | None]:
    latest = getattr(feature, "latest", None)
    if latest is not None:
        plain = types is not None and latest in types
        return "latest", parse('"' + latest.replace('"', '""') + '"' if plain else latest, types)
    aggregate, inner = read_aggregate(feature.value)  # type: ignore[union-attr]
    if inner is None:
        return aggregate, None
    value, takes = parse(inner, types), AGGREGATES[aggregate].takes
    if value.type not in takes:
        raise SpecFault(
            f"{AGGREGATES[aggregate].sql} is of a {' or '.join(takes)}, and {inner} is a {value.type}.",
            hint=f"cast({inner} as double)" if value.type in ("boolean", "text") else None,
        )
    return aggregate, value


def read_aggregate(sql: str) -> tuple[str, str | None]:
    """Takes an SQL aggregate apart.

    Args:
        sql: Such as ``sum(amount)``.

    Returns:
        The name of one of `AGGREGATES`, and the SQL inside it; None where it counts rows.

    Raises:
        SpecFault: When it is no aggregate of a single value.
    """
    node: Any = syntax_of(sql)
    kind = str(node.this).lower() if type(node).__name__ == "Anonymous" else type(node).__name__
    name = _WRITTEN.get(kind)
    if name is None:
        raise _no_aggregate(sql)
    parts = node.expressions if kind in ("mean", "std", "latest") else [node.this]
    inner = parts[0] if len(parts) == 1 else None
    if inner is not None and type(inner).__name__ == "Distinct":
        parts = inner.expressions
        inner, name = (parts[0], "count_distinct") if name == "count" and len(parts) == 1 else (None, name)
    elif type(inner).__name__ == "Star" and name == "count":
        return "count_rows", None
    if inner is None or _extra_arguments(node):
        raise _no_aggregate(sql)
    return name, str(inner.sql(dialect="duckdb"))


def _extra_arguments(node: Any) -> bool:
    """Says whether a call has more than its one value, as ``min(x, 3)`` has."""
    return any(node.args.get(name) for name in ("count", "expression"))


def _no_aggregate(sql: str) -> SpecFault:
    known = ", ".join(aggregate.sql for aggregate in AGGREGATES.values())
    return SpecFault(
        f"{sql.strip()!r} is no aggregate of one value; known are {known}.",
        hint="compute inside it, as in sum(amount * rate), and with the result in a feature of its own",
    )
