"""A table held against a contract.

All checks are judged in one lazy pass of Polars; of a table of many millions of rows in several, each of
which reads other columns, so that it need not fit in memory. Of those that fail, and only of them, the
rows and values are then looked up; a reference is judged by a join with the key that it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.errors import SpecFault
from everloop.table.contract import references, words
from everloop.table.contract.probes import Probe, fits, probes_of, whole
from everloop.table.contract.report import ContractReport, Example, Finding
from everloop.table.stored import ROWS_AT_ONCE, aggregate, count_distinct

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.rules import Contract

EXAMPLES = 5


@dataclass(frozen=True)
class Held:
    """A table that is held against a contract, by Polars.

    Another engine makes its own of `judged`, `rows_broken` and `looked_up`.

    Attributes:
        lazy: The rows.
        schema: The columns, from name to Polars type.
        engine: Which of Polars' engines runs its queries.
        contract: What it must satisfy.
    """

    lazy: pl.LazyFrame
    schema: dict[str, Any]
    engine: Any
    contract: Contract

    def judged(self, now: datetime | None) -> tuple[int, list[tuple[Probe, int]]]:
        """Counts the rows, and gives the probes that do not hold with their numbers."""
        probes = probes_of(self.contract, self.schema, now)
        return which_fail(probes, self._numbers(probes))

    def _numbers(self, probes: list[Probe]) -> dict[str, Any]:
        """Computes the number of each probe, and of rows: in one pass, of a large table in several."""
        import polars as pl

        measured = {
            f"n{place}": probe.fails.sum() if probe.measure is None else probe.measure
            for place, probe in enumerate(probes)
        }
        (counted,) = self.collect([self.lazy.select(pl.len())])
        keys: dict[str, Probe] = {}
        if counted.item() > ROWS_AT_ONCE:
            keys = {f"n{place}": probe for place, probe in enumerate(probes) if probe.key is not None}
            measured |= {name: probe.present.sum() for name, probe in keys.items()}
        asked = [pl.len().alias("rows"), *(number.alias(name) for name, number in measured.items())]
        if counted.item() <= ROWS_AT_ONCE:
            (facts,) = self.collect([self.lazy.select(asked)])
            return facts.row(0, named=True)
        with self._patterns():
            numbers = aggregate(self.lazy, asked)
        for name, probe in keys.items():
            numbers[name] -= count_distinct(self.lazy, probe.key, probe.present)
        return numbers

    def rows_broken(self, probes: list[Probe]) -> int:
        """Counts the rows for which at least one of the probes fails."""
        import polars as pl

        fails = pl.any_horizontal([probe.fails for probe in probes])
        (counted,) = self.collect([self.lazy.select(fails.sum())])
        return int(counted.item() or 0)

    def looked_up(self, probes: list[Probe]) -> list[tuple[pl.DataFrame, pl.DataFrame]]:
        """Gives for each probe the first rows that fail, and how often their values do, or how many."""
        queries = [
            query
            for probe in probes
            for query in _looked_up(self.lazy.with_row_index(references.ROW).filter(probe.fails), probe.shows)
        ]
        answers = iter(self.collect(queries) if queries else [])
        return [(next(answers), next(answers)) for _ in probes]

    def collect(self, queries: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        """Runs queries of Polars."""
        import polars as pl

        with self._patterns():
            return pl.collect_all(queries, engine=self.engine)

    @contextmanager
    def _patterns(self) -> Iterator[None]:
        import polars as pl

        try:
            yield
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
    held = Held(lazy, dict(lazy.collect_schema()), "in-memory" if in_memory else "streaming", contract)
    return hold(held, now, tables or {})


def which_fail(probes: list[Probe], numbers: Mapping[str, Any]) -> tuple[int, list[tuple[Probe, int]]]:
    """Gives the number of rows, and the probes that do not hold with their numbers.

    Args:
        probes: What was looked at.
        numbers: ``rows``, and ``n0``, ``n1`` ... for each probe.
    """
    broken = [
        (probe, int(number))
        for place, probe in enumerate(probes)
        if not probe.holds(number := numbers[f"n{place}"] or 0)
    ]
    return int(numbers["rows"]), broken


def hold(held: Held, now: datetime | None, tables: Mapping[str, Any]) -> ContractReport:
    """Holds an opened table against its contract; see `check`."""
    rows, broken = held.judged(now)
    found = [*_of_presence(held, rows), *_of_probes(held, broken, rows)]
    found += _of_references(held, tables, rows)
    found.sort(key=lambda finding: (finding.severity != "error", -finding.failing))
    passed = all(finding.severity != "error" for finding in found)
    failing = [probe for probe, _ in broken if probe.fails is not None]
    return ContractReport(
        passed,
        rows,
        tuple(found),
        tuple(_unchecked(held, now, tables)),
        held.rows_broken(failing) if failing else 0,
    )


def _of_probes(held: Held, broken: list[tuple[Probe, int]], rows: int) -> Iterator[Finding]:
    """Looks up the rows and values of what failed; a number of the table has none."""
    answers = iter(held.looked_up([probe for probe, _ in broken if probe.fails is not None]))
    for probe, number in broken:
        said = (probe.column, probe.rule, probe.severity, probe.expected)
        if probe.fails is None:
            failing = number if probe.rule == "max_missing" else 0
            told = probe.reads(number) if probe.reads else ""
            yield Finding(*said, failing, _share(failing, rows), found=told)
        else:
            yield _shown(said, *next(answers), rows)


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


def _of_references(held: Held, tables: Mapping[str, Any], rows: int) -> list[Finding]:
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


def _references(held: Held) -> list[Any]:
    fitting = {
        rule.name
        for rule in held.contract.columns
        if rule.name in held.schema and fits(rule, held.schema[rule.name])
    }
    return [rule for rule in held.contract.rules if rule.kind == "refers" and set(rule.reads) <= fitting]


def _unchecked(held: Held, now: datetime | None, tables: Mapping[str, Any]) -> Iterator[str]:
    for rule in held.contract.rules:
        if rule.kind == "fresh" and now is None:
            yield f"how fresh {rule.columns[0]} is: no time to judge it at was given"
        if rule.kind == "refers" and rule.source not in tables:
            yield f"{', '.join(rule.columns)} in {rule.source}: {rule.source} was not given"


def _of_presence(held: Held, rows: int) -> Iterator[Finding]:
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
