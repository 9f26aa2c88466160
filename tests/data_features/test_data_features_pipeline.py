"""Declared features through the whole product: from the file to a package that serves them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, SpecFault
from everloop.data import snapshot
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.loop.run import run_once
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.runtime.package import Package
from everloop.runtime.service.arms import ArmTable
from everloop.spec import load
from everloop.table.contract import row_checker
from everloop.table.dataset import Dataset
from everloop.table.feature_aggregates import AGGREGATES
from everloop.table.feature_answer import Event, answer

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
LATER = START + 70 * DAY
MICROSECOND = timedelta(microseconds=1)


def taken(folder, as_of=LATER):
    return snapshot(load(folder / "everloop.yaml"), folder / "out", as_of, clock=SimulatedClock(LATER))


def edit(folder, old, new):
    text = (folder / "everloop.yaml").read_text()
    assert old in text
    (folder / "everloop.yaml").write_text(text.replace(old, new))


def events(table, time, known, key, value):
    return [
        Event(*row)
        for row in table.select(
            "customer",
            pl.col(time).dt.timestamp("us"),
            pl.col(known).dt.timestamp("us").alias("known"),
            pl.col(key).cast(pl.Int64) if key else pl.lit(None).alias("key"),
            pl.col(value).cast(pl.Float64).alias("value"),
        ).rows()
    ]


def test_a_snapshot_has_what_was_known_at_each_decision(folder):
    found = taken(folder)
    rows = found.table()
    assert rows.height == 900
    assert found.feature_names == ("paid_20d", "payments_20d", "score", "risk")
    assert found.schema.names[-4:] == found.feature_names
    paid = pl.read_csv(folder / "payments.csv", try_parse_dates=True)
    scored = pl.read_csv(folder / "bureau.csv", try_parse_dates=True)
    payments = events(paid, "paid_at", "booked_at", "payment", "amount")
    scores = events(scored, "at", "at", None, "score")
    for row in rows.sample(60, seed=0).iter_rows(named=True):
        at, who = row["asked_at"].timestamp(), row["customer"]
        at = round(at * 1e6)
        span = 20 * DAY // MICROSECOND
        assert row["paid_20d"] == answer(payments, who, at, AGGREGATES["sum"], span)
        assert row["payments_20d"] == answer(payments, who, at, AGGREGATES["count_rows"], span)
        assert row["score"] == answer(scores, who, at, AGGREGATES["latest"], 30 * DAY // MICROSECOND)
        base = {"north": 0.1, "south": 0.7}.get(row["region"], 0.5)
        assert row["risk"] == base - 0.001 * (row["paid_20d"] or 0.0)
    assert rows["payments_20d"].null_count() == 0
    assert 0 < rows["score"].null_count() < rows.height


def test_an_earlier_snapshot_saw_the_same(folder):
    early, late = taken(folder, START + 30 * DAY).table(), taken(folder).table()
    assert early.drop("bad").equals(late.head(early.height).drop("bad"))


@pytest.mark.slow
def test_a_run_trains_and_serves_on_the_same_values(folder):
    clock = SimulatedClock(LATER)
    with Workspace.open(load(folder / "everloop.yaml"), clock=clock) as workspace:
        result = run_once(workspace, until="model")
        package = Package(result.steps["package"].path / PACKAGE_FOLDER)
        dataset = Dataset.load(result.steps["dataset"].path)
        again = run_once(workspace, until="model")
        assert all(step.cached for step in again.steps.values())
        # Another function is another snapshot.
        (folder / "features.py").write_text((folder / "features.py").read_text().replace("0.7", "0.8"))
        assert not run_once(workspace, until="data").steps["snapshot"].cached
    origins = {column.name: column.origin for column in package.manifest.inputs}
    assert {name for name, origin in origins.items() if origin == "joined"} == {
        "paid_20d",
        "payments_20d",
        "score",
    }
    assert {name for name, origin in origins.items() if origin == "python"} == {"risk"}
    stored = json.loads((package.folder / "features.json").read_bytes())
    assert [feature["name"] for feature in stored["features"]] == ["paid_20d", "payments_20d", "score"]
    assert stored["sources"]["payments"] == {"time": "paid_at", "known": "booked_at", "key": ["payment"]}
    # The contract is of what comes in: features are no part of the file that people edit.
    assert "paid_20d" not in (folder / "contract.yaml").read_text()
    test = dataset.table("test")
    rows = [{name: row[name] for name in origins} for row in test.iter_rows(named=True)]
    served = np.array([package.answer(row).score for row in rows])
    assert np.allclose(served, package.scores(test)[:, 0], rtol=0, atol=1e-12)
    # What a function of the lifecycle computes has to be said: left out, it would be missing in silence.
    arms = ArmTable(None, str(package.folder))
    arms.load()
    assert arms.current is not None
    unsaid = {**rows[0], "customer": 7, "asked_at": "2024-03-01T00:00:00Z"}
    del unsaid["risk"]
    _, violations = arms.current.champion.normalise(unsaid)
    assert [(found.field, found.rule) for found in violations] == [("risk", "stated")]
    del unsaid["score"]
    _, violations = arms.current.champion.normalise(unsaid, joins=True)
    assert [found.field for found in violations] == ["risk"]
    _, violations = arms.current.champion.normalise(unsaid)
    assert [found.field for found in violations] == ["risk", "score"]
    # A feature that is null breaks no contract.
    asked = {**rows[0], "customer": 7, "asked_at": "2024-03-01T00:00:00Z"}
    for name, origin in origins.items():
        asked |= {name: None} if origin != "row" else {}
    values, violations = row_checker(package.contract).normalise(asked)
    assert violations == []
    assert values["score"] is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "by: customer, over: 20d, value: sum(amount)",
            "by: client, over: 20d, value: sum(amount)",
            "by client",
        ),
        ("sum(amount)", "sum(amont)", "no column 'amont'"),
        ("time: paid_at, known: booked_at", "known: booked_on", "which the source does not have"),
        ("bureau: {file: bureau.csv}", "bureau: {file: loans.csv}", "score"),
        ("latest: score", "latest: bad", "bad"),
        ("    paid_20d:", "    amount:", "has the name of a column"),
    ],
)
def test_what_a_source_does_not_have_is_refused_by_name(folder, old, new, message):
    edit(folder, old, new)
    with pytest.raises(SpecFault, match=message):
        taken(folder)


def test_a_feature_that_would_see_its_own_answer_is_refused(folder):
    edit(folder, "latest: score", "latest: bad")
    edit(folder, "from: bureau", "from: loans")
    edit(folder, "  contract:", "  table: select * from loans\n  contract:")
    with pytest.raises(SpecFault, match="reads bad, the target"):
        taken(folder)


def test_a_source_with_two_times_must_say_which(folder):
    edit(folder, "time: paid_at, known: booked_at, ", "")
    with pytest.raises(SpecFault, match="Which column of the source payments says when"):
        taken(folder)


@pytest.mark.parametrize(
    ("function", "message", "fault"),
    [
        ("def risk(region):\n    return 1.0\n", "say what it gives", SpecFault),
        ("def risk(regin: str) -> float:\n    return 1.0\n", "reads regin", SpecFault),
        ("def other(region: str) -> float:\n    return 1.0\n", "no such function", SpecFault),
        ("import nothing_there\n", "cannot be loaded", SpecFault),
        (
            "def risk(region: str) -> float:\n    return 1 / 0\n",
            "fails on row 0: ZeroDivisionError",
            DataFault,
        ),
        (
            "def risk(region: str) -> float:\n    return 'x'\n",
            "gives a str on row 0; it says float",
            DataFault,
        ),
        (
            "import itertools\nC = itertools.count()\ndef risk(region: str) -> int:\n    return next(C)\n",
            "another answer each time",
            SpecFault,
        ),
    ],
)
def test_a_function_that_cannot_be_a_feature_is_refused(folder, function, message, fault):
    (folder / "features.py").write_text(function)
    with pytest.raises(fault, match=message):
        taken(folder)


def test_mistakes_are_told_before_anything_is_read(folder):
    assert refusals(load(folder / "everloop.yaml")) == []
    edit(folder, "sum(amount)", "sum(amount) / 2")
    (folder / "features.py").unlink()
    told = " ".join(fault.message for fault in refusals(load(folder / "everloop.yaml")))
    assert "no aggregate of one value" in told
    assert "features.py, which is not there" in told
