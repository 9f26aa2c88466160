"""`everloop data export` and `import`."""

from __future__ import annotations

import json
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
    assert "there are great_expectations, odcs" in cli("data", "export", "--to", "soda").err
    Path("other.json").write_text('{"a": 1}')
    assert "no known format" in cli("data", "import", "other.json", "-c", "x.yaml").err
    Path("broken.json").write_text('{"a": [')
    assert "neither JSON nor YAML" in cli("data", "import", "broken.json", "-c", "x.yaml").err
    assert cli("data", "import", "none.json", "-c", "x.yaml").status == 2
