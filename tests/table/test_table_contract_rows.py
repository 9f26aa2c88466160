"""Whatever the contract and the row: the row's verdict is that of a table of this row."""

import json
import math
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.table.contract import ColumnRule, Contract, TableRule, check, json_row_reader, row_checker

TYPES = {"n": "number", "i": "integer", "t": "text", "at": "time", "b": "boolean"}
POLARS = {
    "n": pl.Float64,
    "i": pl.Int64,
    "t": pl.String,
    "at": pl.Datetime("us", "UTC"),
    "b": pl.Boolean,
}
TEXTS = ["", "a", "ab", "AB1", "AB1\n", "é", "a" * 13, "North", "0123-45"]
NUMBERS = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0**53, 1e300]
MOMENTS = [datetime(2020, 1, 1, hour, tzinfo=UTC) for hour in range(4)]
VALUES = {
    "n": st.one_of(st.sampled_from([*NUMBERS, float("nan"), float("inf")]), st.floats()),
    "i": st.one_of(st.integers(-3, 3), st.integers(-(2**53), 2**53)),
    "t": st.one_of(st.sampled_from(TEXTS), st.text(st.characters(exclude_categories=["Cs"]), max_size=3)),
    "at": st.sampled_from(MOMENTS),
    "b": st.booleans(),
}
CONDITIONS = (
    "n <= i",
    "n + i = 2",
    "b or n > 0",
    "t = 'a' or i is not null",
    "(n is null) = (i is null)",
    "at is not null or b is null",
    "length(t) < 3",
    "i between -1 and 1",
)
PATTERNS = (r"[a-z]*", r"[A-Z]{2}[0-9]+", r"a|AB1", r"[^@\s]+")


def _maybe(values):
    return st.one_of(st.none(), values)


@st.composite
def contracts(draw):
    limits = {"n": st.sampled_from(NUMBERS), "i": st.integers(-3, 3), "at": st.sampled_from(MOMENTS)}
    allowed = {"n": NUMBERS, "i": [-1, 0, 1, 2], "t": TEXTS, "b": [True, False]}
    columns = []
    for name, kind in TYPES.items():
        rule = {
            "nullable": draw(st.booleans()),
            "severity": draw(st.sampled_from(["error", "error", "warn"])),
        }
        if name in limits:
            rule |= {"minimum": draw(_maybe(limits[name])), "maximum": draw(_maybe(limits[name]))}
        if name in allowed and draw(st.booleans()):
            rule["allowed"] = tuple(draw(st.lists(st.sampled_from(allowed[name]), min_size=1, unique=True)))
        if name == "t":
            rule["pattern"] = draw(_maybe(st.sampled_from(PATTERNS)))
        columns.append(ColumnRule(name, kind, **rule))
    rules = [
        TableRule.holds(sql, TYPES, draw(st.sampled_from(["error", "warn"])))
        for sql in draw(st.lists(st.sampled_from(CONDITIONS), max_size=3, unique=True))
    ]
    return Contract(tuple(columns), tuple(rules), draw(st.sampled_from(["ignore", "reject"])))


ROWS = st.fixed_dictionaries({name: _maybe(values) for name, values in VALUES.items()})


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(contract=contracts(), row=ROWS)
def test_a_row_and_its_table_agree(contract, row):
    table = pl.DataFrame({name: pl.Series([row[name]], dtype=POLARS[name]) for name in TYPES})
    report = check(table, contract)
    violations = row_checker(contract)(row)
    assert report.passed == (not violations)
    errors = [finding for finding in report.findings if finding.severity == "error"]
    by_field = {(finding.column, finding.rule) for finding in errors}
    assert {(violation.field, violation.rule) for violation in violations} <= by_field
    assert {v.field for v in violations if v.field} == {
        finding.column for finding in errors if finding.column
    }
    expected = {finding.expected for finding in errors if finding.rule == "holds"}
    if not any(violation.field for violation in violations):
        assert {violation.expected for violation in violations} == expected


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(contract=contracts(), rows=st.lists(ROWS, min_size=1, max_size=12))
def test_a_table_breaks_as_many_rows_as_its_rows_do(contract, rows):
    columns = tuple(
        ColumnRule(**{**vars(rule), "severity": "error"}) for rule in contract.columns
    )  # what only warns is no violation of a row
    rules = tuple(TableRule("holds", expression=rule.expression) for rule in contract.rules)
    contract = Contract(columns, rules).for_rows()
    table = pl.DataFrame({name: pl.Series([row[name] for row in rows], dtype=POLARS[name]) for name in TYPES})
    checker = row_checker(contract)
    assert check(table, contract).broken == sum(bool(checker(row)) for row in rows)


