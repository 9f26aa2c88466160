"""Policies on history: the same loop, each with a record of its own, compared on the same rows."""

import json
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault, UsageFault
from everloop.core.progress import Event
from everloop.loop.backtest import Rehearsal, backtest
from everloop.loop.compared import BacktestResult, Lived, compare
from everloop.loop.history import history
from everloop.loop.loop import Loop
from everloop.loop.policies import Policy, policies_of
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record import Record, open_record
from everloop.record.rows import AlertRow, DecisionRow, RunRow, WindowRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog, read_log
from everloop.runtime.package import Package
from everloop.runtime.routing import chance_of, choose_arm, read_routing
from everloop.spec import load
from everloop.spec.fields import Trigger
from everloop.spec.model import Budget

SINCE = datetime(2024, 6, 1, tzinfo=UTC)
RULE = "days >= 80 and new_labels >= 200"
POLICY = """
def when(days: float, drift: float | None) -> str:
    return f"{days:.0f} days" if days >= 90 else ""
"""


@pytest.mark.slow
def test_retraining_pays_where_the_world_has_changed(lifecycle: Path) -> None:
    (lifecycle / "policy.py").write_text(POLICY)
    with Workspace.open(load(lifecycle)) as workspace:
        how = Rehearsal(SINCE, every=timedelta(days=2), jobs=2)
        result = backtest(workspace, ["monthly", RULE, "policy.py:when"], how)
        assert workspace.record.find(RunRow) == []
    never, monthly, rule, python = result.policies
    assert [one.name for one in result.policies] == ["never", "monthly", RULE, "policy.py:when"]
    assert result.best.name != "never"
    assert (never.retrains, never.cost) == (0, 0.0)
    assert monthly.retrains >= 2
    assert monthly.against_never is not None
    assert monthly.against_never.low > 0
    assert monthly.cost > 0
    assert 1 <= rule.retrains <= monthly.retrains
    assert 1 <= python.retrains <= monthly.retrains
    assert not (lifecycle / "contract.yaml").exists()
    # What windows say adds up to the whole.
    for policy in result.policies:
        assert sum(window.value for window in policy.windows) == pytest.approx(policy.value)
        assert sum(window.cost for window in policy.windows) == pytest.approx(policy.cost)
        assert sum(window.alarms for window in policy.windows) == policy.alarms
        assert sum(window.retrains for window in policy.windows) == policy.retrains
    assert sum(policy.best_in for policy in result.policies) == pytest.approx(1.0)
    assert never.best_in < 0.05
    # Counted anew from the log and the user's own file.
    log = read_log(lifecycle / ".everloop" / "backtest" / "monthly" / "log").predictions
    raw = pl.read_csv(lifecycle / "rows.csv", try_parse_dates=True)
    both = log.join(
        raw.with_columns(pl.col("asked_at").dt.cast_time_unit("us")), left_on="time", right_on="asked_at"
    )
    values = np.where(both["prediction"] == both["bought"], 4.0, -4.0)
    assert both.height == result.decisions == (raw["asked_at"] >= SINCE).sum()
    assert monthly.value == pytest.approx(values.sum())
    assert list(monthly.months) == ["2024-06", "2024-07", "2024-08", "2024-09", "2024-10", "2024-11"]


@pytest.mark.slow
def test_a_rehearsals_log_shows_no_private_column(lifecycle: Path) -> None:
    text = (lifecycle / "everloop.yaml").read_text()
    table = pl.read_csv(lifecycle / "rows.csv").with_columns(who=pl.int_range(pl.len()) % 7)
    table = table.with_columns(who="customer " + pl.col("who").cast(pl.String))
    table.write_csv(lifecycle / "rows.csv")
    private = "deploy:\n  log: {private: {who: hash, season: drop}}\n"
    (lifecycle / "everloop.yaml").write_text(text.replace("deploy:\n", private))
    until = SINCE + timedelta(days=20)
    with Workspace.open(load(lifecycle)) as workspace:
        result = backtest(workspace, [], Rehearsal(SINCE, until, every=timedelta(days=10)))
    folder = lifecycle / ".everloop" / "backtest" / "never" / "log"
    log = read_log(folder).predictions
    assert 0 < log.height == result.decisions
    shown = [json.loads(row) if isinstance(row, str) else row for row in log["row"].to_list()]
    assert all("season" not in row and "price" in row for row in shown)
    assert 1 < len({row["who"] for row in shown}) <= 7
    for file in folder.rglob("*"):
        assert file.is_dir() or b"customer" not in file.read_bytes()


