"""A table held against a contract.

All checks that a Parquet file does not prove by itself are judged in one lazy pass of Polars; of a table of
many millions of rows in several, each of which reads other columns, so that it need not fit in memory. Of
those that fail, and only of them, the rows and values are then looked up; a reference is judged by a join
with the key that it refers to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.table.contract import references, words
from everloop.table.contract.probes import Probe, fits, probes_of
from everloop.table.contract.proof import proven as places_that_hold
from everloop.table.contract.report import ContractReport, Example, Finding
from everloop.table.parquet_facts import ParquetFacts
from everloop.table.stored import (
    ROWS_AT_ONCE,
    VALUES_AT_ONCE,
    aggregate,
    count_distinct,
    fits_in_memory,
    is_parquet,
)
from everloop.table.twins import repeats_of_key

if TYPE_CHECKING:
    import polars as pl

    from everloop.table.contract.rules import Contract

EXAMPLES = 5


@dataclass(frozen=True)
class LookedUp:
    """What was found of rows that fail.

    Attributes:
        rows: How many fail at least one probe.
        of_probes: For each probe the first rows that fail it, and how often their values do, or how many.
    """

    rows: int
    of_probes: tuple[tuple[pl.DataFrame, pl.DataFrame], ...]


@dataclass(frozen=True)
class Held:
    """A table that is held against a contract, by Polars.

    Another engine makes its own of `judged` and `looked_up`.

    Attributes:
        lazy: The rows.
        schema: The columns, from name to Polars type.
        engine: Which of Polars' engines runs its queries.
        contract: What it must satisfy.
        proven: The places of those probes that are known to hold without a row being read.
    """

    lazy: pl.LazyFrame
    schema: dict[str, Any]
    engine: Any
    contract: Contract
    proven: frozenset[int] = frozenset()

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
            if place not in self.proven
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
        numbers = aggregate(self.lazy, asked)
        for name, probe in keys.items():
            numbers[name] -= count_distinct(self.lazy, probe.key, probe.present)
        return numbers

    def looked_up(self, failing: Sequence[tuple[Probe, int]]) -> LookedUp:
        """Looks up the rows that fail probes: in one pass where they are few enough to be held.

        Args:
            failing: The probes that do not hold, with their numbers.
        """
        import polars as pl

        held, probes = self._failing(failing)
        fails = [probe.fails for probe in probes]
        queries = [held.lazy.select(pl.any_horizontal(fails).sum())] + [
            query for probe in probes for query in _looked_up(held.lazy.filter(probe.fails), probe.shows)
        ]
        broken, *answers = held.collect(queries)
        return LookedUp(int(broken.item() or 0), tuple(zip(answers[::2], answers[1::2], strict=True)))

    def _failing(self, failing: Sequence[tuple[Probe, int]]) -> tuple[Held, list[Probe]]:
        """Gives the rows with their numbers; where few fail, and can be held, those alone."""
        import polars as pl

        rows, probes = self._marked([probe for probe, _ in failing])
        names = {name for probe in probes for name in probe.columns}
        # Of two rows with one key, one is counted.
        if 2 * sum(number for _, number in failing) * len(names) > VALUES_AT_ONCE:
            return replace(self, lazy=rows), probes
        chosen = rows.filter(pl.any_horizontal([probe.fails for probe in probes]))
        (found,) = self.collect([chosen.select(references.ROW, *sorted(names))])
        return replace(self, lazy=found.lazy(), engine="in-memory"), probes

    def _marked(self, probes: list[Probe]) -> tuple[pl.LazyFrame, list[Probe]]:
        """Numbers the rows; in a large table marks those whose key comes again, so that no key is held."""
        import polars as pl

        rows, made = self.lazy.with_row_index(references.ROW), []
        (counted,) = self.collect([self.lazy.select(pl.len())])
        for place, probe in enumerate(probes):
            if probe.key is None or counted.item() <= ROWS_AT_ONCE:
                made.append(probe)
                continue
            mark = pl.Series(f"__everloop_again{place}", repeats_of_key(self.lazy, probe.key, probe.present))
            rows = pl.concat([rows, pl.LazyFrame([mark])], how="horizontal")
            made.append(replace(probe, fails=pl.col(mark.name)))
        return rows, made

    def collect(self, queries: list[pl.LazyFrame]) -> list[pl.DataFrame]:
        """Runs queries of Polars."""
        import polars as pl

        return pl.collect_all(queries, engine=self.engine)


def check(
    table: Any,
    contract: Contract,
    *,
    now: datetime | None = None,
    tables: Mapping[str, Any] | None = None,
    without: Sequence[str] = (),
) -> ContractReport:
    """Holds a table against a contract.

    Args:
        table: A Polars, pandas, Arrow or DuckDB table, or a path; it is not changed.
        contract: What it must satisfy.
        now: The time at which freshness is judged.
        tables: The sources that references are judged with, by name.
        without: Columns that are not looked at.

    Returns:
        What was found: for each rule that does not hold how many rows break it, with which values
        most often, and five of them. Rules that need ``now`` or ``tables`` and did not get them are
        named in ``unchecked``.

    Raises:
        SpecFault: The contract refers to a column that
            is not there.
    """
    from everloop.table.tables import as_lazy

    lazy = as_lazy(table).drop(without)
    engine = "in-memory" if fits_in_memory(table) else "streaming"
    held = Held(lazy, dict(lazy.collect_schema()), engine, contract)
    if isinstance(table, str | Path) and is_parquet(Path(table)):
        held = _with_proof(held, Path(table), now)
    return hold(held, now, tables or {})


def _with_proof(held: Held, path: Path, now: datetime | None) -> Held:
    """Notes which probes hold by what the file says; where the rest can be held, reads its columns once."""
    probes = probes_of(held.contract, held.schema, now)
    proven = places_that_hold(probes, ParquetFacts.of(path, held.schema), held.schema)
    held = replace(held, proven=proven)
    left = [probe for place, probe in enumerate(probes) if place not in proven]
    read = {name for probe in left for name in probe.columns}
    read |= {name for rule in _references(held) for name in rule.columns}
    if held.engine != "in-memory" or not read:
        return held
    (frame,) = held.collect([held.lazy.select(name for name in held.schema if name in read)])
    return replace(held, lazy=frame.lazy())


def which_fail(probes: list[Probe], numbers: Mapping[str, Any]) -> tuple[int, list[tuple[Probe, int]]]:
    """Gives the number of rows, and the probes that do not hold with their numbers.

    Args:
        probes: What was looked at.
        numbers: ``rows``, and ``n0``, ``n1`` ... for each probe but those that are known to hold.
    """
    broken = [
        (probe, int(number))
        for place, probe in enumerate(probes)
        if not probe.holds(number := numbers.get(f"n{place}") or 0)
    ]
    return int(numbers["rows"]), broken


def hold(held: Held, now: datetime | None, tables: Mapping[str, Any]) -> ContractReport:
    """Holds an opened table against its contract; see `check`."""
    rows, broken = held.judged(now)
    failing = [(probe, number) for probe, number in broken if probe.fails is not None]
    looked_up = held.looked_up(failing) if failing else LookedUp(0, ())
    found = [*_of_presence(held, rows), *_of_probes(broken, looked_up, rows)]
    found += _of_references(held, tables, rows)
    found.sort(key=lambda finding: (finding.severity != "error", -finding.failing))
    passed = all(finding.severity != "error" for finding in found)
    return ContractReport(passed, rows, tuple(found), tuple(_unchecked(held, now, tables)), looked_up.rows)


def _of_probes(broken: list[tuple[Probe, int]], looked_up: LookedUp, rows: int) -> Iterator[Finding]:
    """Says what failed, with its rows and values; a number of the table has none."""
    answers = iter(looked_up.of_probes)
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
