"""`everloop data export` and `import`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from everloop.table.contract import load_contract

CONTRACT = """\
columns:
  id: {type: integer, nullable: false, unique: true}
  amount: {type: number, minimum: 0, max_missing: 0.25, severity: warn}
  town: {type: text, allowed: [north, south]}
  at: {type: time}
rules:
- {row_count: {minimum: 2}}
- {unique: [town, at]}
- {holds: amount > 1 or id = 1}
- {fresh: {column: at, within: 2d}}
"""


@pytest.fixture
def contract(home: Path) -> Path:
    (home / "contract.yaml").write_text(CONTRACT)
    return home / "contract.yaml"


def test_a_data_contract_goes_out_and_comes_back_whole(cli, contract: Path) -> None:
    said = cli("data", "export", "--to", "odcs")
    assert (said.status, said.out) == (0, "wrote contract-odcs.yaml\n")
    assert cli("data", "export", "--to", "odcs").status == 2
    assert cli("data", "import", "contract-odcs.yaml").status == 2
    back = cli("data", "import", "contract-odcs.yaml", "--contract", "back.yaml")
    assert back.out == "wrote back.yaml from odcs: 4 columns\n"
    ours, theirs = load_contract(contract), load_contract("back.yaml")
    assert theirs.columns == ours.columns
    assert sorted(map(str, theirs.rules)) == sorted(map(str, ours.rules))


def test_a_suite_names_what_it_cannot_say(cli, contract: Path) -> None:
    said = cli("data", "export", "--to", "great_expectations", "--out", "suite.json")
    assert "left out: fresh: at at most 2d old at its newest" in said.out
    assert "left out: holds: such that amount > 1 or id = 1" in said.out
    suite = json.loads(Path("suite.json").read_text())
    suite["expectations"].append({"type": "expect_column_mean_to_be_between", "kwargs": {"column": "amount"}})
    Path("suite.json").write_text(json.dumps(suite))
    untyped = cli("data", "import", "suite.json", "--contract", "a.yaml")
    assert "left out: id: nothing says its type" in untyped.out
    Path("like.csv").write_text("id,amount,town,at\n1,2.5,north,2026-01-01\n")
    typed = cli("data", "import", "suite.json", "--contract", "b.yaml", "--like", "like.csv")
    assert typed.out.splitlines()[1:] == ["  left out: expect_column_mean_to_be_between column='amount'"]
    assert load_contract("b.yaml").columns == load_contract(contract).columns


def test_what_is_no_contract_is_refused(cli, contract: Path) -> None:
    assert (
        "there are great_expectations, odcs, pandera, pandera_polars"
        in cli("data", "export", "--to", "soda").err
    )
    Path("other.json").write_text('{"a": 1}')
    assert "no known format" in cli("data", "import", "other.json", "-c", "x.yaml").err
    Path("broken.json").write_text('{"a": [')
    assert "neither JSON nor YAML" in cli("data", "import", "broken.json", "-c", "x.yaml").err
    assert cli("data", "import", "none.json", "-c", "x.yaml").status == 2


def test_a_schema_of_pandera_goes_out_and_comes_back(cli, contract: Path) -> None:
    said = cli("data", "export", "--to", "pandera_polars", "--out", "schema.yaml")
    for what in (
        "row_count: at least 2 rows long",
        "unique: unique in town, at",
        "amount: max_missing, 0.25",
    ):
        assert f"left out: {what}" in said.out
    back = cli("data", "import", "schema.yaml", "--contract", "back.yaml")
    assert back.out.startswith("wrote back.yaml from pandera_polars: 4 columns\n")
    expected = [replace(column, max_missing=None) for column in load_contract(contract).columns]
    assert list(load_contract("back.yaml").columns) == expected


SCHEMA = """\
schema_type: dataframe
columns:
  a: {dtype: int8, greater_than: 0, less_than: {value: 9, raise_warning: true}, coerce: true}
  t: {dtype: str, str_startswith: x, isin: [x1, x2], checks: null}
  "r.*": {dtype: str, regex: true}
  k: {dtype: 'period[D]', custom: 3}
  n: {dtype: float64, notin: [1.5], unique: true, nullable: true, in_range: {min_value: 0, max_value: 5, include_max: false}}
strict: filter
checks: null
"""


def test_what_no_contract_can_say_of_a_schema_is_named(cli, home: Path) -> None:
    (home / "schema.yaml").write_text(SCHEMA)
    said = cli("data", "import", "schema.yaml", "--contract", "back.yaml")
    named = [line.removeprefix("  left out: ") for line in said.out.splitlines()[1:] if "exactly" not in line]
    assert named == [
        "a: coerce True",
        "t: a check that is Python, of which the file says nothing",
        "the columns that match r.*: {'dtype': 'str'}",
        "k: its type, period[D]",
        "k: custom 3",
        "n: that one value at most is missing",
        "strict: filter",
        "checks of the table that are Python, of which the file says nothing",
        "k: nothing says its type; give a table that has it",
    ]
    read = load_contract("back.yaml")
    sql = [(rule.expression.sql, rule.severity) for rule in read.rules if rule.expression is not None]
    assert sql == [
        ('"a" > 0', "error"),
        ('"a" < 9', "warn"),
        ("starts_with(\"t\", 'x')", "error"),
        ('"n" not in (1.5)', "error"),
        ('"n" >= 0', "error"),
        ('"n" < 5', "error"),
    ]