@pytest.mark.slow
def test_the_command_prints_a_table_and_writes_a_report(
    lifecycle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(lifecycle)
    options = ["--since", "2024-10-15", "--every", "5d", "--budget", "1 trials", "--jobs", "1"]
    assert main(["backtest", "--policy", "schedule: first of the month at 6", *options]) == 0
    told = capsys.readouterr().out
    assert "schedule: first of the month at 6" in told
    assert "earned most after its costs" in told
    page = (lifecycle / "backtest.html").read_text()
    assert "resampled histories" in page
    (lifecycle / "backtest.html").unlink()
    assert main(["report", "backtest", "--output", "again.html"]) == 0
    assert (lifecycle / "again.html").read_text() == page


def test_policies_are_read_as_they_are_written(lifecycle: Path) -> None:
    spec = load(lifecycle)
    (lifecycle / "policy.py").write_text(POLICY)
    words = ["pays", "file", "drift > 2", "drift; labels: 500", "policy.py:when", "schedule: 0 6 * * 1"]
    never, pays, file, rule, both, python, cron = policies_of(words, spec)
    assert never == Policy("never")
    assert pays.if_it_pays
    assert file.on == spec.monitor.retrain.on
    assert rule.on == (Trigger("rule", "drift > 2"),)
    assert both.on == (Trigger("drift"), Trigger("labels", "500"))
    assert python.on == (Trigger("python", "policy.py:when"),)
    assert cron.on == (Trigger("schedule", "0 6 * * 1"),)
    assert rule.applied(spec).monitor.retrain.on == rule.on


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("wekly", "no policy 'wekly'"),
        ("drfit > 2", "drfit"),
        ("drift + days", "a condition was expected"),
        ("schedule: often", "is no schedule"),
        ("nowhere.py:when", "nowhere.py is not there"),
        ("policy.py:what", "has no function what"),
        ("policy.py:odd", "reads moon, which is no fact"),
        ("broken.py:when", "cannot be loaded"),
    ],
)
def test_what_is_no_policy_says_why(lifecycle: Path, word: str, told: str) -> None:
    (lifecycle / "policy.py").write_text(POLICY + "\ndef odd(moon): return moon\n")
    (lifecycle / "broken.py").write_text("def when(: pass")
    with pytest.raises((UsageFault, SpecFault), match=told):
        policies_of([word], load(lifecycle))


def histories(*worth: np.ndarray, cost: float = 0.0) -> BacktestResult:
    """Policies whose decisions are worth so much, one an hour."""
    times = pl.Series([SINCE + timedelta(hours=hour) for hour in range(worth[0].size)])
    lived = [
        Lived(f"p{place}", one, ((SINCE, cost * place),) if place else (), (), (SINCE,) * place)
        for place, one in enumerate(worth)
    ]
    span = (SINCE, SINCE + timedelta(hours=worth[0].size))
    return compare(lived, times, span, timedelta(days=1), "EUR")


def test_how_sure_the_best_is_follows_the_windows() -> None:
    random = np.random.default_rng(0)
    base = random.normal(0, 1, 24 * 60)
    day = np.repeat(random.normal(0, 1, 60), 24)
    better, lucky = histories(base, base + 1.0), histories(base, base + day - day.mean() + 0.01)
    assert better.best.name == "p1"
    assert better.best.best_in == 1.0
    assert better.margin is not None
    assert better.margin.estimate == pytest.approx(24 * 60)
    assert "That is no proof" not in better.verdict
    # Rows of a day go together: a difference between days is not taken for certain.
    assert lucky.margin is not None
    assert lucky.margin.low < 0 < lucky.margin.high
    assert 0.3 < lucky.best.best_in < 0.7
    assert "That is no proof" in lucky.verdict


def test_costs_decide_between_policies_of_equal_value() -> None:
    base = np.ones(240)
    result = histories(base, base, cost=5.0)
    assert result.best.name == "p0"
    assert result.policies[1].net == 235.0
    assert [window.cost for window in result.policies[1].windows] == [5.0, *[0.0] * 9]


def test_what_cannot_be_compared_is_said(lifecycle: Path) -> None:
    with Workspace.open(load(lifecycle)) as workspace:
        with pytest.raises(UsageFault, match="no policy 'wekly'") as found:
            backtest(workspace, ["wekly"])
        assert found.value.hint == "did you mean weekly?"
        with pytest.raises(UsageFault, match="ends"):
            backtest(workspace, ["weekly"], Rehearsal(SINCE, SINCE))
    text = (lifecycle / "everloop.yaml").read_text()
    kept = [line for line in text.splitlines() if "value:" not in line]
    (lifecycle / "everloop.yaml").write_text("\n".join(kept))
    with Workspace.open(load(lifecycle)) as workspace, pytest.raises(SpecFault, match="no price"):
        backtest(workspace)


