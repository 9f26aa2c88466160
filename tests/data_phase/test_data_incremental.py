"""Snapshots of sources that continue where they were: through settings, step and Python."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime

import pytest

from everloop import data
from everloop.core.errors import SourceUnreadable, SpecFault
from everloop.data.sources import Surroundings, open_source
from everloop.data.steps import snapshot_settings, snapshot_step
from everloop.spec import SqlSource, parse

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
FILE = """
name: loans
problem: {target: paid}
data:
  sources: {loans: {sql: loans, url: "sqlite:///loans.db", cursor: id}}
"""


def add(folder, *rows):
    with sqlite3.connect(folder / "loans.db") as database:
        database.execute("create table if not exists loans (id integer, amount real, paid text)")
        database.executemany("insert into loans values (?, ?, ?)", rows)
    database.close()


def test_the_step_takes_what_its_settings_saw(tmp_path):
    """Rows that come between the two wait for the next run, and the positions stand in the snapshot."""
    add(tmp_path, (1, 1.0, "yes"), (2, 2.5, "no"))
    spec = parse(FILE, tmp_path)
    settings = snapshot_settings(spec, NOON, kept=tmp_path / "kept")
    add(tmp_path, (3, 3.0, "yes"))
    (tmp_path / "one").mkdir()
    facts = snapshot_step(
        tmp_path / "one", json.loads(json.dumps(settings)), {}, home=tmp_path, kept=tmp_path / "kept"
    )
    assert facts["rows"] == 2
    assert facts["sources"] == settings["sources"]
    assert facts["sources"]["loans"]["position"] == {"cursor": "id", "type": "integer", "last": "2"}
    later = snapshot_settings(spec, NOON, kept=tmp_path / "kept")
    (tmp_path / "two").mkdir()
    assert snapshot_step(tmp_path / "two", later, {}, home=tmp_path, kept=tmp_path / "kept")["rows"] == 3
    # What was taken once can be made again, whatever came since.
    (tmp_path / "again").mkdir()
    assert (
        snapshot_step(tmp_path / "again", settings, {}, home=tmp_path, kept=tmp_path / "kept")["digest"]
        == facts["digest"]
    )


def test_the_step_needs_the_source_no_more(tmp_path):
    add(tmp_path, (1, 1.0, "yes"), (2, 2.5, "no"))
    settings = snapshot_settings(parse(FILE, tmp_path), NOON, kept=tmp_path / "kept")
    (tmp_path / "loans.db").unlink()
    (tmp_path / "one").mkdir()
    assert snapshot_step(tmp_path / "one", settings, {}, home=tmp_path, kept=tmp_path / "kept")["rows"] == 2


def test_from_python_the_next_snapshot_reads_what_is_newer(tmp_path):
    add(tmp_path, (1, 1.0, "yes"), (2, 2.5, "no"))
    spec, told = parse(FILE, tmp_path), []
    first = data.snapshot(spec, tmp_path / "snapshots", NOON)
    add(tmp_path, (3, 3.0, "yes"))
    second = data.snapshot(spec, tmp_path / "snapshots", NOON, progress=told.append)
    assert (first.rows, second.rows) == (2, 3)
    assert first.table().rows() == second.table().rows()[:2]
    # The row at the position is looked at again, to find its equals.
    assert [event.facts["rows"] for event in told if "from the database" in event.message] == [2]


def test_however_it_was_read_the_snapshot_is_the_same_to_the_byte(tmp_path):
    rows = [(i, i / 3 if i % 4 else None, "yes" if i % 2 else None) for i in range(60)]
    add(tmp_path, *rows[:4])
    spec = parse(FILE, tmp_path)
    for start, end in ((4, 30), (30, 60)):
        data.snapshot(spec, tmp_path / "snapshots", NOON)
        add(tmp_path, *rows[start:end])
    by_parts = data.snapshot(spec, tmp_path / "snapshots", NOON)
    assert data.snapshot(spec, tmp_path / "elsewhere", NOON).digest == by_parts.digest


def test_a_column_that_is_added_later_is_missing_before(tmp_path):
    add(tmp_path, (1, 1.0, "yes"), (2, 2.5, "no"))
    spec = parse(FILE, tmp_path)
    data.snapshot(spec, tmp_path / "snapshots", NOON)
    with sqlite3.connect(tmp_path / "loans.db") as database:
        database.execute("alter table loans add column town text")
        database.execute("insert into loans values (3, 3.0, 'yes', 'Bonn')")
    database.close()
    second = data.snapshot(spec, tmp_path / "snapshots", NOON)
    assert second.table()["town"].to_list() == [None, None, "Bonn"]


def test_another_query_or_database_starts_anew(tmp_path):
    add(tmp_path, (1, 1.0, "yes"), (2, 2.5, "no"))
    around = Surroundings(folder=tmp_path, kept=tmp_path / "kept")
    whole = SqlSource(sql="loans", url="sqlite:///loans.db", cursor="id")
    part = whole.model_copy(update={"sql": "select * from loans where paid = 'no'"})
    assert [open_source("sql", one, around).fingerprint()["rows"] for one in (whole, part)] == [2, 1]
    assert len(list((tmp_path / "kept").iterdir())) == 2


def test_a_table_that_is_read_whole_keeps_only_the_last_reading(tmp_path):
    add(tmp_path, (1, 1.0, "yes"))
    around = Surroundings(folder=tmp_path, kept=tmp_path / "kept")
    spec = SqlSource(sql="loans", url="sqlite:///loans.db")
    first = open_source("sql", spec, around).fingerprint()
    add(tmp_path, (2, 2.5, "no"))
    second = open_source("sql", spec, around).fingerprint()
    assert (first["rows"], second["rows"], second["position"]) == (1, 2, None)
    assert len(list((tmp_path / "kept").rglob("*.parquet"))) == 1


def test_a_cursor_needs_a_value_in_each_row(tmp_path):
    add(tmp_path, (1, 1.0, "yes"))
    around = Surroundings(folder=tmp_path, kept=tmp_path / "kept")
    source = open_source("sql", SqlSource(sql="loans", url="sqlite:///loans.db", cursor="id"), around)
    source.fingerprint()
    add(tmp_path, (None, 2.5, "no"))
    with pytest.raises(SourceUnreadable, match="cursor id is missing in some rows"):
        source.fingerprint()


def test_late_is_about_times(tmp_path):
    add(tmp_path, (1, 1.0, "yes"))
    spec = SqlSource(sql="loans", url="sqlite:///loans.db", cursor="id", late="1h")
    source = open_source("sql", spec, Surroundings(folder=tmp_path, kept=tmp_path / "kept"))
    source.fingerprint()
    with pytest.raises(SpecFault, match="the cursor id is no time"):
        source.fingerprint()


def test_a_damaged_ledger_is_named(tmp_path):
    add(tmp_path, (1, 1.0, "yes"))
    around = Surroundings(folder=tmp_path, kept=tmp_path / "kept")
    source = open_source("sql", SqlSource(sql="loans", url="sqlite:///loans.db", cursor="id"), around)
    source.fingerprint()
    next((tmp_path / "kept").rglob("ledger.json")).write_text("{")
    with pytest.raises(SourceUnreadable, match=r"ledger\.json is damaged"):
        source.fingerprint()
