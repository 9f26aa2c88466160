"""A contract that refers to other sources is judged in a run, with the keys that were read with its rows."""

import sqlite3

import polars as pl
import pytest

from everloop.core.errors import ContractViolated, SpecFault
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.spec import load

RULES = """
- {refers: {columns: [site], source: sites, key: [name]}}
- {refers: {columns: [row_id], source: known, key: [id]}, severity: warn}
"""


@pytest.fixture
def referring(folder, clock):
    """The lifecycle with a table of sites, a database of rows and a contract that refers to both."""
    pl.DataFrame({"name": ["north", "south", "south"], "size": [1, 2, 3]}).write_csv(folder / "sites.csv")
    with sqlite3.connect(folder / "known.db") as database:
        database.execute("create table known (id text, seen integer)")
        rows = [(f"r{place}", place) for place in range(2400) if place != 7]
        database.executemany("insert into known values (?, ?)", rows)
    database.close()
    text = (folder / "everloop.yaml").read_text()
    sources = "rows: {file: rows.csv}, sites: {file: sites.csv}, known: {sql: select * from known, "
    text = text.replace("rows: {file: rows.csv}", sources + "url: 'sqlite:///known.db', cursor: seen}")
    (folder / "everloop.yaml").write_text(text.replace("data: {", "data: {table: select * from rows, "))
    with Workspace.open(load(folder), clock=clock) as opened:
        run_once(opened, until="problem")
        contract = folder / "contract.yaml"
        learned = contract.read_text()
        assert "- {refers" not in learned
        contract.write_text(learned.rstrip() + RULES)
        yield opened


def test_references_are_judged_and_what_was_judged_is_not_read_again(referring):
    result = run_once(referring, until="problem")
    assert result.steps["foreign_keys"].facts["keys"] == {"known": 2399, "sites": 2}
    assert sorted(result.executed) == ["contract", "foreign_keys"]
    report = result.steps["contract"].facts["report"]
    assert (report["unchecked"], report["passed"]) == ([], True)
    (found,) = [finding for finding in report["findings"] if finding["rule"] == "refers"]
    assert (found["column"], found["failing"], found["examples"][0]["value"]) == ("row_id", 1, "r7")
    assert run_once(referring, until="problem").executed == []


def test_a_row_that_refers_to_nothing_stops_the_run(referring):
    pl.DataFrame({"name": ["north"]}).write_csv(referring.folder / "sites.csv")
    with pytest.raises(ContractViolated, match=r"'site' has to be one of sites by its name; .*'south'"):
        run_once(referring, until="problem")
    pl.DataFrame({"name": ["north", "south", "east"]}).write_csv(referring.folder / "sites.csv")
    assert run_once(referring, until="problem").steps["foreign_keys"].facts["keys"]["sites"] == 3


def test_a_key_that_is_not_there_is_named_and_a_source_that_is_not_there_is_told(referring):
    pl.DataFrame({"title": ["north"], "size": [1]}).write_csv(referring.folder / "sites.csv")
    with pytest.raises(SpecFault, match=r"sites\.name, and sites has no column") as fault:
        run_once(referring, until="problem")
    assert fault.value.hint == "its columns are title, size"
    contract = referring.folder / "contract.yaml"
    contract.write_text(contract.read_text().replace("source: sites", "source: places"))
    told = []
    with Workspace.open(referring.spec, clock=referring.clock, progress=told.append) as watched:
        run_once(watched, until="problem")
    assert any("not checked: site in places: places was not given" in event.message for event in told)


def test_a_run_that_learns_its_contract_learns_what_rows_refer_to(folder, clock):
    rows = pl.read_csv(folder / "rows.csv")
    known = rows.select(id="row_id").sample(fraction=1.0, shuffle=True, seed=0)
    known.with_columns(size=pl.lit(1)).write_csv(folder / "known.csv")
    text = (folder / "everloop.yaml").read_text()
    sources = "rows: {file: rows.csv}, known: {file: known.csv}, again: {file: rows.csv}"
    query = "select rows.* from rows join again using (row_id) left join known on known.id = rows.row_id"
    text = text.replace("rows: {file: rows.csv}", sources).replace("data: {", f"data: {{table: '{query}', ")
    (folder / "everloop.yaml").write_text(text)
    with Workspace.open(load(folder), clock=clock) as opened:
        first = run_once(opened, until="problem")
        learned = (folder / "contract.yaml").read_text()
        assert "- {refers: {columns: [row_id], source: known, key: [id]}, severity: warn}" in learned
        assert "again" not in learned
        assert first.steps["contract"].facts["report"]["unchecked"] == []
        assert run_once(opened, until="problem").executed == []
        known.filter(pl.col("id") != "r7").write_csv(folder / "known.csv")
        report = run_once(opened, until="problem").steps["contract"].facts["report"]
    (found,) = [finding for finding in report["findings"] if finding["rule"] == "refers"]
    assert (found["failing"], found["examples"][0]["value"]) == (1, "r7")
