"""A small lifecycle that was really run, with windows, alerts and decisions written beside it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.ids import new_id
from everloop.core.values import to_jsonable
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.measure.intervals import Interval
from everloop.monitor.finding import ColumnDrift, DriftFinding, Measured, WindowFinding
from everloop.record.rows import AlertRow, DecisionRow, DeploymentRow, RolloutRow, VersionRow, WindowRow
from everloop.spec import load

START = datetime(2024, 6, 1, tzinfo=UTC)
FILE = """name: loan-default
owner: credit-risk@bank.example
goal:
  statement: Cut losses <b>without</b> turning good customers away.
  today: {always: "no"}
  value: {currency: EUR, true_positive: 0, false_positive: -0.04 * amount, false_negative: -0.55 * amount, true_negative: 0.04 * amount}
  require: {positive_rate: "<= 0.95"}
  volume: 10000 / month
problem: {target: defaulted, positive: "yes", time: applied_at, sensitive: [sex]}
data:
  sources: {loans: {file: loans.csv}}
  table: select * from loans
model: {learners: [linear], budget: {trials: 1}}
"""


def write_lifecycle(folder):
    random = np.random.default_rng(0)
    amount = random.gamma(4, 500, 300).round()
    region = random.choice(["north", "south", "east"], 300)
    chance = 1 / (1 + np.exp(-(-2.5 + 0.0007 * amount + 1.0 * (region == "south"))))
    pl.DataFrame(
        {
            "loan_id": np.arange(300),
            "applied_at": [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=8 * i) for i in range(300)],
            "amount": amount,
            "sex": random.choice(["f", "m"], 300),
            "region": region,
            "defaulted": np.where(random.random(300) < chance, "yes", "no"),
        }
    ).write_csv(folder / "loans.csv")
    (folder / "everloop.yaml").write_text(FILE)
    return load(folder / "everloop.yaml")


def finding(number, version, *, drifted):
    since = START + timedelta(days=number)
    statistic = 40.0 if drifted else 4.0
    return WindowFinding(
        since=since,
        until=since + timedelta(days=1),
        version=version,
        predictions=100,
        actuals=90,
        maturity=0.9,
        drift=DriftFinding(
            "drift" if drifted else "none",
            statistic,
            10.0,
            (
                ColumnDrift("amount", "wasserstein", 0.3, statistic),
                ColumnDrift("region", "psi", 0.01, float("nan")),
            ),
            "At least one column moved." if drifted else "No column moved.",
        ),
        score_mean=0.3,
        score_shift=0.02,
        performance={"roc_auc": Measured("known", Interval(0.6, 0.7, 0.8), 90, "")},
        estimated={"roc_auc": Measured("estimated", Interval(0.6, 0.7, 0.8), 0, "")},
        value=Measured("known", Interval(-90.0, -50.0 - number, -10.0), 90, ""),
        against_today=Measured("known", Interval(100.0, 200.0, 300.0), 90, ""),
        estimated_value=Measured("too early", Interval(*[float("nan")] * 3), 0, ""),
    )


def add_history(workspace):
    """A challenger that was promoted, five windows, the third of which drifted."""
    record, name = workspace.record, workspace.name
    first = record.find(VersionRow, lifecycle=name)[0]
    later = START + timedelta(days=3)
    second = replace(first, id=new_id("version", later), at=later, number=2, status="champion")
    record.put(replace(first, status="retired"))
    record.add(second)
    for number in range(5):
        version = first if number < 4 else second
        found = finding(number, version.id, drifted=number == 2)
        at = found.until
        window = WindowRow(
            new_id("window", at),
            name,
            at,
            found.since,
            found.until,
            version.id,
            "settled",
            100,
            90,
            found.to_dict(),
        )
        record.add(window)
        record.link(version.id, window.id, "version")
        answer = "retrain" if number == 2 else "nothing"
        decision = DecisionRow(
            new_id("decision", at), name, at, "retrain", answer, f"drift in window {number}",
            to_jsonable({"window": window.id, "expected_gain": Interval(1.0, 2.0, 3.0)}),
        )  # fmt: skip
        record.add(decision)
        record.link(window.id, decision.id, "window")
        if number == 2:
            record.add(AlertRow(new_id("alert", at), name, at, window.id, "drift", "warning", "amount moved"))
    end = START + timedelta(days=4)
    rollout = RolloutRow(
        new_id("rollout", later), name, later, first.id, second.id, "canary", "promoted", 1, 1.0, {}, end
    )
    record.add(rollout)
    guards = [{"name": "error_rate", "answer": "fine"}]
    kept = end + timedelta(days=1)
    for at, answer, share in (
        (later, "start", {"share": 0.05}),
        (end, "promote", {"share": 1.0}),
        (kept, "keep", {}),
    ):
        facts = {"rollout": rollout.id, "guards": guards} | share
        record.add(DecisionRow(new_id("decision", at), name, at, "rollout", answer, "it may", facts))
    record.add(DeploymentRow(new_id("deployment", end), name, end, 2, second.id, None))


@pytest.fixture(scope="session")
def early(tmp_path_factory):
    """A lifecycle after its first run; nothing was served yet."""
    spec = write_lifecycle(tmp_path_factory.mktemp("early"))
    with Workspace.open(spec, clock=SimulatedClock(START)) as workspace:
        run_once(workspace)
        yield workspace


@pytest.fixture(scope="session")
def lived(tmp_path_factory):
    """A lifecycle with windows, a retrain and a promotion behind it."""
    spec = write_lifecycle(tmp_path_factory.mktemp("lived"))
    with Workspace.open(spec, clock=SimulatedClock(START)) as workspace:
        run_once(workspace)
        add_history(workspace)
        yield workspace


@pytest.fixture
def unborn(tmp_path):
    """A lifecycle that was never run."""
    with Workspace.open(write_lifecycle(tmp_path), clock=SimulatedClock(START)) as workspace:
        yield workspace
