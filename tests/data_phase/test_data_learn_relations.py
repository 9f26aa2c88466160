"""Learned rules between columns: those that hold are found, those of chance are not."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop import data

REAL = Path("../shared/data")
ROWS = 2_000
NOW = datetime(2026, 5, 1, tzinfo=UTC)


def orders(seed=0):
    random = np.random.default_rng(seed)
    net, tax = random.integers(100, 900, ROWS), random.integers(5, 90, ROWS)
    amount, price = random.integers(1, 9, ROWS), np.round(random.uniform(1, 50, ROWS), 2)
    placed = [NOW - timedelta(hours=int(hours)) for hours in random.integers(0, 2000, ROWS)]
    waited = random.integers(0, 500, ROWS)
    back = random.random(ROWS) < 0.1
    shipped = [at + timedelta(hours=int(hours)) for at, hours in zip(placed, waited, strict=True)]
    return pl.DataFrame(
        {
            "net": net, "tax": tax, "gross": net + tax, "amount": amount, "price": price,
            "total": np.round(amount * price, 2), "low": net - random.integers(0, 400, ROWS),
            "placed": placed, "shipped": shipped,
            "returned": [at if gone else None for at, gone in zip(shipped, back, strict=True)],
            "reason": ["broken" if gone else None for gone in back],
            "shop": np.arange(ROWS) // 40, "till": np.arange(ROWS) % 40,
            "customer_id": random.integers(0, 300, ROWS),
            "code": [f"{'AB'[n % 2]}{'XY'[n % 2]}-{n:04d}" for n in random.integers(0, 9999, ROWS)],
            "mail": [f"u{n}@example.org" for n in random.integers(0, 999, ROWS)],
            "noise": random.normal(size=ROWS), "more": random.normal(size=ROWS),
        }
    )  # fmt: skip


CUSTOMERS = pl.DataFrame({"id": range(300), "age": [20 + n % 50 for n in range(300)]})


def rules(table, **options):
    contract = data.learn(table, **options)
    return {rule.expression.sql for rule in contract.rules if rule.expression}, contract


def test_the_rules_that_hold_are_found_and_no_others():
    found, contract = rules(orders(), now=NOW, tables={"customers": CUSTOMERS})
    product = {sql for sql in found if sql.startswith("abs(amount * price - total) <= ")}
    assert len(product) == 1
    assert found - product == {
        "net + tax = gross",
        "low <= net",
        "placed <= shipped",
        "shipped = returned",
        "(returned is null) = (reason is null)",
    }
    kinds = {rule.kind: rule for rule in contract.rules}
    assert kinds["unique"].columns == ("shop", "till")
    assert (kinds["refers"].columns, kinds["refers"].source, kinds["refers"].key) == (
        ("customer_id",), "customers", ("id",),
    )  # fmt: skip
    fresh = {rule.columns[0] for rule in contract.rules if rule.kind == "fresh"}
    assert fresh == {"placed", "shipped"}
    assert all(rule.severity == "warn" for rule in contract.rules if rule.kind != "row_count")
    patterns = {rule.name: rule.pattern for rule in contract.columns if rule.pattern}
    assert set(patterns) == {"code", "mail"}
    assert data.check(orders(), contract, now=NOW, tables={"customers": CUSTOMERS}).findings == ()


@pytest.mark.parametrize("seed", range(5))
def test_chance_makes_no_rule(seed):
    random = np.random.default_rng(seed)
    scales = 10.0 ** np.arange(-2, 6)
    columns = {f"n{i}": random.lognormal(size=ROWS) * scale for i, scale in enumerate(scales)}
    columns |= {f"i{i}": random.integers(0, 10 ** (i + 1), ROWS) for i in range(4)}
    base = random.normal(size=ROWS)
    columns |= {f"c{i}": base + random.normal(size=ROWS) * 0.3 for i in range(3)}
    gone = {f"g{i}": [None if out else 1.0 for out in random.random(ROWS) < 0.1] for i in range(3)}
    found, contract = rules(pl.DataFrame(columns | gone))
    assert found == set()
    assert [rule.kind for rule in contract.rules] == ["row_count"]


def test_what_the_sample_keeps_and_the_table_breaks_is_not_learned():
    table = pl.concat([orders(seed) for seed in range(15)])
    wrong = table.with_columns(
        gross=pl.when(pl.int_range(pl.len()) == 7).then(0).otherwise(pl.col("gross")),
        mail=pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("nobody")).otherwise(pl.col("mail")),
    )
    found, contract = rules(wrong)
    assert "net + tax = gross" not in found
    assert "low <= net" in found
    assert {rule.name for rule in contract.columns if rule.pattern} == {"code"}


def test_a_table_that_is_old_teaches_no_freshness():
    kinds = {rule.kind for rule in data.learn(orders(), now=NOW + timedelta(days=365)).rules}
    assert "fresh" not in kinds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bike_hourly.csv.gz", {"casual + registered = cnt"}),
        ("elec2.parquet", set()),
        ("wholesale_customers.csv", set()),
        ("german_credit.csv.gz", set()),
    ],
)
def test_real_tables(name, expected):
    if not (REAL / name).is_file():
        pytest.skip(f"{REAL / name} is not here")
    found, contract = rules(REAL / name)
    assert found == expected
    assert data.check(REAL / name, contract).findings == ()
