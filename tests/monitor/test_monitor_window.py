import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault, PackageRefused
from everloop.core.units import parse_duration
from everloop.measure.maturity import delay_curve
from everloop.measure.worth import Worth
from everloop.monitor import Reference, ReferenceRules, Rules, Window, judge, reference, windows_due
from everloop.monitor.references import REFERENCE_FILE
from everloop.monitor.state import ACTUAL, SCORE
from everloop.monitor.window import ages_of, delay_of
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec
from everloop.table.contract import ColumnRule, Contract, TableRule, row_checker

START = datetime(2024, 1, 1, tzinfo=UTC)
DAY = WindowSpec.model_validate("1d")
PRICES = np.array([5.0, -2.0, -8.0, 1.0])


def world(n, seed, shift=0.0, days=60):
    """Rows, scores (calibrated) and actuals; a season of a week in one column."""
    random = np.random.default_rng(seed)
    hours = np.sort(random.uniform(0, 24 * days, n))
    heat = random.normal(0, 1, n) + np.sin(2 * np.pi * hours / 168) + shift
    scores = 1 / (1 + np.exp(1 - heat))
    rows = pl.DataFrame({"heat": heat, "kind": np.where(random.random(n) < 0.4, "a", "b")})
    actuals = (random.random(n) < scores).astype(float)
    times = pl.Series("time", [START + timedelta(hours=hour) for hour in hours])
    return rows, scores, actuals, times


def made(days=60, per_day=300):
    alarm = AlarmBudget(1, 20)
    rows, scores, actuals, times = world(days * per_day, 1, days=days)
    return reference(rows, scores=scores, actuals=actuals, times=times, rules=ReferenceRules(DAY, alarm))


REFERENCE = made()


def window(n=300, seed=2, shift=0.0, known=1.0, age=30.0):
    rows, scores, actuals, _ = world(n, seed, shift, days=7)
    random = np.random.default_rng(seed)
    return Window(
        since=START,
        until=START + timedelta(days=1),
        inputs=rows,
        scores=scores,
        decisions=(scores >= 0.3) * 1.0,
        actuals=np.where(random.random(n) < known, actuals, np.nan),
        ages=np.full(n, age * 86400),
        worth=Worth("binary", prices=PRICES, size=n),
        today=np.zeros(n),
        version="v1",
    )


RULES = Rules(metrics=("roc_auc", "recall", "log_loss"), threshold=0.3)


def test_the_reference_is_cut_in_time_and_says_what_it_can_promise():
    assert REFERENCE.cut == "time"
    assert list(REFERENCE.budgets) == sorted(REFERENCE.budgets, reverse=True)
    largest, *smaller = REFERENCE.budgets
    assert 250 < largest < 300
    assert smaller == [largest // 3, largest // 9]
    assert REFERENCE.budgets[largest].windows >= 50
    assert REFERENCE.budgets[largest].attainable
    assert set(REFERENCE.histograms) == {"heat", "kind", SCORE, ACTUAL}
    few = made(days=12)
    assert few.cut == "time"
    assert made(days=5).cut == "resampled"
    assert not any(budget.attainable for budget in few.budgets.values())
    assert "needs 19" in judge(window(), few, RULES).drift.reason


def test_the_reference_without_times_is_sampled():
    rows, scores, actuals, _ = world(2000, 1)
    found = reference(rows, scores=scores, actuals=actuals)
    assert found.cut == "resampled"
    assert found.budgets[1000].attainable
    assert judge(window(1200), found, RULES).drift.status in {"none", "drift"}


def test_the_reference_round_trips(tmp_path):
    REFERENCE.save(tmp_path)
    again = Reference.load(tmp_path)
    assert again == REFERENCE
    assert judge(window(), again, RULES).to_dict() == judge(window(), REFERENCE, RULES).to_dict()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": 1}', b'{"format": 1, "rows": "x"}', b"\xff\x00"]
)
def test_a_damaged_reference_is_refused(tmp_path, content):
    (tmp_path / REFERENCE_FILE).write_bytes(content)
    with pytest.raises(PackageRefused):
        Reference.load(tmp_path)
    with pytest.raises(PackageRefused, match="no reference"):
        Reference.load(tmp_path / "nowhere")


def test_a_quiet_window_is_quiet_and_a_moved_one_is_not():
    quiet = judge(window(), REFERENCE, RULES)
    assert quiet.drift.status == "none"
    assert json.dumps(quiet.to_dict(), allow_nan=False)
    moved = judge(window(shift=2.0), REFERENCE, RULES)
    assert moved.drift.exceeded
    # Actuals follow the score.
    assert set(moved.drift.moved()) == {"heat", SCORE, ACTUAL}
    assert moved.score_shift > 0.2


