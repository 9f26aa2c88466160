"""A window with more rows than are held: all of it is counted, and what needs rows rests on a sample."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.loop.answered import Answered, drawn, drawn_until
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.window_rows import read_window
from everloop.monitor.judging import judge
from everloop.monitor.rules import Rules
from everloop.record.rows import AlertRow, WindowRow
from everloop.runtime.log import ActualLine, LogLimits, LogReader, PredictionLine, PredictionLog, seal

START = datetime(2024, 1, 31, tzinfo=UTC)
WINDOW = timedelta(days=5)
ROWS, SAMPLE = 3000, 400


def micros(moment):
    return int(moment.timestamp() * 1e6)


def write_log(workspace, rows=ROWS):
    """Traffic of a window and a bit more, some of it said twice, some breaking the contract, in many segments."""
    random = np.random.default_rng(3)
    steps = WINDOW / (rows - 10)
    with PredictionLog(
        workspace.log_folder, limits=LogLimits(segment_bytes=40_000, group_seconds=0.0)
    ) as log:
        for number in range(rows):
            at = START + number * steps
            a, b = random.normal(size=2)
            row = {
                "row_id": f"r{number}",
                "a": a,
                "b": b,
                "site": "north" if random.random() < 0.7 else "moon",
            }
            row["asked_at"] = at.isoformat()
            score = float(1 / (1 + np.exp(-a)))
            answer = "yes" if score > 0.5 else "no"
            line = PredictionLine(f"p{number}", micros(at), 1, "champion", row, score, answer, 9)
            log.append(line)
            if number % 50 == 0:
                log.append(line)
            truth = "yes" if random.random() < score else "no"
            log.append(ActualLine(f"p{number}", truth, micros(at + timedelta(hours=6))))
    seal(workspace.log_folder)


@pytest.fixture
def traffic(workspace):
    """A version that serves, and its log."""
    run_once(workspace, as_of=START)
    write_log(workspace)
    workspace.clock.advance_to(START + WINDOW + timedelta(days=1))
    return workspace


def test_all_that_adds_up_is_of_all_rows_and_the_rest_within_its_error(traffic):
    now, until = traffic.clock.now(), START + WINDOW
    with LogReader(traffic.log_folder).span() as span:
        every = read_window(traffic, Answered(span, now), START, until)
        delay = Answered(span, now).delay
    with LogReader(traffic.log_folder, most_ids=500).span() as span:
        some = read_window(traffic, Answered(span, now, SAMPLE), START, until)
    assert every.whole is None
    assert some.served.lines.height == SAMPLE
    assert some.served.lines["time"].is_sorted()
    assert set(some.served.lines["id"]) < set(every.served.lines["id"])

    rules = Rules(metrics=("roc_auc", "precision", "recall"))
    reference = every.served.by.reference
    exact = judge(every.window, reference, rules, delay=delay)
    found = judge(some.window, reference, rules, delay=delay, whole=some.whole)
    assert (exact.sampled, found.sampled) == (None, SAMPLE)
    assert found.drift == exact.drift
    counted = ("predictions", "actuals", "maturity", "score_mean", "violation_share")
    assert [getattr(found, name) for name in counted] == pytest.approx(
        [getattr(exact, name) for name in counted], rel=1e-12
    )
    assert found.contract.broken == exact.contract.broken > 0
    for name in ("value", "against_today"):
        one, other = getattr(found, name), getattr(exact, name)
        assert one.actuals == other.actuals
        assert list(one.interval.to_dict().values()) == pytest.approx(list(other.interval.to_dict().values()))
    for name in rules.metrics:
        interval = found.performance[name].interval
        half = (interval.high - interval.low) / 2
        assert abs(interval.estimate - exact.performance[name].interval.estimate) < 2 * half, name
        assert found.performance[name].actuals < exact.performance[name].actuals


def test_a_tick_says_on_how_many_rows_a_large_window_rests(traffic):
    happened = Loop(traffic, sample=SAMPLE).tick(act=False).happenings
    assert any(f"from {SAMPLE:,} of them" in event.text for event in happened)
    (row,) = traffic.record.find(WindowRow)
    with LogReader(traffic.log_folder).span() as span:
        log = Answered(span, traffic.clock.now())
        every = read_window(traffic, log, row.since, row.until)
        exact = judge(every.window, every.served.by.reference, Rules(), delay=log.delay)
    assert row.facts["sampled"] == SAMPLE
    assert (row.predictions, row.actuals) == (exact.predictions, exact.actuals)
    assert row.facts["drift"]["statistic"] == exact.drift.statistic
    assert row.facts["value"]["interval"]["estimate"] == pytest.approx(exact.value.interval.estimate)
    assert {alert.kind for alert in traffic.record.find(AlertRow)} >= {"contract"}


def test_the_same_rows_are_drawn_whoever_draws_them():
    table = pl.DataFrame({"id": [f"p{number}" for number in range(1000)]})
    parts = [table[300:], table[:10], table[10:300]]
    limit = drawn_until(iter(parts), 100)
    assert limit == drawn_until([table], 100)
    assert drawn(table, limit).sum() == 100
    assert drawn_until(parts, 1000) is None
    assert drawn(table, None).all()


PEAK = """
import resource, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from everloop.core.clock import SimulatedClock
from everloop.loop.loop import Loop
from everloop.loop.workspace import Workspace
from everloop.record.rows import WindowRow
from everloop.runtime.log.tables import schemas
from everloop.spec import load

