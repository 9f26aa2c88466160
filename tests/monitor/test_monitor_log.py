"""From the prediction log on disk to a window's finding."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault
from everloop.monitor import ReferenceRules, Rules, Window, judge, reference, windows_due
from everloop.monitor.window import ages_of, delay_of
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog, read_log
from everloop.spec.monitor import WindowSpec
from everloop.table.labels import class_indices

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = 3_600_000_000


def test_from_the_log_to_a_finding(tmp_path):
    random = np.random.default_rng(0)
    heat = random.normal(size=400)
    scores = 1 / (1 + np.exp(-heat))
    actual = random.random(400) < scores
    begin = int(START.timestamp() * 1e6)
    with PredictionLog(tmp_path, worker="0") as log:
        for i in range(400):
            at = begin + i * HOUR // 10
            answer = "yes" if scores[i] >= 0.5 else "no"
            log.append(
                PredictionLine(
                    f"p{i}", at, 7, "champion", {"heat": float(heat[i])}, float(scores[i]), answer, 99
                )
            )
            if i < 300:
                log.append_actual(ActualLine(f"p{i}", "yes" if actual[i] else "no", at + HOUR))
    tables = read_log(tmp_path)
    joined, now = tables.joined(), START + timedelta(hours=41)
    spec = WindowSpec.model_validate("1d")
    ((since, until),) = windows_due(joined["time"], spec, now=now)
    part = joined.filter((pl.col("time") >= since) & (pl.col("time") < until))
    assert part.height == 240

    classes = ("no", "yes")
    window = Window(
        since=since,
        until=until,
        inputs=part["row"].str.json_decode(pl.Struct({"heat": pl.Float64})).struct.unnest(),
        scores=part["score"].to_numpy(),
        decisions=class_indices(part["prediction"], classes),
        actuals=class_indices(part["actual"], classes),
        ages=ages_of(part["time"], now=now),
    )
    made = reference(pl.DataFrame({"heat": heat}), scores=scores, actuals=actual, rules=ReferenceRules(spec))
    found = judge(window, made, Rules(metrics=("accuracy",)), delay=delay_of(joined, now=now))
    assert (found.predictions, found.actuals, found.drift.status) == (240, 240, "none")
    expected = np.mean((scores[:240] >= 0.5) == actual[:240])
    assert found.performance["accuracy"].interval.estimate == pytest.approx(expected)


def test_times_may_be_dates_and_must_be_times():
    rows = pl.DataFrame({"heat": np.random.default_rng(0).normal(size=1000)})
    days = pl.Series([(START + timedelta(days=i // 50)).date() for i in range(1000)])
    found = reference(rows, times=days)
    assert (found.cut, found.since) == ("time", START)
    with pytest.raises(DataFault, match="are String"):
        reference(rows, times=pl.Series(["x"] * 1000))
    with pytest.raises(DataFault, match="999 times for 1000 rows"):
        reference(rows, times=pl.Series([None, *days[1:]]))


MINUTE = HOUR // 60


def logged(folder, actuals, zone=UTC):
    """Sixty predictions a minute apart, and actuals: (id, actual, minutes after the first prediction)."""
    begin = int(START.astimezone(zone).timestamp() * 1e6)
    with PredictionLog(folder, worker="0") as log:
        for i in range(60):
            log.append(
                PredictionLine(f"p{i}", begin + i * MINUTE, 1, "champion", {"heat": i / 60}, i / 60, "no", 9)
            )
        for identity, actual, minutes in actuals:
            log.append_actual(ActualLine(identity, actual, begin + minutes * MINUTE))
    return read_log(folder).joined()


def judged(joined):
    """The finding of all of it, five hours later."""
    now = START + timedelta(hours=5)
    truth = class_indices(joined["actual"], ("no", "yes"))
    window = Window(
        since=START,
        until=START + timedelta(hours=1),
        inputs=joined["row"].str.json_decode(pl.Struct({"heat": pl.Float64})).struct.unnest(),
        scores=joined["score"].to_numpy(),
        decisions=class_indices(joined["prediction"], ("no", "yes")),
        actuals=truth,
        ages=ages_of(joined["time"], now=now),
    )
    scores = np.linspace(0, 1, 500)
    made = reference(pl.DataFrame({"heat": scores}), scores=scores, actuals=np.arange(500) % 2)
    rules = Rules(metrics=("accuracy", "roc_auc", "recall"))
    return judge(window, made, rules, delay=delay_of(joined, now=now))


PLAIN = [(f"p{i}", "yes" if i >= 30 else "no", 120) for i in range(60)]
FOUND = {"accuracy": 0.5, "roc_auc": 1.0, "recall": 0.0}


@pytest.mark.parametrize(
    "actuals",
    [
        PLAIN,
        [*PLAIN, ("unknown", "yes", 121), ("", "yes", 122)],
        [*PLAIN, *PLAIN],
        [*((name, "yes" if answer == "no" else "no", 60) for name, answer, _ in PLAIN), *PLAIN],
    ],
    ids=["each once", "for unknown predictions", "twice", "contradicted, the later one counts"],
)
def test_each_actual_counts_once_whatever_is_sent_with_it(tmp_path, actuals):
    found = judged(logged(tmp_path, actuals))
    assert (found.predictions, found.actuals) == (60, 60)
    assert {name: each.interval.estimate for name, each in found.performance.items()} == FOUND


def test_an_actual_before_its_prediction_is_there_at_once(tmp_path):
    found = judged(logged(tmp_path, [(name, answer, -30) for name, answer, _ in PLAIN]))
    assert (found.actuals, found.maturity) == (60, 1.0)
    assert found.performance["roc_auc"].interval.estimate == 1.0


def test_a_window_of_one_class_is_judged_by_what_can_be_known(tmp_path):
    found = judged(logged(tmp_path, [(name, "no", 120) for name, _, _ in PLAIN]))
    assert found.performance["accuracy"].interval.estimate == 1.0
    assert np.isnan(found.performance["roc_auc"].interval.estimate)
    assert np.isnan(found.performance["recall"].interval.estimate)


def test_windows_are_the_same_in_every_time_zone_and_across_daylight_saving():
    spec = WindowSpec.model_validate("1d")
    # Clocks were set forward in this night; days are those of UTC all the same.
    begin = datetime(2024, 3, 30, tzinfo=UTC)
    times = pl.Series([begin + timedelta(hours=i) for i in range(72)], dtype=pl.Datetime("us", "UTC"))
    due = windows_due(times, spec, now=begin + timedelta(days=3))
    assert due == [(begin + timedelta(days=i), begin + timedelta(days=i + 1)) for i in range(3)]
    local = times.dt.convert_time_zone("Europe/Oslo")
    assert windows_due(local, spec, now=begin + timedelta(days=3)) == due


def test_a_clock_that_jumps_back_makes_no_window_twice():
    spec = WindowSpec.model_validate("1d")
    times = pl.Series([START, START + timedelta(hours=30), START + timedelta(hours=2)])
    times = times.cast(pl.Datetime("us", "UTC"))
    first = windows_due(times, spec, now=START + timedelta(days=3))
    assert len(first) == 2
    judged_until = first[-1][1]
    assert windows_due(times, spec, now=START + timedelta(days=1), since=judged_until) == []
