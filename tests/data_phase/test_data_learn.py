"""Learned contracts: the table that taught them passes, tables that differ do not."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop import data
from everloop.core.errors import ContractViolated, DataFault, SpecFault
from everloop.data.steps import contract_step
from everloop.table.contract import load_contract, row_checker, save_contract

REAL = Path("../shared/data")
CELLS = {
    "n": st.one_of(st.none(), st.floats(allow_infinity=False, width=64)),
    "i": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
    "t": st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=4)),
    "b": st.one_of(st.none(), st.booleans()),
}
TYPES = {"n": pl.Float64, "i": pl.Int64, "t": pl.String, "b": pl.Boolean}


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.fixed_dictionaries(CELLS), min_size=1, max_size=40))
def test_a_table_satisfies_what_it_taught(rows):
    table = pl.DataFrame(rows, schema=TYPES)
    report = data.check(table, data.learn(table))
    assert report.passed, report.findings


def small():
    return pl.DataFrame(
        {
            "id": range(100),
            "share": [i / 100 for i in range(100)],
            "amount": [float(i) for i in range(100)],
            "balance": [float(i - 50) for i in range(100)],
            "town": ["A", "B"] * 50,
            "note": [None if i < 10 else f"n{i % 60}" for i in range(100)],
            "at": [datetime(2013, 1, 1 + i % 28, tzinfo=UTC) for i in range(100)],
            "y": [None if i > 80 else "yes" for i in range(100)],
        }
    )


def test_what_is_learned():
    rules = {rule.name: rule for rule in data.learn(small(), known_later=["y"]).columns}
    assert rules["id"].unique
    assert (rules["id"].minimum, rules["id"].maximum, rules["id"].severity) == (None, None, "warn")
    assert (rules["share"].minimum, rules["share"].maximum) == (0.0, 1.98)
    assert (rules["amount"].minimum, rules["amount"].maximum) == (0.0, 198.0)
    assert (rules["balance"].minimum, rules["balance"].maximum) == (-149.0, 148.0)
    assert (rules["town"].allowed, rules["town"].severity) == (("A", "B"), "warn")
    assert (rules["note"].allowed, rules["note"].nullable, rules["note"].max_missing) == (None, True, 0.2)
    assert (rules["y"].nullable, rules["y"].max_missing) == (True, None)
    assert (rules["at"].type, rules["at"].nullable) == ("time", False)


def test_columns_are_not_mixed_up_when_there_are_many():
    table = pl.DataFrame({f"c{i}": [i * 1000, i * 1000 + 10] for i in range(120)})
    rules = {rule.name: rule for rule in data.learn(table).columns}
    for i in range(1, 120):
        assert (rules[f"c{i}"].minimum, rules[f"c{i}"].maximum) == (i * 1000 - 10, i * 1000 + 20)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (pl.col("amount") * 10, "maximum"),
        (-pl.col("amount"), "minimum"),
        (pl.when(pl.col("amount") > 5).then(pl.col("amount")).alias("amount"), "nullable"),
        (pl.lit("x").alias("amount"), "type"),
    ],
)
def test_tables_that_differ_do_not_pass(change, rule):
    report = data.check(small().with_columns(change), data.learn(small()))
    assert not report.passed
    assert (report.findings[0].column, report.findings[0].rule) == ("amount", rule)


def test_fewer_rows_do_not_pass_and_new_categories_warn():
    contract = data.learn(small())
    assert not data.check(small()[:9], contract).passed
    report = data.check(small().with_columns(town=pl.lit("C")), contract)
    assert report.passed
    assert [(finding.column, finding.severity) for finding in report.findings] == [("town", "warn")]


def test_the_same_contract_holds_a_row():
    checker = row_checker(data.learn(small()).only(["amount", "town"]))
    assert checker({"amount": 3.0, "town": "A"}) == []
    assert [violation.rule for violation in checker({"amount": -3.0, "town": "A"})] == ["minimum"]


def test_a_learned_contract_is_a_file_that_is_read_again(tmp_path):
    contract = data.learn(small())
    save_contract(contract, tmp_path / "contract.yaml")
    assert load_contract(tmp_path / "contract.yaml") == contract


def test_who_comes_next_is_bounded_by_nobody_who_came():
    """Whom a column names grows; of every other column what lies far outside is still refused."""
    table = pl.DataFrame({"who": [k % 90 for k in range(900)], "age": [20 + k % 50 for k in range(900)]})
    table = table.with_columns(kind=pl.Series(["a", "b", "c"] * 300))
    later = table.with_columns(who=pl.col("who") + 10_000, kind=pl.lit("d"))
    bound, free = data.learn(table), data.learn(table, names=["who", "kind"])
    assert not data.check(later, bound).passed
    assert data.check(later, free).passed
    assert not data.check(later.with_columns(age=pl.lit(900)), free).passed
    assert not data.check(later.with_columns(who=pl.lit("x")), free).passed


def test_a_table_without_rows_teaches_nothing():
    with pytest.raises(DataFault, match="without rows"):
        data.learn(small()[:0])


@pytest.mark.parametrize(
    "name", ["german_credit.csv.gz", "heart_disease.csv.gz", "hospital_dirty.csv", "elec2.parquet"]
)
def test_real_tables_satisfy_what_they_taught(name):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    assert data.check(REAL / name, data.learn(REAL / name)).passed


def taken(folder, table):
    from everloop.core.clock import SimulatedClock
    from everloop.spec import parse

    table.write_parquet(folder / "rows.parquet")
    spec = parse("{name: n, problem: {target: y}, data: {sources: {rows: {file: rows.parquet}}}}", folder)
    clock = SimulatedClock(datetime(2014, 1, 1, tzinfo=UTC))
    return data.snapshot(spec, folder / "snapshots", clock=clock).folder


def test_the_step_learns_and_then_enforces(tmp_path):
    good, bad = small(), small().with_columns(amount=pl.col("amount") * -1)
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
    settings = {"contract": None, "name": None, "known_later": ["y"], "names": [], "engine": "polars"}
    assert contract_step(tmp_path / "one", settings, {"snapshot": taken(tmp_path, good)})["learned"]
    text = (tmp_path / "one" / "contract.yaml").read_text()
    settings = {**settings, "contract": text, "name": "contract.yaml"}
    facts = contract_step(tmp_path / "two", settings, {"snapshot": taken(tmp_path, good)})
    assert not facts["learned"]
    assert facts["report"]["passed"]
    with pytest.raises(ContractViolated, match="amount"):
        contract_step(tmp_path / "three", settings, {"snapshot": taken(tmp_path, bad)})
    with pytest.raises(SpecFault):
        contract_step(
            tmp_path / "three", {**settings, "contract": "columns: 3"}, {"snapshot": taken(tmp_path, good)}
        )