ROWS, FEW, MANY = 20_000, 5, 25
start, day = datetime(2024, 1, 31, tzinfo=UTC), timedelta(days=5)
predictions, actuals, _ = schemas()


def write(folder, number, begin):
    random = np.random.default_rng(number)
    table = pl.DataFrame({
        "row_id": [f"r{number}-{n}" for n in range(ROWS)], "a": random.normal(size=ROWS),
        "b": random.normal(size=ROWS), "site": random.choice(["north", "south"], ROWS), "asked_at": begin.isoformat(),
    })
    times = pl.Series([begin]).new_from_index(0, ROWS).cast(pl.Datetime("us", "UTC"))
    score = random.random(ROWS)
    lines = pl.DataFrame({
        "id": table["row_id"], "time": times, "version": 1, "arm": "champion",
        "row": table.select(pl.struct(pl.all()).struct.json_encode()).to_series(), "score": score, "scores": None,
        "prediction": np.where(score > 0.5, "yes", "no"), "latency_us": 9, "worker": "0", "chance": 1.0,
    }, schema_overrides=predictions).select(list(predictions))
    lines.write_parquet(folder / f"predictions-0-{number:08d}.parquet")
    known = pl.DataFrame({
        "id": table["row_id"], "actual": np.where(random.random(ROWS) < score, "yes", "no"),
        "time": times, "worker": "0",
    }, schema_overrides=actuals).select(list(actuals))
    known.write_parquet(folder / f"actuals-0-{number:08d}.parquet")


folder, number = Path(sys.argv[1]), 0
with Workspace.open(load(folder), clock=SimulatedClock(start)) as workspace:
    loop = Loop(workspace, sample=20_000)
    workspace.log_folder.mkdir(parents=True, exist_ok=True)
    for window, segments in enumerate((FEW, MANY)):
        for place in range(segments):
            number += 1
            write(workspace.log_folder, number, start + (window + place / segments) * day)
        workspace.clock.advance_to(start + (window + 1.5) * day)
        loop.tick(act=False)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
    found = sorted(row.predictions for row in workspace.record.find(WindowRow))
    assert found == [FEW * ROWS, MANY * ROWS], found
"""


@pytest.mark.slow
def test_what_a_tick_takes_does_not_grow_with_traffic(workspace, folder):
    run_once(workspace, as_of=START)
    words = [sys.executable, "-c", PEAK, str(folder)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert many < few + 60e6  # the rows of the second window are 400,000 more, which take some 350 MB
