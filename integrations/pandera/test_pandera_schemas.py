"""Pandera itself judges by our schemas, and we by its schemas: each table has one verdict."""
# ruff: noqa: D103, INP001, S101

import warnings
from datetime import UTC, datetime, timedelta

import pandas as pd
import pandera.errors
import pandera.io.pandas_io
import pandera.io.polars_io
import pandera.pandas
import pandera.polars
import polars as pl
import pytest
import yaml

from everloop.integrations.pandera import PanderaPolarsSchema, PanderaSchema
from everloop.table.contract import ColumnRule, Contract, TableRule, check

TYPES = {"id": "integer", "a": "number", "b": "number", "town": "text", "code": "text", "at": "time"}
CONTRACT = Contract(
    (
        ColumnRule("id", "integer", nullable=False, unique=True),
        ColumnRule("a", "number", minimum=0, maximum=100),
        ColumnRule("b", "number", minimum=0, severity="warn"),
        ColumnRule("town", "text", nullable=False, allowed=("north", "south")),
        ColumnRule("code", "text", nullable=False, pattern="[A-Z]{2}-[0-9]+|none"),
        ColumnRule("at", "time", minimum=datetime(2020, 1, 1, tzinfo=UTC)),
        ColumnRule("yes", "boolean", nullable=False),
    ),
    (TableRule("unique", columns=("town", "code")),),
    "reject",
)


def plain():
    rows = 20
    return {
        "id": list(range(rows)),
        "a": [None if n == 7 else float(n) for n in range(rows)],
        "b": [None if n % 7 == 3 else n + 1.0 for n in range(rows)],
        "town": ["north" if n % 2 else "south" for n in range(rows)],
        "code": [f"AB-{n}" for n in range(rows)],
        "at": [datetime(2026, 1, 1) + timedelta(hours=n) for n in range(rows)],  # noqa: DTZ001
        "yes": [n % 3 == 0 for n in range(rows)],
    }


def with_value(column, value, place=4):
    values = list(plain()[column])
    values[place] = value
    return plain() | {column: values}


CHANGED = {
    "passes": plain(),
    "id twice": with_value("id", 3),
    "a below": with_value("a", -1.0),
    "a above": with_value("a", 101.0),
    "a missing": with_value("a", None),
    "b below": with_value("b", -1.0),
    "town": with_value("town", "east"),
    "town missing": with_value("town", None),
    "code": with_value("code", "ab-1"),
    "code longer": with_value("code", "AB-1\n"),
    "code inside": with_value("code", "xAB-1"),
    "key twice": with_value("code", "AB-2"),
    "too early": with_value("at", datetime(2019, 12, 31)),  # noqa: DTZ001
    "at missing": with_value("at", None),
    "more columns": plain() | {"more": [1] * 20},
    "no warned column": {name: values for name, values in plain().items() if name != "b"},
    "no column": {name: values for name, values in plain().items() if name != "a"},
}


def typed(values):
    schema = {"a": pl.Float64, "b": pl.Float64, "town": pl.String, "code": pl.String}
    return pl.DataFrame(values, schema_overrides={k: v for k, v in schema.items() if k in values})


API = {
    "pandas": (PanderaSchema(), pandera.io.pandas_io, pd.DataFrame),
    "polars": (PanderaPolarsSchema(), pandera.io.polars_io, typed),
}
FAULTS = (pandera.errors.SchemaErrors, pandera.errors.SchemaError)


def theirs(schema, table):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            schema.validate(table, lazy=True)
        except FAULTS:
            return False
    return True


@pytest.mark.parametrize("api", list(API))
@pytest.mark.parametrize("name", list(CHANGED))
def test_our_schema_has_the_same_verdict(api, name):
    form, theirs_io, table_of = API[api]
    written = form.write(CONTRACT, "ours")
    assert [one for one in written.left_out if "its type" not in one] == []
    schema = theirs_io.from_yaml(yaml.safe_dump(written.document))
    table = table_of(CHANGED[name])
    assert theirs(schema, table) == check(table, CONTRACT).passed == (name in PASS)


PASS = {"passes", "a missing", "b below", "at missing", "no warned column"}


