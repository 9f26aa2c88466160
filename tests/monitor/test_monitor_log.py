"""From the prediction log on disk to a window's finding."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault
from everloop.monitor import ReferenceRules, Rules, Window, judge, reference, windows_due
from everloop.monitor.window import ages_of, delay_of, rows_of
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
    part = rows_of(joined, since, until)
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