def told_of(record: Record, name: str) -> list[tuple[object, ...]]:
    """All that a loop decided and raised, without what names this record's own rows."""
    decisions = [
        (row.at, row.kind, row.answer, row.reason.partition(" (")[0])
        for row in record.find(DecisionRow, lifecycle=name)
    ]
    alerts = [(row.at, row.kind, row.severity) for row in record.find(AlertRow, lifecycle=name)]
    windows = [
        (row.since, row.until, row.status, row.predictions, row.actuals, row.facts["drift"]["statistic"])
        for row in record.find(WindowRow, lifecycle=name)
    ]
    return [*sorted(decisions), *sorted(alerts), *sorted(windows)]


def lived_by_hand(
    folder: Path, until: datetime, every: timedelta
) -> tuple[list[tuple[object, ...]], dict[str, str]]:
    """Asks each row of a package, feeds back what came meanwhile, and has the loop look: no rehearsal."""
    raw = pl.read_csv(folder / "rows.csv", try_parse_dates=True)
    raw = raw.with_columns(pl.col("asked_at").dt.cast_time_unit("us").dt.replace_time_zone("UTC"))
    clock, answered = SimulatedClock(SINCE), {}
    with Workspace.open(load(folder), clock=clock) as own, Workspace.open(load(folder)) as past:
        run_once(own, as_of=SINCE)
        loop, facts = Loop(own), history(past, SINCE, until).facts
        start = SINCE
        while start < until:
            end = min(start + every, until)
            routing = read_routing(own.routing_path)
            arms = {"champion": routing.champion, "challenger": routing.challenger}
            packages = {name: Package(arm.package) for name, arm in arms.items() if arm is not None}
            with PredictionLog(own.log_folder) as log:
                for row in facts.filter(pl.col("time").is_between(start, end, closed="left")).iter_rows(
                    named=True
                ):
                    name = choose_arm(routing, row["id"])
                    values = raw.row(by_predicate=pl.col("asked_at") == row["time"], named=True)
                    values.pop("bought")
                    values["asked_at"] = row["time"]
                    found = packages[name].answer(values)
                    answered[row["id"]] = found.prediction
                    moment, arm = round(row["time"].timestamp() * 1e6), arms[name]
                    chance = chance_of(routing, name)
                    told = json.loads(json.dumps(values, default=lambda time: f"{time:%Y-%m-%dT%H:%M:%SZ}"))
                    log.append(
                        PredictionLine(
                            row["id"],
                            moment,
                            arm.version,
                            name,
                            told,
                            found.score,
                            found.prediction,
                            0,
                            chance,
                        )
                    )
                for row in facts.filter(pl.col("known_at").is_between(start, end, closed="left")).iter_rows(
                    named=True
                ):
                    log.append(ActualLine(row["id"], row["actual"], round(row["known_at"].timestamp() * 1e6)))
            clock.advance_to(end)
            loop.tick(act=end < until)
            start = end
        return told_of(own.record, own.name), answered


@pytest.mark.slow
def test_a_rehearsal_decides_as_the_loop_that_is_lived_by_hand(lifecycle: Path, tmp_path: Path) -> None:
    until, every = SINCE + timedelta(days=120), timedelta(days=3)
    text = (lifecycle / "everloop.yaml").read_text()
    (lifecycle / "everloop.yaml").write_text(
        text.replace("on: [drift]", "on: [drift, 'schedule: monthly'], if_it_pays: false")
    )
    by_hand = tmp_path / "by-hand"
    by_hand.mkdir()
    for name in ("rows.csv", "everloop.yaml"):
        shutil.copy(lifecycle / name, by_hand / name)
    with Workspace.open(load(lifecycle)) as workspace:
        result = backtest(workspace, ["file"], Rehearsal(SINCE, until, every=every))
    wanted, answered = lived_by_hand(by_hand, until, every)
    with open_record(f"sqlite:///{lifecycle}/.everloop/backtest/file/record.db") as record:
        found = told_of(record, "shop")
    assert found == wanted
    log = read_log(lifecycle / ".everloop" / "backtest" / "file" / "log").predictions
    assert dict(log.select("id", "prediction").iter_rows()) == answered
    told = result.policies[1]
    assert told.alarms >= 1
    assert told.retrains >= 1
    assert told.promoted >= 1


@pytest.mark.slow
def test_nothing_is_trained_when_history_ends(lifecycle: Path) -> None:
    until = SINCE + timedelta(days=30)  # one window of 150 predictions
    with Workspace.open(load(lifecycle)) as workspace:
        result = backtest(workspace, ["days >= 5"], Rehearsal(SINCE, until, every=timedelta(days=30)))
    assert [(one.retrains, one.cost) for one in result.policies] == [(0, 0.0), (0, 0.0)]
    (folder,) = (lifecycle / ".everloop" / "backtest").glob("rule-*")
    with open_record(f"sqlite:///{folder}/record.db") as record:
        (decided,) = record.find(DecisionRow, kind="retrain")
    assert decided.answer == "retrain"


