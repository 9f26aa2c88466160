"""A table held against a contract.

All checks are judged in one lazy pass of Polars. Of those that fail, and only of them, the rows and
values are then looked up; a reference is judged by a join with the key that it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.contract import references, words
from everloop.table.contract.probes import Probe, fits, probes_of, whole
from everloop.table.contract.report import ContractReport, Example, Finding

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.rules import Contract

EXAMPLES = 5


@dataclass(frozen=True)
class _Held:
    """A table that is held against a contract; ``engine`` runs its queries."""

    lazy: pl.LazyFrame
    schema: dict[str, Any]
    engine: Any
    contract: Contract

    def collect(self, queries: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        import polars as pl

        try:
            return pl.collect_all(queries, engine=self.engine)
        except pl.exceptions.ComputeError as error:
            if "regex" in str(error):
                raise _unusable_pattern(self.contract) from error
            raise


def check(
    table: Any,
    contract: Contract,
    *,
    now: datetime | None = None,
    tables: Mapping[str, Any] | None = None,
) -> ContractReport:
    """Holds a table against a contract.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path; it is not changed.
        contract: What it must satisfy.
        now: The time at which freshness is judged.
        tables: The sources that references are judged with, by name.

    Returns:
        What was found: for each rule that does not hold how many rows break it, with which values
        most often, and five of them. Rules that need ``now`` or ``tables`` and did not get them are
        named in ``unchecked``.

    Raises:
        SpecFault: The contract has a pattern that cannot be used on tables, or refers to a column that
            is not there.
    """
    import polars as pl

    from everloop.table.tables import as_lazy

    lazy = as_lazy(table)
    in_memory = not isinstance(table, pl.LazyFrame | str) and not hasattr(table, "__fspath__")
    held = _Held(lazy, dict(lazy.collect_schema()), "in-memory" if in_memory else "streaming", contract)
    probes = probes_of(contract, held.schema, now)
    measured = [
        (probe.fails.sum() if probe.measure is None else probe.measure).alias(f"n{place}")
        for place, probe in enumerate(probes)
    ]
    (facts,) = held.collect([lazy.select(pl.len().alias("rows"), *measured)])
    numbers = facts.row(0, named=True)
    rows = int(numbers["rows"])
    broken = [
        (probe, int(number))
        for place, probe in enumerate(probes)
        if not probe.holds(number := numbers[f"n{place}"] or 0)
    ]
    found = [*_of_presence(held, rows), *_of_probes(held, broken, rows)]
    found += _of_references(held, tables or {}, rows)
    found.sort(key=lambda finding: (finding.severity != "error", -finding.failing))
    passed = all(finding.severity != "error" for finding in found)
    return ContractReport(
        passed,
        rows,
        tuple(found),
        tuple(_unchecked(held, now, tables or {})),
        _rows_broken(held, [probe for probe, _ in broken if probe.fails is not None]),
    )


def _rows_broken(held: _Held, probes: list[Probe]) -> int:
    """Counts the rows that break at least one rule."""
    import polars as pl

    if not probes:
        return 0
    (counted,) = held.collect([held.lazy.select(pl.any_horizontal([probe.fails for probe in probes]).sum())])
    return int(counted.item() or 0)


def _of_probes(held: _Held, broken: list[tuple[Probe, int]], rows: int) -> Iterator[Finding]:
    """Looks up the rows and values of what failed; a number of the table has none."""
    queries: list[pl.LazyFrame] = []
    for probe, _ in broken:
        if probe.fails is not None:
            queries += _looked_up(held.lazy.with_row_index(references.ROW).filter(probe.fails), probe.shows)
    answers = iter(held.collect(queries) if queries else [])
    for probe, number in broken:
        said = (probe.column, probe.rule, probe.severity, probe.expected)
        if probe.fails is None:
            failing = number if probe.rule == "max_missing" else 0
            told = probe.reads(number) if probe.reads else ""
            yield Finding(*said, failing, _share(failing, rows), found=told)
        else:
            yield _shown(said, next(answers), next(answers), rows)


def _looked_up(failing: pl.LazyFrame, shows: tuple[str, ...]) -> tuple[pl.LazyFrame, pl.LazyFrame]:
    """Gives the query for the first rows that fail, and that for how often their values come."""
    import polars as pl

    first = failing.select(references.ROW, *shows).head(EXAMPLES)
    if len(shows) != 1:
        return first, failing.select(pl.len().alias("failing"))
    counted = failing.group_by(shows[0]).agg(pl.len().alias("failing"), pl.col(references.ROW).min())
    return first, counted


def _shown(said: tuple[str, str, str, str], first: pl.DataFrame, counted: pl.DataFrame, rows: int) -> Finding:
    import polars as pl

    names = [name for name in first.columns if name != references.ROW]
    examples = tuple(
        Example(
            int(row[references.ROW]) + 1,
            row[names[0]] if len(names) == 1 else {name: row[name] for name in names},
        )
        for row in first.iter_rows(named=True)
    )
    failing = int(counted["failing"].sum())
    values: tuple[tuple[Any, int], ...] = ()
    if references.ROW in counted.columns:
        top = counted.sort([-pl.col("failing").cast(pl.Int64), pl.col(references.ROW)]).head(EXAMPLES)
        values = tuple(zip(top[names[0]].to_list(), top["failing"].to_list(), strict=True))
    return Finding(*said, failing, _share(failing, rows), examples, values)


def _share(failing: int, rows: int) -> float:
    return failing / rows if rows else 0.0


def _of_references(held: _Held, tables: Mapping[str, Any], rows: int) -> list[Finding]:
    rules = [rule for rule in _references(held) if rule.source in tables]
    if not rules:
        return []
    queries = [
        query
        for rule in rules
        for query in _looked_up(references.strangers(held.lazy, rule, tables), rule.columns)
    ]
    answers = iter(held.collect(queries))
    found = []
    for rule in rules:
        column, expected = words.of_table(rule)
        said = (column, "refers", rule.severity, expected)
        finding = _shown(said, next(answers), next(answers), rows)
        found += [finding] if finding.failing else []
    return found


def _references(held: _Held) -> list[Any]:
    fitting = {
        rule.name
        for rule in held.contract.columns
        if rule.name in held.schema and fits(rule, held.schema[rule.name])
    }
    return [rule for rule in held.contract.rules if rule.kind == "refers" and set(rule.reads) <= fitting]


def _unchecked(held: _Held, now: datetime | None, tables: Mapping[str, Any]) -> Iterator[str]:
    for rule in held.contract.rules:
        if rule.kind == "fresh" and now is None:
            yield f"how fresh {rule.columns[0]} is: no time to judge it at was given"
        if rule.kind == "refers" and rule.source not in tables:
            yield f"{', '.join(rule.columns)} in {rule.source}: {rule.source} was not given"


def _of_presence(held: _Held, rows: int) -> Iterator[Finding]:
    contract, schema = held.contract, held.schema
    for rule in contract.columns:
        if rule.name not in schema:
            yield Finding(rule.name, "present", rule.severity, "there", 0, 0.0)
        elif not fits(rule, schema[rule.name]):
            expected = f"{rule.type}, and is {schema[rule.name]}"
            yield Finding(rule.name, "type", "error", expected, rows, 1.0 if rows else 0.0)
    if contract.extra == "reject":
        for name in schema:
            if name not in contract.types:
                yield Finding(name, "extra", "error", "absent: the contract does not name it", 0, 0.0)


def _unusable_pattern(contract: Contract) -> SpecFault:
    import polars as pl

    for rule in contract.columns:
        try:
            pl.Series([""]).str.contains(whole(rule.pattern or ""))
        except pl.exceptions.ComputeError:
            return SpecFault(
                f"Column {rule.name!r}: pattern {rule.pattern!r} cannot be used on tables.",
                hint="write it without look-around and back references",
            )
    return SpecFault("A pattern of the contract cannot be used on tables.")
