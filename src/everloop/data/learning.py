"""A contract learned from a table that is known to be good."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.data.identifiers import names_rows
from everloop.data.keys import likely_keys, likely_references
from everloop.data.relations import relations
from everloop.data.sentinels import sentinels_of
from everloop.table.content import content_of
from everloop.table.contract import ColumnRule, Contract, TableRule
from everloop.table.contract import check as check_contract
from everloop.table.contract.words import comparable as microseconds
from everloop.table.contract.words import of_table
from everloop.table.formats import format_of, shape_pattern
from everloop.table.images import read_image
from everloop.table.parsed import parsed_once
from everloop.table.schema import schema_of
from everloop.table.stored import aggregate, count_distinct
from everloop.table.tables import as_lazy

if TYPE_CHECKING:
    import polars as pl

# A text of no more different values than this, each of which comes often, is a list of categories.
MOST_CATEGORIES = 20
ROWS_PER_CATEGORY = 20
MANY_ROWS = 1000
# An extreme this many times as far from the middle as the 99th percentile is the end of a heavy tail.
TAIL = 3
# The next table may have this share of the rows.
ROW_SHARE = 0.1
# Rules between columns and formats are proposed by a sample of about so many rows.
SAMPLE = 10_000
_ROW = "\0row"
# A format is learned from so many texts, of which so many differ.
ROWS_OF_FORMAT, TEXTS_OF_FORMAT = 100, 20
MOST_SHAPES = 200
IMAGES_LOOKED_AT = 200
# The newest time may be so many times as old as the longest gap between two times.
GAPS, FEWEST_TIMES, MOST_WITHOUT_TIME = 3, 30, 0.05


def learn(
    table: Any,
    *,
    known_later: Collection[str] = (),
    names: Collection[str] = (),
    now: datetime | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Contract:
    """Learns what a table must satisfy from one that does.

    - A column has its type. It may miss half as many values again as now, and 5 % more; one that
      misses none in a small table, or that says when, misses none.
    - A number lies in the range it has now, widened by its whole length at both ends; a number that
      is never negative stays so. An end with a heavy tail has no bound.
    - A text of few values that come often has no other values; a text of a known format, or of a fixed
      shape, keeps it; one that carries images or sounds carries what can be decoded, images of the same
      size; and a column that names rows names each once.
    - Rules between columns (order, sums, products, missing together), keys of several columns and
      references to another source's key, each where it cannot be chance.
    - A tenth as many rows at least, and a newest time that is as fresh as the gaps between times.

    Everything but types, ranges and row counts only warns, as the world may come to differ; make it
    an error by hand.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path.
        known_later: Columns such as the target, which may be missing in any number of rows.
        names: Columns that name somebody or something, such as the customer: others come, so their values
            are bounded by none that there are.
        now: The time of learning; freshness is not learned without.
        tables: Other sources by name; references are not learned without.

    Raises:
        DataFault: When the table has no rows.

    Example:
        >>> import polars as pl
        >>> contract = learn(pl.DataFrame({"age": [20, 30, 40]}))
        >>> contract.columns[0].minimum, contract.columns[0].maximum, contract.columns[0].nullable
        (0, 60, False)
    """
    with parsed_once(table) as rows:
        found = _learned(as_lazy(rows), known_later, now, tables or {})
    return replace(
        found, columns=tuple(_open(rule) if rule.name in names else rule for rule in found.columns)
    )


def _open(rule: ColumnRule) -> ColumnRule:
    return replace(rule, allowed=None, minimum=None, maximum=None)


def _learned(
    lazy: pl.LazyFrame, known_later: Collection[str], now: datetime | None, tables: Mapping[str, Any]
) -> Contract:
    import polars as pl

    types: dict[str, Any] = dict(schema_of(lazy).types)
    expressions = [pl.len().alias("rows")]
    for position, (name, kind) in enumerate(types.items()):
        expressions += _facts(position, pl.col(name), kind)
    facts = aggregate(lazy, expressions)
    rows = int(facts["rows"])
    facts |= _values(lazy, types)
    if rows == 0:
        raise DataFault(
            "A contract cannot be learned from a table without rows.",
            hint="learn it from a table that has rows such as are expected",
        )
    columns = tuple(
        _rule(name, kind, rows, found, later=name in known_later)
        for (name, kind), found in zip(types.items(), _by_position(facts, len(types)), strict=True)
    )
    least = TableRule("row_count", minimum=max(1, math.floor(rows * ROW_SHARE)))
    known = {name: kind for name, kind in types.items() if name not in known_later}
    sample = _sample(lazy, rows)
    proposed = [
        *_between(sample, types, known, columns, rows),
        *likely_references(known, tables),
        *_fresh(lazy, known, now),
    ]
    columns = tuple(
        _with_content(_with_pattern(_with_marks(rule, sample), sample), sample) for rule in columns
    )
    return _kept(lazy, Contract(columns, (least, *proposed)), now, tables)


def _sample(lazy: pl.LazyFrame, rows: int) -> pl.DataFrame:
    """Takes rows evenly from a table."""
    import polars as pl

    step = max(1, rows // SAMPLE)
    if step == 1:
        return lazy.collect()
    numbered = lazy.with_row_index(_ROW).filter(pl.col(_ROW) % step == 0)
    return numbered.drop(_ROW).collect(engine="streaming")


def _between(
    sample: pl.DataFrame,
    types: Mapping[str, str],
    known: Mapping[str, str],
    columns: tuple[ColumnRule, ...],
    rows: int,
) -> list[TableRule]:
    rules = [TableRule.holds(sql, types, "warn") for sql in relations(sample, known)]
    if not any(rule.unique for rule in columns):
        keys = likely_keys(sample, known, rows)
        rules += [TableRule("unique", columns=key, severity="warn") for key in keys]
    return rules


def _fresh(lazy: pl.LazyFrame, known: Mapping[str, str], now: datetime | None) -> list[TableRule]:
    """Gives how old the newest time may be, for columns whose newest is not older than their gaps tell."""
    import polars as pl

    times = [name for name, kind in known.items() if kind == "time"]
    if now is None or not times:
        return []
    columns = {name: pl.col(name).dt.epoch("us") for name in times}
    days = [column.drop_nulls().unique().sort().implode().alias(name) for name, column in columns.items()]
    seen = lazy.select(
        *days, *(column.is_null().mean().alias(f"gone {name}") for name, column in columns.items())
    ).collect()
    rules = []
    for name in times:
        moments = seen[name][0].to_numpy()
        moments = moments[moments <= microseconds(now)]
        if moments.size < FEWEST_TIMES or seen[f"gone {name}"][0] > MOST_WITHOUT_TIME:
            continue
        gap = timedelta(microseconds=int(np.diff(moments).max()))
        within = max(timedelta(days=1), timedelta(days=math.ceil(GAPS * gap / timedelta(days=1))))
        if microseconds(now) - int(moments[-1]) <= within / timedelta(microseconds=1):
            rules.append(TableRule("fresh", columns=(name,), within=within, severity="warn"))
    return rules


def _with_marks(rule: ColumnRule, sample: pl.DataFrame) -> ColumnRule:
    """Lets a column miss values where some stand for a missing one: cleaning makes no difference."""
    if rule.nullable or rule.type not in ("integer", "number", "text"):
        return rule
    marks = sum(sentinels_of(sample[rule.name]).values())
    return replace(rule, nullable=True, max_missing=_share(marks / len(sample))) if marks else rule


def _with_pattern(rule: ColumnRule, sample: pl.DataFrame) -> ColumnRule:
    """Adds the format that all of a column's sampled texts have."""
    import polars as pl

    if rule.type != "text" or rule.allowed is not None:
        return rule
    texts = sample[rule.name].cast(pl.String).drop_nulls()
    distinct = texts.unique()
    if len(texts) < ROWS_OF_FORMAT or len(distinct) < TEXTS_OF_FORMAT:
        return rule
    known = format_of(distinct.to_list())
    pattern = known.pattern if known else shape_pattern(_shapes(distinct))
    return rule if pattern is None else replace(rule, pattern=pattern, severity="warn")


