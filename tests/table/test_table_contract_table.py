"""Rules of the table: freshness, references and keys; and what a report tells of what fails."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from everloop.core.errors import SpecFault
from everloop.table.contract import ColumnRule, Contract, TableRule, check, contract_text, parse_contract

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ORDERS = Contract(
    (
        ColumnRule("customer", "integer"),
        ColumnRule("shop", "text"),
        ColumnRule("at", "time"),
        ColumnRule("paid", "number", minimum=0.0),
    ),
    (
        TableRule("fresh", columns=("at",), within=timedelta(days=2)),
        TableRule("refers", columns=("customer",), source="customers", key=("id",), severity="warn"),
        TableRule("refers", columns=("shop", "customer"), source="visits", key=("shop", "customer")),
        TableRule("unique", columns=("customer", "at")),
    ),
)
CUSTOMERS = pl.DataFrame({"id": [1, 2, 3]})
VISITS = pl.DataFrame({"shop": ["a", "b", "b"], "customer": [1.0, 2.0, 3.0]})


def orders(**changes):
    plain = {
        "customer": [1, 2, 3, None],
        "shop": ["a", "b", "b", "c"],
        "at": [NOW - timedelta(days=days) for days in (1, 2, 3, 4)],
        "paid": [1.0, 2.0, float("nan"), None],
    }
    return pl.DataFrame(plain | changes)


def held(table, **options):
    return check(
        table, ORDERS, **{"now": NOW, "tables": {"customers": CUSTOMERS, "visits": VISITS}, **options}
    )


def test_a_table_that_is_fresh_and_refers_to_what_is_there_passes():
    report = held(orders())
    assert (report.passed, report.findings, report.unchecked, report.broken) == (True, (), (), 0)


def test_an_old_table_is_told_with_its_newest_time():
    (finding,) = held(orders(), now=NOW + timedelta(days=3)).findings
    assert (finding.column, finding.rule, finding.failing) == ("at", "fresh", 0)
    assert finding.sentence() == (
        "column 'at' has to be at most 2d old at its newest; "
        "the newest is 2026-04-30T00:00:00+00:00, 4.0 days old"
    )


def test_times_to_come_do_not_make_a_table_fresh():
    later = orders(at=[NOW + timedelta(days=300), *[NOW - timedelta(days=9)] * 3])
    assert "fresh" in {finding.rule for finding in held(later).findings}
    (finding,) = check(
        orders(at=[None] * 4).cast({"at": pl.Datetime("us", "UTC")}), only("fresh"), now=NOW
    ).findings
    assert "no time up to now" in finding.sentence()


def only(kind):
    return Contract(ORDERS.columns, tuple(rule for rule in ORDERS.rules if rule.kind == kind))


def test_values_that_the_other_source_does_not_know_are_counted_and_shown():
    table = orders(customer=[1, 7, 7, None], shop=["a", "b", "b", "a"])
    found = {finding.column: finding for finding in held(table).findings}
    one, pair = found["customer"], found[""]
    assert (one.rule, one.severity, one.failing, one.values) == ("refers", "warn", 2, ((7, 2),))
    assert [(example.row, example.value) for example in one.examples] == [(2, 7), (3, 7)]
    assert one.sentence().startswith("column 'customer' has to be one of customers by its id; 2 rows (50.0%)")
    assert (pair.failing, pair.examples[0].value) == (2, {"shop": "b", "customer": 7})
    assert not held(table).passed


def test_what_cannot_be_judged_is_named():
    report = check(orders(), ORDERS)
    assert report.passed
    assert report.unchecked == (
        "how fresh at is: no time to judge it at was given",
        "customer in customers: customers was not given",
        "shop, customer in visits: visits was not given",
    )
    assert report.to_dict()["unchecked"] == list(report.unchecked)


@pytest.mark.parametrize(
    ("other", "says"),
    [(pl.DataFrame({"nr": [1]}), "no column 'id'"), (pl.DataFrame({"id": ["1"]}), "cannot refer to")],
)
def test_a_reference_that_cannot_be_followed_is_refused(other, says):
    with pytest.raises(SpecFault, match=says):
        held(orders(), tables={"customers": other, "visits": VISITS})


def test_keys_of_several_columns_count_every_row_that_repeats():
    table = orders(customer=[1, 1, 1, None], at=[NOW, NOW, NOW - timedelta(days=1), NOW])
    (finding,) = check(table, only("unique"), now=NOW).findings
    assert (finding.failing, [example.row for example in finding.examples]) == (2, [1, 2])


def test_a_report_counts_values_and_the_rows_that_break_anything():
    contract = Contract(
        (ColumnRule("town", "text", allowed=("A",)), ColumnRule("n", "integer", maximum=3)),
    )
    table = pl.DataFrame({"town": ["A", "B", "C", "C", "A"], "n": [1, 2, 9, 3, 8]})
    report = check(table, contract)
    town, number = report.findings
    assert report.broken == 4
    assert (town.failing, town.values) == (3, (("C", 2), ("B", 1)))
    assert (number.failing, number.values) == (2, ((9, 1), (8, 1)))
    assert town.sentence().endswith("'B' in row 2, 'C' in row 3, 'C' in row 4; most often 'C' (2 times)")


def test_a_table_on_disk_gives_the_same_report(tmp_path):
    table = orders(customer=[1, 7, 7, None], paid=[-1.0, 2.0, -1.0, 5.0])
    table.write_parquet(tmp_path / "orders.parquet")
    CUSTOMERS.write_parquet(tmp_path / "customers.parquet")
    others = {"customers": tmp_path / "customers.parquet", "visits": VISITS.lazy()}
    assert held(tmp_path / "orders.parquet", tables=others) == held(table)


def test_the_rules_round_trip_and_rows_keep_only_theirs():
    assert parse_contract(contract_text(ORDERS)) == ORDERS
    assert Contract.from_dict(ORDERS.to_dict()) == ORDERS
    assert ORDERS.references == {"customers": (("id",),), "visits": (("shop", "customer"),)}
    assert ORDERS.for_rows().rules == ()


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("{fresh: {column: a, within: 2d}}", "column of times"),
        ("{fresh: {column: t, within: soon}}", "not a duration"),
        ("{fresh: {within: 2d}}", "fresh rule reads"),
        ("{refers: {columns: [a]}}", "is one of"),
        ("{refers: {columns: [a], source: s, key: [x, y]}}", "is one of"),
        ("{refers: {columns: 3, source: s}}", "list of columns"),
        ("{refers: {column: a, source: s}}", "no key 'column'"),
    ],
)
def test_wrong_rules_are_told(rule, says):
    from everloop.core.errors import EverloopError

    text = f"columns:\n  a: {{type: number}}\n  t: {{type: time}}\nrules:\n- {rule}\n"
    with pytest.raises(EverloopError, match=says):
        parse_contract(text)
