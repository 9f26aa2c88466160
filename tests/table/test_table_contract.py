# ruff: noqa: DTZ001  (times without a zone are among the cases)
"""Contracts: the table's verdict, the row's verdict, and that they are one."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.core.errors import ContractViolated, DataFault, SpecFault
from everloop.table.contract import (
    ColumnRule,
    Contract,
    TableRule,
    Violation,
    check,
    contract_text,
    load_contract,
    parse_contract,
    row_checker,
    save_contract,
)

CONTRACT = Contract(
    (
        ColumnRule("amount", "number", nullable=False, minimum=0, maximum=1000),
        ColumnRule("count", "integer", minimum=1),
        ColumnRule("region", "text", allowed=("north", "south"), max_missing=0.5),
        ColumnRule("code", "text", pattern=r"[A-Z]{2}\d+", severity="warn"),
        ColumnRule("at", "time", minimum="2020-01-01", maximum="2030-01-01T00:00:00+02:00"),
        ColumnRule("member", "boolean"),
    ),
    (
        TableRule("row_count", minimum=1, maximum=100),
        TableRule("unique", columns=("region", "code")),
        TableRule.holds("amount <= 500 or member", {"amount": "number", "member": "boolean"}),
    ),
)
POLARS_TYPES = {
    "amount": pl.Float64,
    "count": pl.Int64,
    "region": pl.String,
    "code": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "member": pl.Boolean,
}


def table(**changes):
    plain = {
        "amount": [10.0, 20.0], "count": [1, 2], "region": ["north", "south"], "code": ["AB1", "CD2"],
        "at": [datetime(2024, 1, 1, tzinfo=UTC)] * 2, "member": [True, False],
    }  # fmt: skip
    return pl.DataFrame(
        plain | changes, schema_overrides={k: v for k, v in POLARS_TYPES.items() if k not in changes}
    )


def found(frame, contract=CONTRACT):
    return [(finding.column, finding.rule, finding.failing) for finding in check(frame, contract).findings]


def test_a_table_that_satisfies_it_passes():
    report = check(table(), CONTRACT)
    assert report.passed
    assert report.rows == 2
    assert report.findings == ()
    report.raise_if_failed()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"amount": [-1.0, 20.0]}, [("amount", "minimum", 1)]),
        ({"amount": [None, 20.0]}, [("amount", "nullable", 1)]),
        ({"amount": [math.nan, 20.0]}, [("amount", "nullable", 1)]),
        ({"amount": [math.inf, 20.0]}, [("amount", "type", 1), ("amount", "maximum", 1)]),
        ({"amount": [600, 700]}, [("", "holds", 1)]),
        ({"amount": ["x", "y"]}, [("amount", "type", 2)]),
        ({"count": [1.5, 2.0]}, [("count", "type", 1)]),
        ({"count": [1.0, 2.0]}, []),
        ({"region": ["north", "east"]}, [("region", "allowed", 1)]),
        ({"region": [None, None]}, [("region", "max_missing", 2)]),
        ({"code": ["AB1", "CD2\n"]}, [("code", "pattern", 1)]),
        ({"code": ["AB1", "AB1"], "region": ["north", "north"]}, [("", "unique", 2)]),
        ({"code": [None, None], "region": ["north", "north"]}, []),
        (
            {"at": [datetime(2019, 12, 31), datetime(2029, 12, 31, 23)]},
            [("at", "minimum", 1), ("at", "maximum", 1)],
        ),
        ({"member": [1, 0]}, [("member", "type", 2)]),
    ],
)
def test_what_a_table_breaks_is_found(changes, expected):
    assert found(table(**changes)) == expected


def test_missing_and_extra_columns_are_found():
    frame = table().drop("amount", "at").with_columns(more=1)
    assert ("amount", "present", 0) in found(frame)
    strict = Contract(CONTRACT.columns, (), "reject")
    assert ("more", "extra", 0) in found(frame, strict)


def test_an_empty_table_breaks_the_row_count_alone():
    assert found(table().clear()) == [("", "row_count", 0)]


def test_examples_name_rows_from_one_and_values():
    report = check(table(amount=[5.0, -7.0]), CONTRACT)
    (finding,) = report.findings
    assert [(example.row, example.value) for example in finding.examples] == [(2, -7.0)]
    assert finding.share == 0.5
    with pytest.raises(ContractViolated, match=r"column 'amount' has to be at least 0.*-7.0 in row 2"):
        report.raise_if_failed()
    assert report.to_dict()["findings"][0]["examples"] == [{"row": 2, "value": -7.0}]


def test_a_single_row_of_many_is_told_as_one():
    (finding,) = check(table(amount=[5.0, -7.0]), CONTRACT).findings
    assert "1 row (50.0%) is not" in finding.sentence()
    assert "1 row (less than 0.1%) is not" in replace(finding, share=0.0002).sentence()
    assert "2,000 rows (50.0%) are not" in replace(finding, failing=2000).sentence()


def test_at_most_five_examples_are_kept():
    (finding,) = check(
        table(amount=[-1.0, -2.0]).sample(50, with_replacement=True, seed=0), Contract(CONTRACT.columns[:1])
    ).findings
    assert finding.failing == 50
    assert len(finding.examples) == 5


@given(
    counts=st.lists(st.integers(-2, 2), min_size=1, max_size=12),
    regions=st.lists(st.sampled_from(["north", "east", "west"]), min_size=12, max_size=12),
    cut=st.integers(0, 12),
)
def test_reports_of_parts_add_up_to_that_of_the_whole(counts, regions, cut):
    rows, contract = len(counts), CONTRACT.for_rows()
    frame = table(
        amount=[10.0] * rows, count=counts, region=regions[:rows], code=["AB1"] * rows,
        at=[datetime(2024, 1, 1, tzinfo=UTC)] * rows, member=[True] * rows,
    )  # fmt: skip
    whole = check(frame, contract)
    merged = check(frame[:cut], contract).merge(check(frame[cut:], contract))
    assert (merged.passed, merged.rows, merged.broken) == (whole.passed, whole.rows, whole.broken)
    said = {(one.column, one.rule): one for one in whole.findings}
    assert {(one.column, one.rule) for one in merged.findings} == said.keys()
    for one in merged.findings:
        other = said[one.column, one.rule]
        assert (one.failing, one.examples) == (other.failing, other.examples)
        assert one.share == pytest.approx(other.share)
        assert dict(one.values) == dict(other.values)


def test_a_warning_does_not_fail():
    report = check(table(code=["ab", "CD2"]), CONTRACT)
    assert report.passed
    assert [finding.severity for finding in report.findings] == ["warn"]


def test_a_lazy_table_is_checked_whole():
    assert not check(table(amount=[-1.0, 2.0]).lazy(), CONTRACT).passed


# A row.

GOOD = {
    "amount": 10,
    "count": 2.0,
    "region": "north",
    "code": "x",
    "at": "2024-05-01T10:00:00+02:00",
    "member": True,
}


def test_a_good_row_is_normalised():
    values, violations = row_checker(CONTRACT).normalise(GOOD | {"more": 1})
    assert violations == []
    assert values == {
        "amount": 10.0,
        "count": 2,
        "region": "north",
        "code": "x",
        "at": datetime(2024, 5, 1, 8, tzinfo=UTC),
        "member": True,
    }
    assert type(values["amount"]) is float
    assert type(values["count"]) is int


@pytest.mark.parametrize(
    ("field", "value", "rule", "type_"),
    [
        ("amount", "10", "type", "text"), ("amount", None, "nullable", "null"), ("amount", True, "type", "boolean"),
        ("amount", math.inf, "type", "number"), ("amount", [1], "type", "array"), ("amount", {}, "type", "object"),
        ("amount", 10**400, "type", "integer"), ("amount", -1, "minimum", "integer"), ("amount", 1001.5, "maximum", "number"),
        ("count", 1.5, "type", "number"), ("count", 2**63, "type", "integer"), ("count", 0, "minimum", "integer"),
        ("region", "east", "allowed", "text"), ("region", 5, "type", "integer"),
        ("at", "yesterday", "type", "text"), ("at", 5, "type", "integer"), ("at", "2031-01-01", "maximum", "text"),
        ("at", "0001-01-01T00:00:00+14:00", "type", "text"), ("member", 1, "type", "integer"), ("member", "true", "type", "text"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named_with_its_rule_and_type(field, value, rule, type_):
    (violation,) = row_checker(CONTRACT)(GOOD | {field: value})
    assert (violation.field, violation.rule, violation.type) == (field, rule, type_)
    assert violation.expected


def test_a_condition_over_the_row_is_enforced():
    (violation,) = row_checker(CONTRACT)(GOOD | {"amount": 600, "member": False})
    assert violation == Violation("", "holds", "such that amount <= 500 or member", "object")
    assert row_checker(CONTRACT)(GOOD | {"amount": 600, "member": None}) == []


def test_unknown_fields_follow_extra():
    assert row_checker(CONTRACT)(GOOD | {"more": 1}) == []
    strict = row_checker(Contract(CONTRACT.columns, (), "reject"))
    assert [v.field for v in strict(GOOD | {"more": 1, "other": None})] == ["more", "other"]


def test_fields_that_are_not_there_are_null():
    assert row_checker(CONTRACT)({"amount": 1}) == []
    assert [v.field for v in row_checker(CONTRACT)({})] == ["amount"]


def _or_null(values):
    return st.one_of(st.none(), values)


ROWS = st.fixed_dictionaries(
    {
        "amount": _or_null(st.one_of(st.floats(), st.sampled_from([0.0, -0.0, 500.0, 500.5, 1000.0]))),
        "count": _or_null(st.integers(-3, 2**62)),
        "region": _or_null(st.sampled_from(["north", "south", "North", "", "east"])),
        "code": _or_null(
            st.one_of(
                st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
                st.from_regex(r"[A-Z]{2}\d+\n?", fullmatch=True),
            )
        ),
        "at": _or_null(
            st.one_of(st.datetimes(), st.datetimes(datetime(2019, 12, 31, 20), datetime(2020, 1, 1, 4)))
        ).map(lambda v: v and v.replace(tzinfo=UTC)),
        "member": _or_null(st.booleans()),
    }
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(row=ROWS, severity=st.sampled_from(["error", "warn"]))
def test_a_row_and_its_table_get_one_verdict(row, severity):
    columns = tuple(
        ColumnRule(
            r.name,
            r.type,
            r.nullable,
            r.minimum,
            r.maximum,
            r.allowed,
            r.pattern,
            severity=severity if r.name == "code" else r.severity,
        )
        for r in CONTRACT.columns
    )
    contract = Contract(columns, CONTRACT.rules[2:])
    frame = pl.DataFrame(
        {name: pl.Series([row[name]], dtype=dtype, strict=False) for name, dtype in POLARS_TYPES.items()}
    )
    violations = row_checker(contract)(row)
    report = check(frame, contract)
    assert report.passed == (not violations)
    fields = {v.field for v in violations if v.field}
    assert fields == {f.column for f in report.findings if f.severity == "error" and f.column}


# The file.


def test_the_file_round_trips(tmp_path):
    path = tmp_path / "contract.yaml"
    save_contract(CONTRACT, path)
    assert load_contract(path) == CONTRACT
    assert path.read_text().startswith("# What every snapshot")
    assert Contract.from_dict(CONTRACT.to_dict()) == CONTRACT


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufeff"), min_size=1, max_size=8
)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    name=NAMES,
    allowed=st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6), min_size=1, max_size=4
    ),
    low=st.floats(allow_nan=False, allow_infinity=False),
)
def test_any_name_and_value_round_trips(name, allowed, low):
    contract = Contract(
        (ColumnRule(name, "text", allowed=tuple(allowed)), ColumnRule(f"{name}2", "number", minimum=low))
    )
    assert parse_contract(contract_text(contract)) == contract


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("columns:\n  a: {type: number}\n  b: {type: txt}\n", 3, "'txt' is none of"),
        ("columns:\n  a:\n    type: number\n    minimun: 3\n", 4, "no key 'minimun'"),
        ("columns:\n  a: {type: number, minimum: x}\n", 2, "minimum is a number"),
        ("columns:\n  a: {type: text, pattern: '['}\n", 2, "cannot be used"),
        ("columns:\n  a: {type: text, allowed: [1]}\n", 2, "1 is not"),
        ("columns:\n  a: {type: number}\nrules:\n- {holds: 'a > bb'}\n", 4, "no column 'bb'"),
        ("columns:\n  a: {type: number}\nrules:\n- {unique: [b]}\n", 1, "'b', of which the contract says nothing"),
        ("columns:\n  a: {type: number}\nextra: drop\n", 3, "ignore or reject"),
        ("columns:\n  a: {type: number\n", 3, "no YAML"),
        ("columns: 3\n", 1, "has columns"),
        ("[]\n", 1, "Keys were expected"),
        ("", None, "Keys were expected"),
        ("columns:\n  a: {type: boolean, nullable: maybe}\n", 2, "true or false"),
        ("columns:\n  a:\n", 2, "Keys were expected"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_told_with_its_line(text, line, says):
    with pytest.raises(SpecFault, match=says) as caught:
        parse_contract(text)
    assert caught.value.place == ("contract.yaml" if line is None else f"contract.yaml:{line}")


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DataFault, match="no contract"):
        load_contract(tmp_path / "contract.yaml")


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"columns": 3},
        {"columns": [{"name": "a"}], "rules": [], "extra": "ignore"},
        {"columns": [], "rules": [{}], "extra": "ignore"},
        [],
    ],
)
def test_damaged_json_is_refused(data):
    with pytest.raises(SpecFault):
        Contract.from_dict(data)


def test_only_keeps_what_the_columns_need():
    assert [rule.kind for rule in CONTRACT.only({"amount", "region"}).rules] == ["row_count"]
