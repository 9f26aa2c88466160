"""Great Expectations itself runs our suites, and we run its suites: each check has one verdict."""
# ruff: noqa: D103, INP001, S101

import json
import logging
import random
import warnings

import numpy as np
import pandas as pd
import pytest

from everloop.integrations.great_expectations import GreatExpectationsSuite
from everloop.table.contract import ColumnRule, Contract, TableRule, check

with warnings.catch_warnings():
    # Its own use of what Python and pandas will drop.
    warnings.simplefilter("ignore")
    import great_expectations as gx
    import great_expectations.expectations as gxe

pytestmark = pytest.mark.filterwarnings("ignore")
random.seed(0)
logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
TYPES = {"id": "integer", "a": "number", "b": "number", "town": "text", "code": "text", "note": "text"}
CONTRACT = Contract(
    (
        ColumnRule("id", "integer", nullable=False, unique=True),
        ColumnRule("a", "number", minimum=0, maximum=100),
        ColumnRule("b", "number", max_missing=0.25, severity="warn"),
        ColumnRule("town", "text", allowed=("north", "south")),
        ColumnRule("code", "text", pattern=r"[A-Z]{2}-[0-9]+|none"),
        ColumnRule("note", "text"),
    ),
    (
        TableRule("row_count", minimum=5, maximum=50),
        TableRule("unique", columns=("town", "code")),
        TableRule.holds("a <= b", TYPES),
    ),
    "reject",
)
FORMAT = GreatExpectationsSuite()


def table(**changes):
    rows = 20
    plain = {
        "id": list(range(rows)),
        "a": [float(n) for n in range(rows)],
        "b": [None if n % 7 == 3 else n + 1.0 for n in range(rows)],
        "town": ["north" if n % 2 else "south" for n in range(rows)],
        "code": [f"AB-{n}" for n in range(rows)],
        "note": [None if n % 3 else f"n {n}" for n in range(rows)],
    }
    return pd.DataFrame(plain | changes)


def with_value(column, value, place=4):
    values = table()[column].tolist()
    values[place] = value
    return table(**{column: values})


TABLES = {
    "passes": table(),
    "id twice": with_value("id", 3),
    "id missing": with_value("id", None),
    "a below": with_value("a", -1.0),
    "a above": with_value("a", 101.0),
    "a missing": with_value("a", None),
    "b missing": table(b=[None] * 10 + [99.0] * 10),
    "b less": with_value("b", 1.0, 6),
    "town": with_value("town", "east"),
    "town missing": with_value("town", None),
    "code": with_value("code", "ab-1"),
    "code longer": with_value("code", "AB-1\n"),
    "code inside": with_value("code", "xAB-1"),
    "key twice": with_value("code", "AB-2"),
    "few": table()[:3],
    "many": pd.concat([table().assign(id=table()["id"] + n * 20, code=f"AB-{n}") for n in range(3)]),
    "more columns": table().assign(more=1),
    "fewer columns": table().drop(columns="note"),
}


@pytest.fixture(scope="module")
def batch_of():
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False}
    definition = (
        context.data_sources.add_pandas("p")
        .add_dataframe_asset("t")
        .add_batch_definition_whole_dataframe("b")
    )
    return lambda frame: definition.get_batch({"dataframe": frame})


def theirs(batch, document):
    suite = gx.ExpectationSuite(name=document["name"], expectations=document["expectations"])
    found = batch.validate(suite, result_format="SUMMARY")
    return {
        json.dumps(
            one.expectation_config.to_json_dict()["kwargs"] | {"type": one.expectation_config.type},
            sort_keys=True,
            default=str,
        ): one
        for one in found.results
    }


RULES = {
    "expect_column_to_exist": "present",
    "expect_column_values_to_not_be_null": "nullable",
    "expect_column_proportion_of_non_null_values_to_be_between": "max_missing",
    "expect_column_values_to_be_between": ("minimum", "maximum"),
    "expect_column_values_to_be_in_set": "allowed",
    "expect_column_values_to_match_regex": "pattern",
    "expect_column_values_to_be_unique": "unique",
    "expect_compound_columns_to_be_unique": "unique",
    "expect_table_row_count_to_be_between": "row_count",
    "expect_column_pair_values_a_to_be_greater_than_b": "holds",
    "expect_table_columns_to_match_set": ("extra", "present"),
}