def as_json(value):
    """Gives a value as JSON can carry it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value if not isinstance(value, float) or math.isfinite(value) else None


class TestJsonRowReader:
    """Reading a row from JSON in the contract's types, beside the checker that says what is wrong."""

    SENT = st.dictionaries(
        st.sampled_from([*TYPES, "other", "kept"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-5, 5),
            st.sampled_from([2**53 + 1, 2**63, -(2**63), 10**30, 10**400, 1.0, 0.5, -0.0, 1e300]),
            st.floats(allow_nan=False, allow_infinity=False),
            st.sampled_from([*TEXTS, "2020-01-01T01:00:00Z", "2020-01-01"]),
            st.lists(st.integers(), max_size=1),
        ),
    )

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(contract=contracts(), sent=st.one_of(SENT, ROWS))
    def test_what_is_read_is_what_the_checker_gives(self, contract, sent):
        plain = {name: as_json(value) for name, value in sent.items()}
        checker = row_checker(contract)
        found = json_row_reader(contract, checker, ("kept",)).read(json.dumps(plain).encode())
        values, violations = checker.normalise(
            {name: value for name, value in plain.items() if name != "kept"}
        )
        if "kept" in plain:
            values["kept"] = plain["kept"]
        assert found is None if violations else found is None or repr(found[0]) == repr(values)
        if found is not None and found[1] is not None:
            assert repr(dict(zip(found[2], found[1], strict=True))) == repr(values)
        if found is None and not violations:  # a whole number sent as such a fraction may take the other way
            assert any(isinstance(value, float | int) and abs(value) >= 2**53 for value in plain.values())

    TAKEN = st.dictionaries(
        st.sampled_from([*TYPES, "other", "kept", "row"]),
        st.one_of(
            st.none(),
            st.booleans(),
            st.integers(-5, 5),
            st.sampled_from(
                [2**53 + 1, 2**63, 10**400, math.nan, math.inf, -math.inf, -0.0, 1e300, np.float64(1)]
            ),
            st.floats(),
            st.sampled_from([*TEXTS, *MOMENTS, "2020-01-01T01:00:00Z", "\ud800", b"a", [1], {"a": 1}]),
        ),
    )

    @settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(contract=contracts(), row=st.one_of(TAKEN, ROWS))
    def test_what_is_taken_is_what_the_checker_gives(self, contract, row):
        checker = row_checker(contract)
        found = json_row_reader(contract, checker, ("kept",)).take(row)
        values, violations = checker.normalise({name: part for name, part in row.items() if name != "kept"})
        if "kept" in row:
            values["kept"] = row["kept"]
        if found is not None:
            assert not violations
            assert repr(found[0]) == repr(values)

    def test_a_plain_row_is_taken_without_the_checker(self):
        contract = Contract((ColumnRule("n", "number"), ColumnRule("t", "text"), ColumnRule("i", "integer")))
        reader = json_row_reader(contract, row_checker(contract))
        assert reader.take({"t": "a", "n": 1, "more": 2})[0] == {"n": 1.0, "t": "a", "i": None}
        for flawed in (
            {"n": "1"},
            {"n": math.nan},
            {"n": math.inf},
            {"i": 2.5},
            {"t": 1},
            {1: 2},
            {"row": {}},
        ):
            assert reader.take(flawed) is None

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"1", b'"a"', b"null", b'{"n": 1}x', b'{"rows": []}', b'{"row": {"n": 1}, "id": "a"}',
         b"\xff", b'{"n": NaN}', b'{"n": 1e999}', b'{"rows": 1, "n": 2}', b"[" * 5000],
    )  # fmt: skip
    def test_what_is_no_plain_row_is_left_to_others(self, body):
        contract = Contract((ColumnRule("n", "number"),))
        assert json_row_reader(contract, row_checker(contract)).read(body) is None

    @pytest.mark.parametrize("name", ["row", "rows"])
    def test_a_column_called_as_what_wraps_rows_has_no_reader(self, name):
        contract = Contract((ColumnRule(name, "number"),))
        assert json_row_reader(contract, row_checker(contract)) is None

    def test_columns_may_have_any_name(self):
        contract = Contract(
            tuple(ColumnRule(name, "number") for name in ("f1", "w0", "a b", "class", "é", ""))
        )
        sent = {"w0": 1.0, "f1": 2.0, "a b": 3.0, "class": 4.0, "é": 5.0, "": 6.0}
        checker = row_checker(contract)
        read = json_row_reader(contract, checker).read(json.dumps(sent).encode())
        assert read[0] == checker.normalise(sent)[0]
        assert dict(zip(read[2], read[1], strict=True)) == read[0]

    def test_a_row_that_lacks_a_column_gives_no_values_alone(self):
        contract = Contract((ColumnRule("n", "number"),))
        reader = json_row_reader(contract, row_checker(contract), ("kept",))
        assert reader.read(b'{"n": 1}') == ({"n": 1.0}, None, ("n", "kept"))
        assert reader.read(b'{"kept": 2, "n": 1}') == ({"n": 1.0, "kept": 2}, (1.0, 2), ("n", "kept"))

    def test_values_alone_are_those_after_every_test(self):
        contract = Contract((ColumnRule("at", "time"), ColumnRule("n", "number")))
        row, values, names = json_row_reader(contract, row_checker(contract)).read(
            b'{"n": 1, "at": "2020-01-01T01:00:00+01:00"}'
        )
        assert values == (datetime(2020, 1, 1, tzinfo=UTC), 1.0)
        assert dict(zip(names, values, strict=True)) == row
