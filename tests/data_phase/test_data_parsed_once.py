"""Large text files are parsed once, and what is done in parts gives what is done at once."""

from __future__ import annotations

import tempfile

import numpy as np
import polars as pl
import pytest

from everloop import data
from everloop.core.errors import SourceUnreadable
from everloop.data import value_counts
from everloop.table import stored, text_tables
from everloop.table.contract import ColumnRule, Contract, TableRule, check, checking
from everloop.table.parsed import parsed_once


@pytest.fixture
def csv(tmp_path, monkeypatch):
    """A CSV file that is too large to be read at once, in a world that is small."""
    random = np.random.default_rng(0)
    rows = 300
    frame = pl.DataFrame(
        {
            "id": np.arange(rows),
            "amount": random.normal(size=rows).round(3),
            "town": random.choice(["Ulm", "ulm ", "Bonn", "?"], rows),
            "name": [f"n{number % 290:04d}" for number in range(rows)],
        }
    )
    frame.write_csv(tmp_path / "rows.csv")
    monkeypatch.setattr(text_tables, "EAGER_BYTES", 100)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    return tmp_path / "rows.csv", frame


def test_a_large_text_file_is_parquet_while_it_is_looked_at(csv):
    path, frame = csv
    with parsed_once(path) as parsed:
        assert (parsed.suffix, pl.read_parquet(parsed).equals(frame)) == (".parquet", True)
    assert not parsed.exists()


@pytest.mark.parametrize("table", ["frame", "small file", "glob of none"])
def test_other_tables_stay_as_they_are(csv, monkeypatch, table):
    path, frame = csv
    monkeypatch.setattr(text_tables, "EAGER_BYTES", 10**6)
    given = {"frame": frame, "small file": path, "glob of none": str(path.with_name("*.tsv"))}[table]
    with parsed_once(given) as parsed:
        assert parsed is given


def test_what_is_found_in_a_large_file_is_what_is_found_in_a_small_one(csv, monkeypatch):
    path, frame = csv
    contract = data.learn(frame)
    profile, report = data.profile(frame).to_dict(), data.check(frame, contract).to_dict()
    monkeypatch.setattr(stored, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(value_counts, "ROWS_AT_ONCE", 50)
    assert data.learn(path).to_dict() == contract.to_dict()
    assert data.check(path, contract).to_dict() == report
    assert data.profile(path).to_dict() == profile
    assert not list((path.parent / "scratch").iterdir())


def test_a_large_file_that_breaks_off_is_named(csv):
    path, _ = csv
    path.write_bytes(path.read_bytes() + b'301,0.5,"Ulm,n0001\n' + b"\xff\xfe,,,\n")
    with pytest.raises(SourceUnreadable, match=r"rows\.csv"):
        data.profile(path)


@pytest.mark.parametrize("held", [0, 10**9], ids=["streamed", "held"])
def test_rows_that_fail_in_a_large_table_are_those_of_a_small_one(csv, monkeypatch, held):
    frame = csv[1].with_columns(
        town=pl.when(pl.col("id") % 50 == 3).then(None).otherwise("town"),
        name=pl.when(pl.col("id") % 90 == 5).then(None).otherwise("name"),
    )
    contract = Contract(
        (
            ColumnRule("id", "integer", maximum=280),
            ColumnRule("town", "text", nullable=False, allowed=("Ulm", "Bonn")),
            ColumnRule("name", "text", nullable=True, unique=True),
        ),
        (TableRule("unique", columns=("name", "town")),),
    )
    small = check(frame, contract)
    monkeypatch.setattr(checking, "ROWS_AT_ONCE", 0)
    monkeypatch.setattr(checking, "VALUES_AT_ONCE", held)
    large = check(frame.lazy(), contract)
    assert not small.passed
    assert large.to_dict() == small.to_dict()
