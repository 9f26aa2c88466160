"""`everloop data`: the data phase alone."""

from __future__ import annotations

from pathlib import Path

import polars as pl


def test_learn_check_and_refuse(cli, home: Path) -> None:
    assert cli("data", "learn", "rows.csv", "--known-later", "defaulted").status == 0
    assert cli("data", "learn", "rows.csv").status == 2
    assert cli("data", "check", "rows.csv").status == 0
    bad = pl.read_csv("rows.csv").with_columns(amount=pl.lit(-5.0))
    bad.write_csv("bad.csv")
    said = cli("data", "check", "bad.csv")
    assert said.status == 1
    assert "refused: 300 rows" in said.out
    assert "column 'amount'" in said.out
    assert cli("data", "check", "bad.csv", "--json").facts["passed"] is False
    assert cli("data", "check", "rows.csv", "--contract", "none.yaml").status == 2


def test_profile_as_text_json_and_page(cli, home: Path) -> None:
    assert "300 rows, 5 columns" in cli("data", "profile", "rows.csv").out
    said = cli("data", "profile", "rows.csv", "--html", "p.html", "--json")
    assert said.facts["rows"] == 300
    page = (home / "p.html").read_text()
    assert "<svg" in page
    assert "amount" in page


def test_diff(write_rows, cli, home: Path) -> None:
    assert cli("data", "diff", "rows.csv", "rows.csv").out == "the same 300 rows\n"
    write_rows(home / "more.csv", rows=350)
    assert cli("data", "diff", "rows.csv", "more.csv", "--json").facts["rows"] == [300, 350]
    assert cli("data", "diff", "rows.csv", "nope.csv").status == 2
