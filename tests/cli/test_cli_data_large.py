"""`everloop data` on text files that are too large to be read at once."""

from __future__ import annotations

import gzip

import polars as pl
import pytest

from everloop.table import text_tables


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_column_that_changes_its_type_late_is_told_and_nothing_is_lost(cli, home, monkeypatch, ending):
    monkeypatch.setattr(text_tables, "EAGER_BYTES", 1000)
    monkeypatch.setattr(text_tables, "TYPED_ROWS", 100)
    rows = pl.read_csv("rows.csv")
    text = rows.write_csv().splitlines()
    place = rows.columns.index("amount")
    turned = [line.split(",") for line in text]
    turned[-1][place] = "about 5"
    content = "\n".join(",".join(line) for line in turned).encode()
    name = f"turned{ending}"
    (home / name).write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert cli("data", "learn", "rows.csv").status == 0
    said = cli("data", "check", name)
    assert said.status == 1
    assert "column 'amount' has to be number, and is String" in said.out
    profile = cli("data", "profile", name, "--json").facts
    assert profile["rows"] == rows.height
    assert {one["name"]: one["missing"] for one in profile["columns"]}["amount"] == 0
