"""Tables handed in from Python: a whole lifecycle's data phase, and each function of the data room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.core.errors import SourceUnreadable, SpecFault
from everloop.loop.history import history
from everloop.loop.workspace import Workspace

START = datetime(2013, 1, 1, tzinfo=UTC)
LIBRARIES = {
    "polars": lambda table: table,
    "lazy": lambda table: table.lazy(),
    "pandas": lambda table: table.to_pandas(),
    "arrow": lambda table: table.to_arrow(),
    "duckdb": lambda table: duckdb.from_arrow(table.to_arrow()),
}


def loans(rows=300, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "id": range(rows),
            "at": [START + timedelta(hours=hour) for hour in range(rows)],
            "amount": random.exponential(100, rows).round(2),
            "region": random.choice(["north", "south"], rows),
            "defaulted": random.choice(["yes", "no"], rows),
        }
    )


def made(folder, tables, **data):
    return el.Lifecycle(
        name="loans",
        goal={"on_stop": "continue"},  # the labels are noise
        problem={"target": "defaulted", "positive": "yes", "time": "at"},
        data=data,
        folder=folder,
        tables=tables,
    )


@pytest.fixture(scope="module")
def from_a_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("file")
    loans().write_parquet(folder / "loans.parquet")
    run = made(folder, None, sources={"loans": {"file": "loans.parquet"}}).run(until="data")
    return run.steps["snapshot"].facts["digest"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_table_of_any_library_is_a_source(tmp_path, library, from_a_file):
    """The snapshot is that of the same rows in a file, to the byte."""
    table = LIBRARIES[library](loans())
    run = made(tmp_path, {"loans": table}).run(until="data")
    assert run.steps["snapshot"].facts["digest"] == from_a_file
    again = made(tmp_path, {"loans": LIBRARIES["polars"](loans())}).run(until="data")
    assert again.steps["snapshot"].cached


def test_another_table_is_another_snapshot(tmp_path):
    first = made(tmp_path, {"loans": loans()}).run(until="data")
    second = made(tmp_path, {"loans": loans(seed=1)}).run(until="data")
    assert first.steps["snapshot"].facts["digest"] != second.steps["snapshot"].facts["digest"]


def test_a_table_is_joined_with_a_source_of_the_file(tmp_path):
    pl.DataFrame({"region": ["north", "south"], "risk": [0.1, 0.2]}).write_csv(tmp_path / "regions.csv")
    run = made(
        tmp_path,
        {"loans": loans()},
        sources={"regions": {"file": "regions.csv"}, "loans": {"file": "not-there.csv"}},
        table="select * from loans join regions using (region)",
    ).run(until="data")
    assert run.steps["snapshot"].facts["rows"] == 300
    assert "risk" in {column["name"] for column in run.steps["snapshot"].facts["schema"]["columns"]}


def test_what_was_handed_in_is_rehearsed_too(tmp_path):
    lifecycle = made(tmp_path, {"loans": loans()})
    with Workspace.open(lifecycle.spec, tables=lifecycle.tables) as workspace:
        assert len(history(workspace)) == 300


def test_without_its_table_a_lifecycle_has_no_source(tmp_path):
    made(tmp_path, {"loans": loans()}).run(until="data")
    with pytest.raises(SpecFault, match="There is no source"):
        made(tmp_path, None).run(until="data")


def test_a_table_that_parquet_cannot_hold_is_named(tmp_path):
    table = pl.DataFrame({"a": [object()]}, schema={"a": pl.Object})
    with pytest.raises(SourceUnreadable, match="DataFrame that was handed in cannot be read"):
        made(tmp_path, {"loans": table}).run(until="data")


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_function_of_the_data_room_takes_it(library):
    table, rows = LIBRARIES[library](loans()), loans()
    before = rows.clone()
    assert el.data.profile(table).rows == 300
    contract = el.data.learn(table)
    assert el.data.check(table, contract).passed
    assert el.data.diff(table, rows).same
    assert rows.equals(before)