@pytest.mark.parametrize("api", list(API))
def test_a_warning_is_given_and_not_raised(api):
    form, theirs_io, table_of = API[api]
    schema = theirs_io.from_yaml(yaml.safe_dump(form.write(CONTRACT, "ours").document))
    with pytest.warns(pandera.errors.SchemaWarning, match="greater_than_or_equal_to"):
        schema.validate(table_of(CHANGED["b below"]))


@pytest.mark.parametrize("api", list(API))
def test_what_we_write_is_read_back_as_it_was(api):
    form, theirs_io, _ = API[api]
    document = form.write(CONTRACT, "ours").document
    ours = form.read(document, {"at": "time"})
    through = form.read(
        yaml.safe_load(theirs_io.to_yaml(theirs_io.from_yaml(yaml.safe_dump(document, sort_keys=False)))),
        TYPES,
    )
    for read in (ours, through):
        assert [one for one in read.left_out if "type" not in one] == []
        assert read.contract.columns == CONTRACT.columns
        assert read.contract.rules == CONTRACT.rules
        assert read.contract.extra == "reject"


@pytest.mark.parametrize("api", list(API))
def test_what_has_no_counterpart_is_named(api):
    contract = Contract(
        (
            ColumnRule("id", "integer", unique=True),
            ColumnRule("b", "number", nullable=False, max_missing=0.5, severity="warn"),
            ColumnRule("at", "time"),
        ),
        (
            TableRule("row_count", minimum=5),
            TableRule("unique", columns=("id", "b")),
            TableRule.holds("b > id", {"id": "integer", "b": "number"}),
            TableRule("fresh", columns=("at",), within=timedelta(days=2)),
            TableRule("refers", columns=("id",), source="people", key=("id",)),
        ),
    )
    named = [one for one in API[api][0].write(contract, "ours").left_out if "its type" not in one]
    assert named == [
        "id: that no value comes twice, missing ones aside",
        "b: that no value is missing, of which it only warns",
        "b: max_missing, 0.5",
        "row_count: at least 5 rows long",
        "unique: unique in id, b",
        "holds: such that b > id",
        "fresh: at at most 2d old at its newest",
        "refers: id one of people by its id",
    ]


def their_schema(lib, text, integer):
    column, judge = lib.Column, lib.Check
    return lib.DataFrameSchema(
        {
            "id": column(integer, [judge.gt(-1), judge.ne(77)], unique=True),
            "a": column(float, judge.in_range(0, 19, include_max=False), nullable=True),
            "b": column(float, [judge.ge(0), judge.lt(1000, raise_warning=True)], nullable=True),
            "town": column(text, judge.isin(["north", "south"])),
            "code": column(text, [judge.str_matches("AB-[0-9]"), judge.str_length(4, 5)]),
            "yes": column(bool),
            "odd": column(float, judge(lambda values: values), nullable=True, required=False),
        },
        unique=["town", "code"],
    )


@pytest.mark.parametrize("api", list(API))
@pytest.mark.parametrize("name", [name for name in CHANGED if name != "no warned column"])
def test_their_schema_has_the_same_verdict(api, name):
    form, theirs_io, table_of = API[api]
    lib, text, integer = (
        (pandera.pandas, str, "int64") if api == "pandas" else (pandera.polars, str, pl.Int64)
    )
    schema = their_schema(lib, text, integer)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        document = yaml.safe_load(theirs_io.to_yaml(schema))
    assert form.knows(document)
    read = form.read(document, {})
    assert [one for one in read.left_out if "type" not in one] == [
        "odd: a check that is Python, of which the file says nothing"
    ]
    table = table_of(CHANGED[name] | {"odd": [1.0] * 20})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = theirs(their_schema(lib, text, integer).remove_columns(["odd"]), table)
    assert check(table, read.contract).passed == expected
    warned = [finding for finding in check(table, read.contract).findings if finding.severity == "warn"]
    assert warned == []


def test_a_lazy_table_is_checked_whole_by_us_alone():
    """Pandera holds a LazyFrame against its schema's types alone, and says that it is right."""
    form, theirs_io, _ = API["polars"]
    schema = theirs_io.from_yaml(yaml.safe_dump(form.write(CONTRACT, "ours").document))
    lazy = typed(CHANGED["a below"]).lazy()
    schema.validate(lazy)
    assert not check(lazy, CONTRACT).passed
