# ruff: noqa: D103, INP001, S101
"""Rows through a Beam pipeline, on Beam's local runner."""

import json
from datetime import UTC, datetime, timedelta

import apache_beam as beam
import polars as pl
import pytest
from apache_beam.testing.util import assert_that, equal_to

from everloop import data
from everloop.core.errors import DataFault
from everloop.data.fitting import fit_cleaning
from everloop.integrations.beam import conform
from everloop.spec import CleanSpec
from everloop.table.contract import ColumnRule, Contract, TableRule, save_contract
from everloop.table.feature import derive

TYPES = {"amount": "number", "debt": "number"}
CONTRACT = Contract(
    (
        ColumnRule("id", "integer", nullable=False, unique=True),
        ColumnRule("amount", "number", minimum=0),
        ColumnRule("debt", "number", maximum=100, severity="warn"),
        ColumnRule("work", "text", allowed=("shop", "farm", "?")),
        ColumnRule("at", "time"),
    ),
    (TableRule.holds("debt <= amount * 100", TYPES),),
)
START = datetime(2026, 1, 1, tzinfo=UTC)


def row(number, **changes):
    given = {
        "id": number,
        "amount": 5.0 + number % 7,
        "debt": 2.0,
        "work": "shop",
        "at": "2026-01-01T00:00:00Z",
    }
    return {**given, **changes}


def test_good_rows_and_bad_rows_part():
    rows = [row(0), row(1, amount=-1), row(2, id=None, work="moon"), row(3, debt=120.0), row(4, debt=5000.0)]
    expected = {1: [["amount", "minimum"]], 2: [["id", "nullable"], ["work", "allowed"]], 4: [["", "holds"]]}
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        checked = pipeline | beam.Create(rows) | conform(CONTRACT)
        good = checked.good | "numbers" >> beam.Map(lambda one: (one["id"], one["at"]))
        assert_that(good, equal_to([(0, START), (3, START)]), label="good")
        told = checked.bad | "told" >> beam.Map(
            lambda bad: (bad["row"]["amount"], sorted([v["field"], v["rule"]] for v in bad["violations"]))
        )
        wanted = [(rows[number]["amount"], broken) for number, broken in expected.items()]
        assert_that(told, equal_to(wanted), label="bad")


def test_a_bad_row_can_be_written_as_json():
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        checked = pipeline | beam.Create([row(1, at=START, amount="much")]) | conform(CONTRACT)
        assert_that(
            checked.bad | beam.Map(lambda bad: json.loads(json.dumps(bad))["row"]["amount"]),
            equal_to(["much"]),
        )


def test_rows_are_cleaned_as_the_training_part_was(tmp_path):
    """What Beam gives row by row is what Polars gives for the table."""
    works = ["shop", "farm", "?"]
    table = pl.DataFrame(
        {
            "id": range(400),
            "amount": [-999.0 if i % 20 == 0 else 5.0 + i % 7 for i in range(400)],
            "debt": [1e9 if i == 77 else float(i % 9) for i in range(400)],
            "work": [works[i % 3] for i in range(400)],
            "at": [START + timedelta(hours=i) for i in range(400)],
        }
    )
    plan, _ = fit_cleaning(table, ("amount", "debt", "work"), CleanSpec())
    assert {"amount", "work"} <= set(plan.clean_names)
    contract = data.learn(table)
    save_contract(contract, tmp_path / "contract.yaml")
    expected = derive(table, plan.definitions).collect().to_dicts()
    with beam.Pipeline(runner="DirectRunner") as pipeline:
        checked = pipeline | beam.Create(table.to_dicts()) | conform(tmp_path / "contract.yaml", plan)
        assert_that(checked.good | beam.Map(plain), equal_to([plain(one) for one in expected]), label="good")
        assert_that(checked.bad, equal_to([]), label="bad")


def plain(row):
    """Gives a row as what compares: Polars and Beam name the same time zone differently."""
    return tuple(value.timestamp() if isinstance(value, datetime) else value for value in row.values())


def test_a_contract_that_is_not_there_is_told_before_the_pipeline_runs(tmp_path):
    with pytest.raises(DataFault, match="There is no contract"):
        conform(tmp_path / "contract.yaml")