STOPPED = [
    "--policy",
    "monthly",
    "--since",
    "2024-08-01",
    "--until",
    "2024-10-01",
    "--every",
    "5d",
    "--budget",
    "1 trials",
]


def lives_of(folder: Path) -> list[Path]:
    return sorted((folder / ".everloop" / "backtest").glob("*/lived.json"))


def process_ids(parent: int) -> set[int]:
    """The processes that a process has begun, and theirs."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            number, _, rest = stat.read_text().partition(" ")
            if int(rest.rpartition(")")[2].split()[1]) == parent:
                found |= {int(number), *process_ids(int(number))}
    return found


@pytest.mark.slow
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGKILL])
def test_a_backtest_that_is_stopped_leaves_no_process_and_goes_on(
    lifecycle: Path, sent: signal.Signals
) -> None:
    command = [sys.executable, "-m", "everloop.cli", "backtest", *STOPPED, "--jobs", "2"]
    with subprocess.Popen(
        command, cwd=lifecycle, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        while not lives_of(lifecycle):
            assert run.poll() is None, run.stdout.read()
            time.sleep(0.02)
        others = process_ids(run.pid)
        run.send_signal(sent)
        told, _ = run.communicate(timeout=30)
    assert "Traceback" not in told
    assert run.returncode in (130, -sent)
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in others):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ended = [path.parent.name for path in lives_of(lifecycle)]
    assert ended
    events: list[Event] = []
    how = Rehearsal(
        datetime(2024, 8, 1, tzinfo=UTC), datetime(2024, 10, 1, tzinfo=UTC), every=timedelta(days=5),
        budget=Budget(trials=1), jobs=1,
    )  # fmt: skip
    with Workspace.open(load(lifecycle), progress=events.append) as workspace:
        again = backtest(workspace, ["monthly"], how)
        taken = [event.message for event in events if "taken over from the backtest" in event.message]
        assert sorted(taken) == [f"{name}: taken over from the backtest that was stopped" for name in ended]
        assert lives_of(lifecycle) == []
        whole = backtest(workspace, ["monthly"], how)
    assert [one.to_dict() for one in again.policies] == [one.to_dict() for one in whole.policies]


BIKES = Path(__file__).parents[2] / "benchmarks" / "backtests" / "bike.yaml"
RENTED = Path(__file__).parents[2].parent / "shared" / "data" / "bike_hourly.csv.gz"


@pytest.mark.slow
@pytest.mark.skipif(not RENTED.exists(), reason=f"{RENTED} is not there")
def test_what_policies_earned_on_real_bicycles_adds_up_from_their_logs(tmp_path: Path) -> None:
    """Real hours of bicycles; what each policy earned is added up anew from its log, the file and the prices."""
    shutil.copy(RENTED, tmp_path / RENTED.name)
    text = BIKES.read_text().replace("learners: [linear, lightgbm]", "learners: [linear]")
    (tmp_path / "everloop.yaml").write_text(text)
    since, until = datetime(2012, 4, 1, tzinfo=UTC), datetime(2012, 7, 1, tzinfo=UTC)
    how = Rehearsal(since, until, every=timedelta(days=3), budget=Budget(trials=1))
    with Workspace.open(load(tmp_path)) as workspace:
        result = backtest(workspace, ["monthly"], how)
    never, monthly = result.policies
    assert (never.name, never.retrains, monthly.name, monthly.retrains) == ("never", 0, "monthly", 3)
    raw = pl.read_csv(RENTED, try_parse_dates=True).select(pl.col("date").alias("time"), "cnt")
    raw = raw.with_columns(pl.col("time").cast(pl.Datetime("us")).dt.replace_time_zone("UTC"))
    hours = raw.filter(pl.col("time").is_between(since, until, closed="left"))
    for policy in result.policies:
        log = read_log(tmp_path / ".everloop" / "backtest" / policy.name / "log")
        # An actual is known an hour later, and no sooner.
        known = log.predictions.join(log.known_actuals(), on="id")
        assert (known["known_at"] - known["time"]).unique().to_list() == [timedelta(hours=1)]
        both = log.predictions.join(hours, on="time")
        assert both.height == hours.height == result.decisions
        error = both["prediction"].cast(pl.Float64) - both["cnt"]
        value = -(0.5 * error.clip(0, None) + 2 * (-error).clip(0, None)).sum()
        assert policy.value == pytest.approx(value, rel=1e-9)
    assert monthly.against_never is not None
    assert monthly.against_never.estimate * result.decisions == pytest.approx(monthly.value - never.value)
