"""Declared features through the online store: filled from the sources, pushed to, shown."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import polars as pl

from everloop.cli import main
from everloop.table.feature_aggregates import AGGREGATES
from everloop.table.feature_answer import Event, answer

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = START + 66 * DAY
MICROSECOND = timedelta(microseconds=1)
AT = (LATER - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND


def told(capsys, *words):
    status = main([*words, "--json"])
    shown = capsys.readouterr()
    assert status == 0, shown
    return json.loads(shown.out)


def expected(folder, customer):
    """The definition, of the files as they are."""

    def events(table, time, known, key, value):
        moments = [pl.col(name).dt.timestamp("us").alias(f"{name}_us") for name in {time, known}]
        wide = table.with_columns(moments)
        return [
            Event(r["customer"], r[f"{time}_us"], r[f"{known}_us"], r[key] if key else None, float(r[value]))
            for r in wide.iter_rows(named=True)
        ]

    paid = pl.read_csv(folder / "payments.csv", try_parse_dates=True)
    scored = pl.read_csv(folder / "bureau.csv", try_parse_dates=True)
    payments = events(paid, "paid_at", "booked_at", "payment", "amount")
    scores = events(scored, "at", "at", None, "score")
    span, month = 20 * DAY // MICROSECOND, 30 * DAY // MICROSECOND
    return {
        "paid_20d": answer(payments, customer, AT, AGGREGATES["sum"], span),
        "payments_20d": answer(payments, customer, AT, AGGREGATES["count_rows"], span),
        "score": answer(scores, customer, AT, AGGREGATES["latest"], month),
    }


def test_the_store_is_filled_from_the_sources_and_shown(folder, capsys):
    file = ["--file", str(folder / "everloop.yaml")]
    for _ in range(2):  # a second time changes nothing
        filled = told(capsys, "features", "materialize", *file)
        assert filled["events"] == {"payments": 1650, "bureau": 150}
        assert filled["features"] == ["paid_20d", "payments_20d", "score"]
        for customer in (0, 7, 59, 12345):
            shown = told(capsys, "features", "get", str(customer), "--at", LATER.isoformat(), *file)
            found = {one["feature"]: one["value"] for one in shown["features"]}
            assert found == expected(folder, customer)
    assert main(["features", "get", "7", "--by", "nobody", *file]) == 2
    assert "No feature is by 'nobody'; features are by customer" in capsys.readouterr().err


def test_events_are_pushed_from_a_table(folder, capsys):
    file = ["--file", str(folder / "everloop.yaml")]
    told(capsys, "features", "materialize", *file)
    before = expected(folder, 7)
    new = pl.DataFrame({"payment": [90_000], "customer": [7], "amount": [12.5]}).with_columns(
        paid_at=pl.lit(LATER - DAY), booked_at=pl.lit(LATER - DAY)
    )
    new.write_csv(folder / "new.csv")
    for _ in range(2):  # it has a key, so it counts once
        assert told(capsys, "features", "push", "payments", str(folder / "new.csv"), *file)["accepted"] == 1
    shown = told(capsys, "features", "get", "7", "--at", LATER.isoformat(), *file)
    found = {one["feature"]: one for one in shown["features"]}
    assert found["payments_20d"]["value"] == before["payments_20d"] + 1
    assert found["paid_20d"]["age_seconds"] == 86_400
    new.with_columns(amount=pl.lit("much")).write_csv(folder / "flawed.csv")
    assert main(["features", "push", "payments", str(folder / "flawed.csv"), *file]) == 1
    assert "row 0: amount is a str; expected a number" in capsys.readouterr().out


def test_a_store_that_was_never_filled_says_how_to(folder, capsys):
    assert main(["features", "get", "7", "--file", str(folder / "everloop.yaml")]) == 2
    assert "everloop features materialize" in capsys.readouterr().err
