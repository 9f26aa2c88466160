"""A table held against a contract, in one pass of Polars."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.contract import words
from everloop.table.contract.report import ContractReport, Example, Finding
from everloop.table.schema import column_type, is_known

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.rules import ColumnRule, Contract, TableRule

EXAMPLES = 5


@dataclass(frozen=True)
class _Test:
    """One thing to look at: rows that fail, or a number for the whole table that must lie between limits."""

    column: str
    rule: str
    severity: str
    expected: str
    fails: Any = None
    shows: Any = None
    measure: Any = None
    low: float | None = None
    high: float | None = None


def check(table: Any, contract: Contract) -> ContractReport:
    """Holds a table against a contract.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path; it is not changed and is read once.
        contract: What it must satisfy.

    Returns:
        What was found, with up to five examples for each rule that does not hold.

    Raises:
        SpecFault: The contract has a pattern that cannot be used on tables.
    """
    import polars as pl

    from everloop.table.tables import as_lazy

    lazy = as_lazy(table)
    schema = dict(lazy.collect_schema())
    tests = [*_of_columns(contract, schema), *_of_table(contract, schema)]
    selected: list[pl.Expr] = [pl.len().alias("rows")]
    for index, test in enumerate(tests):
        selected += _measured(test, index)
    try:
        facts = lazy.select(selected).collect().row(0, named=True)
    except pl.exceptions.ComputeError as error:
        if "regex" in str(error):
            raise _unusable_pattern(contract) from error
        raise
    rows = int(facts["rows"])
    found = [
        finding
        for index, test in enumerate(tests)
        if (finding := _finding(test, index, facts, rows)) is not None
    ]
    found += _of_presence(contract, schema, rows)
    found.sort(key=lambda finding: (finding.severity != "error", -finding.failing))
    return ContractReport(all(finding.severity != "error" for finding in found), rows, tuple(found))


def _unusable_pattern(contract: Contract) -> SpecFault:
    import polars as pl

    for rule in contract.columns:
        try:
            pl.Series([""]).str.contains(_whole(rule.pattern or ""))
        except pl.exceptions.ComputeError:
            return SpecFault(
                f"Column {rule.name!r}: pattern {rule.pattern!r} cannot be used on tables.",
                hint="write it without look-around and back references",
            )
    return SpecFault("A pattern of the contract cannot be used on tables.")


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


def _measured(test: _Test, index: int) -> list[pl.Expr]:
    if test.fails is None:
        return [test.measure.alias(f"n{index}")]
    first = test.fails.arg_true().head(EXAMPLES)
    return [
        test.fails.sum().alias(f"n{index}"),
        first.implode().alias(f"r{index}"),
        test.shows.gather(first).implode().alias(f"v{index}"),
    ]


def _finding(test: _Test, index: int, facts: dict[str, Any], rows: int) -> Finding | None:
    number = facts[f"n{index}"] or 0
    if test.fails is None:
        low, high = test.low, test.high
        if (low is None or number >= low) and (high is None or number <= high):
            return None
        failing = int(number) if test.rule == "max_missing" else 0
        return Finding(
            test.column, test.rule, test.severity, test.expected, failing, failing / rows if rows else 0.0
        )
    if not number:
        return None
    examples = tuple(
        Example(int(row) + 1, value)
        for row, value in zip(facts[f"r{index}"], facts[f"v{index}"], strict=True)
    )
    return Finding(test.column, test.rule, test.severity, test.expected, int(number), number / rows, examples)


def _of_presence(contract: Contract, schema: dict[str, Any], rows: int) -> list[Finding]:
    found = [
        Finding(rule.name, "present", rule.severity, "there", 0, 0.0)
        for rule in contract.columns
        if rule.name not in schema
    ]
    found += [
        Finding(
            rule.name, "type", "error", f"{rule.type}, and is {schema[rule.name]}", rows, 1.0 if rows else 0.0
        )
        for rule in contract.columns
        if rule.name in schema and not _fits(rule, schema[rule.name])
    ]
    if contract.extra == "reject":
        known = contract.types
        found += [
            Finding(name, "extra", "error", "absent: the contract does not name it", 0, 0.0)
            for name in schema
            if name not in known
        ]
    return found


def _fits(rule: ColumnRule, dtype: pl.DataType) -> bool:
    import polars as pl

    if dtype == pl.Null:
        return True
    if not is_known(dtype):
        return False
    kind = column_type(rule.name, dtype)
    numeric = {"integer", "number"}
    return kind == rule.type or (kind in numeric and rule.type in numeric)


def _of_columns(contract: Contract, schema: dict[str, Any]) -> Iterator[_Test]:
    for rule in contract.columns:
        if rule.name in schema and _fits(rule, schema[rule.name]):
            yield from _of_column(rule, schema[rule.name])


def _of_column(rule: ColumnRule, dtype: pl.DataType) -> Iterator[_Test]:
    import polars as pl

    raw = pl.col(rule.name)
    column = raw
    if dtype.is_float():
        column = raw.fill_nan(None)
        infinite = column.is_infinite()
        yield _Test(rule.name, "type", "error", words.FINITE, infinite, raw)
        if rule.type == "integer":
            yield _Test(
                rule.name, "type", "error", words.WHOLE, column.is_finite() & (column != column.floor()), raw
            )
    elif isinstance(dtype, pl.Categorical | pl.Enum):
        column = raw.cast(pl.String)
    elif dtype == pl.Null:
        kinds: dict[str, Any] = {"text": pl.String, "boolean": pl.Boolean, "time": pl.Int64}
        column = raw.cast(kinds.get(rule.type, pl.Float64))
    elif rule.type == "time":
        column = raw.dt.epoch("us")
    if not rule.nullable:
        yield _Test(rule.name, "nullable", rule.severity, words.NOT_NULL, column.is_null(), raw)
    if rule.max_missing is not None:
        share = words.share(rule.max_missing)
        missing = column.is_null().sum()
        over = pl.when(missing > rule.max_missing * pl.len()).then(missing).otherwise(0)
        yield _Test(rule.name, "max_missing", rule.severity, share, measure=over, high=0)
    yield from _of_values(rule, column, raw)


def _of_values(rule: ColumnRule, column: pl.Expr, raw: pl.Expr) -> Iterator[_Test]:
    import polars as pl

    if rule.minimum is not None:
        yield _Test(
            rule.name,
            "minimum",
            rule.severity,
            words.at_least(rule),
            column < words.comparable(rule.minimum),
            raw,
        )
    if rule.maximum is not None:
        yield _Test(
            rule.name,
            "maximum",
            rule.severity,
            words.at_most(rule),
            column > words.comparable(rule.maximum),
            raw,
        )
    if rule.allowed is not None:
        compared, allowed = column, list(rule.allowed)
        if rule.type in {"number", "integer"}:
            compared, allowed = column.cast(pl.Float64), [float(value) for value in allowed]
        yield _Test(
            rule.name, "allowed", rule.severity, words.one_of(rule), compared.is_in(allowed).not_(), raw
        )
    if rule.pattern is not None:
        matches = column.str.contains(_whole(rule.pattern), strict=True)
        yield _Test(rule.name, "pattern", rule.severity, words.like(rule), matches.not_(), raw)
    if rule.unique:
        yield _Test(
            rule.name, "unique", rule.severity, "unique", column.is_duplicated() & column.is_not_null(), raw
        )


def _of_table(contract: Contract, schema: dict[str, Any]) -> Iterator[_Test]:
    import polars as pl

    fitting = {
        rule.name for rule in contract.columns if rule.name in schema and _fits(rule, schema[rule.name])
    }
    for rule in contract.rules:
        if not set(rule.reads) <= fitting:
            continue
        if rule.kind == "row_count":
            expected = words.between(rule.minimum, rule.maximum)
            yield _Test(
                "",
                "row_count",
                rule.severity,
                expected,
                measure=pl.len(),
                low=rule.minimum,
                high=rule.maximum,
            )
        elif rule.kind == "unique":
            yield _key(rule)
        elif rule.expression is not None:
            yield _condition(rule)


def _key(rule: TableRule) -> _Test:
    import polars as pl

    key = pl.struct(rule.columns)
    twice = key.is_duplicated() & pl.all_horizontal(pl.col(rule.columns).is_not_null())
    return _Test("", "unique", rule.severity, f"unique in {', '.join(rule.columns)}", twice, key)


def _condition(rule: TableRule) -> _Test:
    import polars as pl

    from everloop.table.expression import to_polars

    if rule.expression is None:
        raise SpecFault("A holds rule has no condition.")
    holds = to_polars(rule.expression)
    fails = (holds.not_() & (pl.int_range(pl.len()) >= 0)).fill_null(value=False)
    shows = pl.struct(rule.expression.columns) if rule.expression.columns else pl.int_range(pl.len())
    return _Test("", "holds", rule.severity, words.holds(rule.expression.sql), fails, shows)