@pytest.mark.parametrize("name", list(TABLES))
def test_our_suite_has_the_same_verdicts(batch_of, name):
    written = FORMAT.write(CONTRACT, "ours")
    assert [one for one in written.left_out if "its type" not in one] == []
    report = check(TABLES[name], CONTRACT)
    found = theirs(batch_of(TABLES[name]), written.document)
    assert len(found) == len(written.document["expectations"])
    absent = {"note"} - set(TABLES[name].columns)
    for one in found.values():
        config = one.expectation_config
        column = config.kwargs.get("column", "")
        rules = RULES[config.type] if isinstance(RULES[config.type], tuple) else (RULES[config.type],)
        ours = [
            finding
            for finding in report.findings
            if finding.rule in rules
            and (
                finding.column == column
                or (
                    config.type.startswith("expect_table")
                    and finding.rule in {"extra", "present", "row_count"}
                )
            )
        ]
        if column in absent and config.type != "expect_column_to_exist":
            continue
        assert one.success == (not ours), (config.type, config.kwargs, [f.sentence() for f in ours])
        if "unexpected_count" in one.result:
            assert one.result["unexpected_count"] == sum(finding.failing for finding in ours), config.type


def test_what_we_write_is_read_back_as_it_was():
    written = FORMAT.write(CONTRACT, "ours")
    read = FORMAT.read(json.loads(json.dumps(written.document)), TYPES)
    assert read.left_out == ()
    expected = {column.name: column for column in CONTRACT.columns}
    assert {column.name: column for column in read.contract.columns} == expected
    assert read.contract.extra == "reject"
    for name, frame in TABLES.items():
        ours = {(f.column, f.rule, f.failing) for f in check(frame, CONTRACT).findings}
        back = {(f.column, f.rule, f.failing) for f in check(frame, read.contract).findings}
        assert back == ours, name


THEIRS = (
    gxe.ExpectColumnValuesToNotBeNull(column="id"),
    gxe.ExpectColumnValuesToNotBeNull(column="b", mostly=0.75),
    gxe.ExpectColumnValuesToBeBetween(column="a", min_value=0, max_value=19, strict_max=True),
    gxe.ExpectColumnValuesToBeInSet(column="town", value_set=["north", "south"]),
    gxe.ExpectColumnValuesToMatchRegex(column="code", regex="AB-[0-9]"),
    gxe.ExpectColumnValueLengthsToBeBetween(column="note", min_value=3, max_value=4),
    gxe.ExpectColumnValuesToBeUnique(column="id"),
    gxe.ExpectColumnPairValuesAToBeGreaterThanB(
        column_A="b", column_B="a", ignore_row_if="either_value_is_missing"
    ),
    gxe.ExpectTableRowCountToBeBetween(min_value=4, max_value=40),
    gxe.ExpectColumnMeanToBeBetween(column="a", min_value=1),
    gxe.ExpectColumnValuesToBeInSet(column="a", value_set=[1.0], mostly=0.1),
)


@pytest.mark.parametrize("name", list(TABLES))
def test_their_suite_has_the_same_verdict(batch_of, name):
    context = gx.get_context(mode="ephemeral")
    suite = context.suites.add(gx.ExpectationSuite(name=f"theirs {np.random.default_rng(0).integers(9)}"))
    for one in THEIRS:
        suite.add_expectation(one.copy(update={"id": None}))
    read = FORMAT.read(suite.to_json_dict(), TYPES)
    assert len(read.left_out) == 2
    assert "mean" in read.left_out[0]
    document = suite.to_json_dict()
    kept = [
        e for e in document["expectations"] if "mean" not in e["type"] and e["kwargs"].get("mostly") != 0.1
    ]
    found = theirs(batch_of(TABLES[name]), {"name": "x", "expectations": kept})
    if "note" in TABLES[name].columns:
        assert check(TABLES[name], read.contract).passed == all(one.success for one in found.values())