def _with_content(rule: ColumnRule, sample: pl.DataFrame) -> ColumnRule:
    """Asks for an image or a sound where the texts carry one; for one size where all images have it."""
    content = content_of(sample[rule.name]) if rule.type == "text" else None
    if content is None:
        return rule
    sizes = set()
    if content == "image":
        known = sample[rule.name].drop_nulls().head(IMAGES_LOOKED_AT).to_list()
        sizes = {read_image(text).shape[:2] for text in known}
    return ColumnRule(
        rule.name,
        "text",
        rule.nullable,
        max_missing=rule.max_missing,
        content=content,
        size=sizes.pop() if len(sizes) == 1 else None,
    )


def _shapes(texts: pl.Series) -> list[str]:
    shapes = texts.str.replace_all("[0-9]", "9").str.replace_all("[A-Z]", "A").str.replace_all("[a-z]", "a")
    shapes = shapes.unique()
    return shapes.to_list() if len(shapes) <= MOST_SHAPES else []


def _kept(
    lazy: pl.LazyFrame, contract: Contract, now: datetime | None, tables: Mapping[str, Any]
) -> Contract:
    """Leaves out what the sample kept and the whole table does not."""
    looked_at = tuple(ColumnRule(one.name, one.type, pattern=one.pattern) for one in contract.columns)
    proposed = tuple(rule for rule in contract.rules if rule.kind != "row_count")
    if not proposed and not any(one.pattern for one in looked_at):
        return contract
    found = check_contract(lazy, Contract(looked_at, proposed), now=now, tables=tables).findings
    loose = {finding.column for finding in found if finding.rule == "pattern"}
    broken = {(finding.column, finding.expected) for finding in found}
    columns = tuple(
        replace(rule, pattern=None, severity="warn" if rule.unique else "error")
        if rule.name in loose
        else rule
        for rule in contract.columns
    )
    rules = tuple(rule for rule in contract.rules if of_table(rule) not in broken)
    return Contract(columns, rules, contract.extra)


