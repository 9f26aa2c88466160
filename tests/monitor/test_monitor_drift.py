import json

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault
from everloop.monitor import drift, estimate


def table(n=2000, seed=0, shift=0.0, share=0.5):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "amount": random.lognormal(3, 1, n) + shift,
            "age": random.integers(18, 80, n),
            "city": np.where(random.random(n) < share, "Oslo", "Bergen"),
            "member": random.random(n) < 0.3,
            "income": np.where(random.random(n) < 0.1, np.nan, random.normal(5, 1, n)),
            "at": pl.datetime_range(
                pl.datetime(2020, 1, 1), pl.datetime(2020, 1, 1) + pl.duration(hours=n - 1), "1h", eager=True
            ),
        }
    )


def test_a_table_does_not_drift_from_itself():
    report = drift(table(), table())
    assert not report.drifted
    assert max(each.distance for each in report.columns) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.slow
def test_false_alarms_keep_their_budget():
    alarms = sum(drift(table(600, 2 * i), table(600, 2 * i + 1), windows=20).drifted for i in range(40))
    assert alarms <= 7  # 2 are expected; more than 7 has a chance of 0.001


@pytest.mark.parametrize(
    ("current", "column"),
    [
        (table(2000, 1, shift=15.0), "amount"),
        (table(2000, 1, share=0.7), "city"),
        (table(2000, 1).with_columns(member=pl.lit(value=True)), "member"),
        (table(2000, 1).with_columns(income=pl.lit(None, dtype=pl.Float64)), "income"),
        (table(2000, 1).with_columns(city=pl.lit("Tromsø")), "city"),
    ],
)
def test_a_shift_is_found_and_named(current, column):
    report = drift(table(), current)
    assert report.drifted
    assert report.moved() == (column,)
    assert column in str(report)


def test_what_cannot_be_compared_is_said():
    current = table().drop("age").with_columns(new=1)
    report = drift(table(), current)
    assert (report.added, report.removed, report.skipped) == (("new",), ("age",), ("at",))


def test_the_report_shows_itself():
    report = drift(table().rename({"city": "<b>"}), table(2000, 1, share=0.9).rename({"city": "<b>"}))
    assert "&lt;b&gt;" in report._repr_html_()
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["moved"] == ["<b>"]


def test_tables_of_any_kind_and_none_is_changed(tmp_path):
    table().write_parquet(tmp_path / "a.parquet")
    frame = table(2000, 1).to_arrow()
    assert not drift(tmp_path / "a.parquet", frame).drifted
    assert pl.from_arrow(frame).equals(table(2000, 1))


def test_small_or_foreign_tables_are_refused():
    with pytest.raises(DataFault, match="at least 60"):
        drift(table(), table(10))
    with pytest.raises(DataFault, match="share no column"):
        drift(pl.DataFrame({"a": range(100)}), pl.DataFrame({"b": range(100)}))


def test_an_estimate_through_the_front_door():
    random = np.random.default_rng(0)
    scores = random.random(5000)
    actual = random.random(5000) < scores
    assert estimate(scores, scores, actual, metric="roc_auc").contains(0.8333)
