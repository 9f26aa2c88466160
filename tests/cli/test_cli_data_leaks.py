"""`everloop data check` and `everloop.data.find_leaks`: leaks of tables that were split elsewhere."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from everloop import data
from everloop.cli import main
from everloop.core.errors import DataFault


@pytest.fixture
def loans(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    generator = np.random.default_rng(0)
    income = generator.normal(40, 9, 800).round(6)
    late = generator.random(800) < 1 / (1 + np.exp((income - 38) / 6))
    table = pl.DataFrame(
        {
            "loan": [f"L{i * 7919 % 100003:06d}" for i in range(800)],
            "income": income,
            "town": generator.choice(list("abcdef"), 800),
            "late": np.where(late, "yes", "no"),
            "fee_paid": [
                float(fee) if paid else None
                for fee, paid in zip(generator.choice([10, 20], 800), late, strict=True)
            ],
            "part": np.where(np.arange(800) < 600, "Train", "Test"),
        }
    )
    table.drop("part")[:600].write_csv("train.csv")
    table.drop("part")[600:].write_csv("test.csv")
    table.write_parquet("all.parquet")
    return table


def names(report):
    return [(finding.name, finding.severity) for finding in report.findings]


LEAKS = [("target copy: fee_paid", "error"), ("identifier: loan", "error")]


def test_two_tables_and_a_split_column_are_looked_at_alike(loans):
    by_column = data.find_leaks(loans, target="late", split="part")
    assert names(by_column) == LEAKS
    assert by_column.rows == {"train": 600, "test": 200}
    assert names(data.find_leaks("train.csv", "test.csv", target="late")) == LEAKS
    assert names(data.find_leaks("train.csv", target="late")) == LEAKS
    inputs = data.find_leaks(loans, target="late", split="part", inputs=["income", "town"])
    assert inputs.passed
    assert inputs.findings == ()


def test_the_command_ends_with_1_where_a_leak_blocks(loans, capsys):
    assert main(["data", "check", "train.csv", "test.csv", "--target", "late"]) == 1
    said = capsys.readouterr().out
    assert "leaks: 2 blocking; 600 train, 200 test rows; 8 kinds were looked for" in said
    assert "error: target copy: fee_paid" in said
    waivers = [word for name, _ in LEAKS for word in ("--waive", f"{name}=it is known before")]
    assert (
        main(["data", "check", "all.parquet", "--split", "part", "--target", "late", *waivers, "--json"]) == 0
    )
    facts = json.loads(capsys.readouterr().out)
    assert facts["passed"]
    assert [one["severity"] for one in facts["leaks"]["findings"]] == ["waived", "waived"]
    assert {one["reason"] for one in facts["leaks"]["findings"]} == {"it is known before"}


def test_contract_and_leaks_are_told_together(loans, capsys):
    assert main(["data", "learn", "train.csv"]) == 0
    capsys.readouterr()
    assert main(["data", "check", "train.csv", "test.csv", "--target", "late", "--json"]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 600
    assert not facts["passed"]
    assert len(facts["leaks"]["findings"]) == 2
    assert main(["data", "check", "train.csv"]) == 0


def test_what_cannot_be_looked_at_is_told(loans, capsys):
    assert main(["data", "check", "train.csv", "test.csv"]) == 2
    assert main(["data", "check", "train.csv", "--target", "lat"]) == 2
    assert main(["data", "check", "all.parquet", "--target", "late", "--split", "town"]) == 2
    assert "divides rows into" in capsys.readouterr().err
    with pytest.raises(DataFault, match="no column 'nobody'"):
        data.find_leaks(loans, target="late", entity="nobody")


def test_test_rows_without_a_target_are_looked_at_all_the_same(loans):
    test = loans[600:].drop("late", "fee_paid")
    assert (
        names(data.find_leaks(loans[:600].drop("fee_paid"), test, target="late", inputs=["income", "town"]))
        == []
    )
    scaled = (pl.col("income") - loans["income"].mean()) / loans["income"].std()
    found = data.find_leaks(
        loans[:600].with_columns(scaled), test.with_columns(scaled), target="late", inputs=["income"]
    )
    assert names(found) == [("preprocessing: income", "error")]


LIFECYCLE = """
name: loans
problem: {target: late}
data:
  sources: {loans: {file: all.parquet}}
  table: select * exclude (part) from loans
  leaks: {waive: {%s}}
"""


@pytest.mark.parametrize(
    ("waiver", "status", "said"),
    [
        ("", 1, "error: target copy: fee_paid: fee_paid alone tells late"),
        ('"target copy: fee_paid": it is a deposit', 0, "1 waived (target copy: fee_paid)"),
        ('"copy: fee_paid": it is a deposit', 2, "data.leaks.waive names 'copy'"),
        ('"target copy: fee_paid": ""', 2, "data.leaks.waive"),
    ],
)
def test_a_run_stops_where_a_leak_blocks(loans, tmp_path, capsys, waiver, status, said):
    (tmp_path / "everloop.yaml").write_text(LIFECYCLE % waiver)
    assert main(["run", "--until", "data"]) == status
    told = capsys.readouterr()
    assert said in told.out + told.err
    if status == 1:
        assert '{"target copy: fee_paid": "the reason"}' in told.out + told.err