def _facts(position: int, column: pl.Expr, kind: str) -> list[pl.Expr]:
    import polars as pl

    if kind == "number":
        column = column.cast(pl.Float64).fill_nan(None)
    facts = {"missing": column.null_count()}
    if kind in ("integer", "number"):
        finite = column.filter(column.is_finite()) if kind == "number" else column
        facts |= {"low": finite.min(), "high": finite.max()}
        facts |= {f"q{share}": finite.quantile(share / 100) for share in (1, 50, 99)}
    return [fact.alias(f"{key} {position}") for key, fact in facts.items()]


def _values(lazy: pl.LazyFrame, types: Mapping[str, str]) -> dict[str, Any]:
    """Counts different values, and the rows of each where they may be categories."""
    import polars as pl

    facts: dict[str, Any] = {}
    for position, (name, kind) in enumerate(types.items()):
        if kind not in ("integer", "text"):
            continue
        column = pl.col(name).cast(pl.String) if kind == "text" else pl.col(name)
        distinct = count_distinct(lazy, column, column.is_not_null())
        facts[f"distinct {position}"] = distinct
        if kind == "text":
            few = distinct <= MOST_CATEGORIES
            facts[f"values {position}"] = _counted(lazy, column) if few else []
    return facts


def _counted(lazy: pl.LazyFrame, column: pl.Expr) -> list[tuple[str, int]]:
    import polars as pl

    values = lazy.select(column.alias("value")).drop_nulls()
    return values.group_by("value").agg(pl.len()).collect(engine="streaming").rows()


def _by_position(facts: dict[str, Any], columns: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{} for _ in range(columns)]
    for key, value in facts.items():
        name, _, position = key.partition(" ")
        if position:
            found[int(position)][name] = value
    return found


def _rule(name: str, kind: Any, rows: int, facts: dict[str, Any], *, later: bool) -> ColumnRule:
    missing, present = facts["missing"], rows - facts["missing"]
    # In many rows, none missing so far does not say that none ever will.
    nullable = later or missing > 0 or (rows >= MANY_ROWS and kind != "time")
    share = _share(missing / rows)
    most = share if nullable and not later and share < 1.0 else None
    distinct = facts.get("distinct", 0)
    if distinct == present and names_rows(name, kind, present, distinct):
        return ColumnRule(name, kind, nullable, unique=True, max_missing=most, severity="warn")
    if kind == "text":
        allowed = _categories(facts)
        severity: Any = "warn" if allowed else "error"
        return ColumnRule(name, kind, nullable, allowed=allowed, max_missing=most, severity=severity)
    low, high = _range(facts.get("low"), facts.get("high"))
    low, high = _without_tails(low, high, facts)
    return ColumnRule(name, kind, nullable, minimum=low, maximum=high, max_missing=most)


def _share(missing: float) -> float:
    return min(1.0, round(1.5 * missing + 0.05, 4))


def _without_tails(low: Any, high: Any, facts: dict[str, Any]) -> tuple[Any, Any]:
    """Drops the bound of an end whose tail is heavy: how far the next value lies out cannot be learned."""
    if facts.get("q50") is None:
        return low, high
    middle = facts["q50"]
    below, above = middle - facts["q1"], facts["q99"] - middle
    if facts["high"] - middle > TAIL * above:
        high = None
    if middle - facts["low"] > TAIL * below and not (low is not None and low == 0):
        low = None
    return low, high


def _categories(facts: dict[str, Any]) -> tuple[str, ...] | None:
    counted = facts["values"]
    if not counted or len(counted) > MOST_CATEGORIES or min(rows for _, rows in counted) < ROWS_PER_CATEGORY:
        return None
    return tuple(sorted(text for text, _ in counted))


def _range(low: Any, high: Any) -> tuple[Any, Any]:
    if low is None or high is None:
        return None, None
    span = high - low or abs(high) or 1
    least, most = low - span, high + span
    if not math.isfinite(least) or not math.isfinite(most):
        return None, None
    if low >= 0:
        least = max(type(low)(0), least)
    return least, most
