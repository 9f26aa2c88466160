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


def test_freshness_and_references(cli, home: Path) -> None:
    pl.DataFrame({"shop": ["a", "b", "z", "z"], "at": ["2026-05-01"] * 4}).write_csv("sales.csv")
    pl.DataFrame({"id": ["a", "b"]}).write_csv("shops.csv")
    (home / "sales.yaml").write_text(
        "columns: {shop: {type: text}, at: {type: time}}\n"
        "rules:\n- {fresh: {column: at, within: 2d}, severity: warn}\n"
        "- {refers: {columns: [shop], source: shops, key: [id]}}\n"
    )
    check = ("data", "check", "sales.csv", "-c", "sales.yaml", "--as-of", "2026-05-08")
    said = cli(*check, "--with", "shops=shops.csv")
    assert said.status == 1
    assert "warn: column 'at' has to be at most 2d old at its newest; the newest is 2026-05-01" in said.out
    assert "one of shops by its id; 2 rows (50.0%) are not, such as 'z' in row 3" in said.out
    assert "not checked: shop in shops: shops was not given" in cli(*check).out
    assert cli(*check, "--with", "shops").status == 2


def test_profile_as_text_json_and_page(cli, home: Path) -> None:
    assert "300 rows, 5 columns" in cli("data", "profile", "rows.csv").out
    said = cli("data", "profile", "rows.csv", "--output", "p.html", "--json")
    assert said.facts["rows"] == 300
    page = (home / "p.html").read_text()
    assert "<svg" in page
    assert "amount" in page


def test_diff(write_rows, cli, home: Path) -> None:
    assert cli("data", "diff", "rows.csv", "rows.csv").out == "the same 300 rows\n"
    write_rows(home / "more.csv", rows=350)
    assert cli("data", "diff", "rows.csv", "more.csv", "--json").facts["rows"] == [300, 350]
    assert cli("data", "diff", "rows.csv", "nope.csv").status == 2


def test_diff_of_snapshots_by_their_names(write_rows, cli, home: Path) -> None:
    first = cli("run", "--until", "data", "--json").facts["run"]
    write_rows(home / "rows.csv", 320, seed=2)
    second = cli("run", "--until", "data", "--json").facts["run"]
    said = cli("data", "diff", first, second, "--json")
    assert said.facts["rows"] == [300, 320]
    contents = (home / ".everloop" / "artifacts" / "contents").iterdir()
    assert sum(cli("data", "diff", path.name[:10], second).status == 0 for path in contents) == 2
    assert cli("data", "diff", first, first).out == "the same 300 rows\n"
    refused = cli("data", "diff", first, "0123456789ab")
    assert refused.status == 2
    assert "has no snapshot 0123456789ab; there are " in refused.err
    assert cli("data", "diff", first, "rows.csv").status == 0


def test_parts_that_are_kept_out_are_listed_and_released(cli, home: Path) -> None:
    assert cli("data", "quarantine", "list").out == "no part is kept out\n"
    said = cli("data", "quarantine", "release", "2026-05")
    assert said.status == 2
    assert "No part '2026-05' was kept out" in said.err
    assert "list" in cli("data", "quarantine", "--help").out