def test_season_is_in_the_null():
    alarms = sum(
        judge(
            replace(
                window(), inputs=rows[day * 300 : day * 300 + 300], scores=scores[day * 300 : day * 300 + 300]
            ),
            REFERENCE,
            Rules(),
        ).drift.exceeded
        for rows, scores, _, _ in [world(300 * 100, 9, days=100)]
        for day in range(100)
    )
    assert alarms <= 12  # 5 are expected


def test_performance_and_value_from_known_actuals():
    found = judge(window(3000), REFERENCE, RULES)
    assert found.performance["roc_auc"].status == "known"
    assert found.performance["log_loss"].interval.known
    assert (
        found.value.interval.estimate > found.value.interval.estimate - found.against_today.interval.estimate
    )
    assert found.against_today.interval.low > 0
    assert found.estimated["roc_auc"].interval.contains(found.performance["roc_auc"].interval.estimate)
    assert found.estimated_value.interval.contains(found.value.interval.estimate)
    assert "log_loss" not in found.estimated


def test_too_early_is_said_and_the_estimate_stands_in():
    delay = delay_curve(np.random.default_rng(0).exponential(20 * 86400, 5000), np.zeros(5000))
    found = judge(window(1000, known=0.1, age=2.0), REFERENCE, RULES, delay=delay)
    assert found.performance["recall"].status == "too early"
    assert found.value.status == "too early"
    assert found.maturity == pytest.approx(0.095, abs=0.02)
    assert found.estimated["recall"].interval.known
    later = judge(window(1000, known=0.78, age=30.0), REFERENCE, RULES, delay=delay)
    assert later.performance["recall"].status == "known"


def test_an_empty_window_and_a_small_one_are_judged_without_a_number():
    empty = judge(window(0), REFERENCE, RULES)
    assert (empty.predictions, empty.drift.status) == (0, "too few")
    assert not empty.performance["recall"].interval.known
    assert judge(window(29), REFERENCE, RULES).drift.status == "too few"
    assert judge(window(40, shift=2.5), REFERENCE, RULES).drift.exceeded


def test_a_window_with_other_columns_is_judged_by_what_it_has():
    strange = replace(window(), inputs=window().inputs.with_columns(heat=pl.lit("text"), kind=pl.lit(7)))
    found = judge(strange, REFERENCE, RULES)
    assert {"heat", "kind"} <= set(found.drift.moved())
    bare = replace(window(), inputs=window().inputs.select("kind"))
    assert judge(bare, REFERENCE, RULES).drift.status == "none"


def test_violations_are_a_share_of_requests():
    assert judge(replace(window(), violations=100), REFERENCE, RULES).violation_share == 0.25
    assert judge(window(), REFERENCE, RULES).violation_share is None


def test_a_window_is_held_against_the_contract_of_requests():
    contract = Contract(
        (
            ColumnRule("heat", "number", maximum=2.0, severity="warn"),
            ColumnRule("kind", "text", allowed=("a",), unique=True),
        ),
        (TableRule("row_count", minimum=10**6),),
    )
    rows = window().inputs
    hot, other = rows["heat"] > 2.0, rows["kind"] != "a"
    found = judge(replace(window(), contract=contract), REFERENCE, RULES)
    assert {one.column: one.failing for one in found.contract.findings} == {
        "heat": hot.sum(),
        "kind": other.sum(),
    }
    assert found.violation_share == (hot | other).sum() / 300
    checker = row_checker(Contract(contract.columns[1:]))
    assert sum(bool(checker(row)) for row in rows.to_dicts()) == other.sum()
    refused = judge(replace(window(), contract=contract, violations=100), REFERENCE, RULES)
    assert refused.violation_share == (100 + (hot | other).sum()) / 400


def test_a_regression_is_measured_too():
    random = np.random.default_rng(3)
    numbers = random.normal(10, 2, 300)
    base = replace(window(), scores=numbers, decisions=numbers, actuals=numbers + random.normal(0, 1, 300))
    before = random.normal(10, 2, 2000)
    kept = reference(
        pl.DataFrame({"heat": before}), scores=before, actuals=before + random.normal(0, 1, 2000)
    )
    rules = Rules(metrics=("rmse", "mae"), task="regression")
    found = judge(replace(base, worth=None, today=None), kept, rules)
    assert found.performance["rmse"].interval.contains(1.0)
    assert found.value is None
    assert found.estimated["rmse"].status == "estimated"
    assert found.estimated["rmse"].interval.contains(1.0)
    assert found.estimated["mae"].interval.contains(np.sqrt(2 / np.pi))


def test_an_estimate_that_was_wrong_too_often_is_kept_and_not_told():
    rules = replace(RULES, silenced={"recall": "3 of the last 9"})
    told, kept = judge(window(), REFERENCE, RULES), judge(window(), REFERENCE, rules)
    assert kept.estimated["recall"].status == "silent"
    assert kept.estimated["recall"].note == "3 of the last 9"
    assert kept.estimated["recall"].interval == told.estimated["recall"].interval
    assert kept.estimated["roc_auc"] == told.estimated["roc_auc"]


def test_many_classes_are_measured_too():
    random = np.random.default_rng(4)
    chances = random.dirichlet(np.ones(3), 300)
    classes = random.integers(0, 3, 300) * 1.0
    base = replace(window(), decisions=chances.argmax(axis=1) * 1.0, actuals=classes, worth=None, today=None)
    rules = Rules(metrics=("accuracy", "log_loss"), task="multiclass")
    assert judge(base, REFERENCE, rules).performance["log_loss"].status == "none"
    found = judge(replace(base, probabilities=chances), REFERENCE, rules).performance
    assert found["log_loss"].interval.known
    assert found["accuracy"].interval.contains(1 / 3)


def moments(*hours):
    return pl.Series(
        "time",
        [None if hour is None else START + timedelta(hours=hour) for hour in hours],
        dtype=pl.Datetime("us", "UTC"),
    )


def test_windows_due_by_time():
    times = moments(0, 5, 23, 24, 80)
    day = timedelta(days=1)
    now = START + timedelta(hours=90)
    due = windows_due(times, DAY, now=now)
    assert due == [(START, START + day), (START + day, START + 2 * day)]
    assert windows_due(times, DAY, now=now + day, since=START + 2 * day) == [
        (START + 3 * day, START + 4 * day)
    ]
    assert windows_due(moments(), DAY, now=now) == []


def test_windows_due_by_count():
    spec = WindowSpec.model_validate({"predictions": 2})
    due = windows_due(moments(0, 1, 2, 3, 4), spec, now=START + timedelta(days=9))
    assert [(a - START, b - START) for a, b in due] == [
        (timedelta(hours=0), timedelta(hours=2)),
        (timedelta(hours=2), timedelta(hours=4)),
    ]


@pytest.mark.parametrize("cut", [{"predictions": 1}, {"predictions": 7}, {"predictions": 250}, "3h"])
def test_times_in_parts_cut_the_same_windows_as_all_at_once(cut):
    random = np.random.default_rng(1)
    times = moments(*random.integers(0, 240, 180) / 4, None)
    spec, now = WindowSpec.model_validate(cut), START + timedelta(hours=55)
    for since in (None, START + timedelta(hours=7)):
        rising = [time for time in times.drop_nulls().sort() if (since or START) <= time < now]
        if spec.time is None:
            edges = rising[:: spec.predictions]
            expected = [(a, b) for a, b in pairwise(edges) if a < b]
        else:
            origin = since or rising[0]
            starts = sorted({origin + (time - origin) // spec.time * spec.time for time in rising})
            expected = [(a, a + spec.time) for a in starts if a + spec.time <= now]
        parts = [times[:0], times[90:], times[:50], times[50:90]]
        assert windows_due(times, spec, now=now, since=since) == expected
        assert windows_due(lambda: parts, spec, now=now, since=since) == expected  # noqa: B023


def test_the_delay_is_learned_from_the_log():
    joined = pl.DataFrame(
        {
            "time": moments(0, 0, 1),
            "known_at": pl.Series([START + timedelta(hours=2), None, START + timedelta(hours=5)]).cast(
                pl.Datetime("us", "UTC")
            ),
        }
    )
    curve = delay_of(joined, now=START + timedelta(hours=3))
    assert curve.known_by([3600 * 2.5]).tolist() == [pytest.approx(1 / 3)]
    assert delay_of(joined.clear(), now=START) is None
    assert ages_of(joined["time"], now=START + timedelta(hours=2)).tolist() == [7200, 7200, 3600]


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataFault, match="scores of shape"):
        judge(replace(window(), scores=np.zeros(3)), REFERENCE, RULES)
    with pytest.raises(DataFault, match="no row"):
        reference(pl.DataFrame({"a": []}))
    with pytest.raises(DataFault, match="for 2 rows"):
        reference(pl.DataFrame({"a": [1, 2]}), scores=[0.1])
    assert parse_duration("1d") == DAY.time
