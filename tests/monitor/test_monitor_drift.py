import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault
from everloop.monitor import Reference, ReferenceRules, count_window, drift, estimate, judge_state, reference
from everloop.spec.fields import AlarmBudget


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


def hidden_mix(rows, seed, share):
    """Six flags, each of which follows a hidden one in half of the rows."""
    random = np.random.default_rng(seed)
    hidden = random.random(rows) < share
    return pl.DataFrame(
        {
            f"c{i}": np.where(random.random(rows) < 0.5, hidden, random.random(rows) < 0.3).astype(str)
            for i in range(6)
        }
    )


def test_a_mix_that_moves_each_column_a_little_is_found_and_named():
    rules = ReferenceRules(window_rows=1000, smaller=False, alarm=AlarmBudget(1, 20))
    kept = reference(hidden_mix(10_000, 0, 0.3), rules=rules)
    again = Reference.from_dict(json.loads(json.dumps(kept.to_dict())))
    assert again == kept
    found = [judge_state(count_window(hidden_mix(1000, 1 + i, 0.36), kept), again) for i in range(60)]
    alarms = [each for each in found if each.exceeded]
    # One flag alone has at most one chance in two, at a rate of false alarms that all six would share.
    assert len(alarms) > 0.7 * len(found)
    together = [each for each in alarms if max(one.standardised for one in each.columns) < each.threshold]
    assert together
    assert all(each.moved() and set(each.moved()) <= set(kept.histograms) for each in alarms)
    assert np.mean([each.joint[0].standardised for each in found]) > 2


def test_how_far_columns_moved_together_is_that_of_the_parts_merged():
    rules = ReferenceRules(window_rows=500, smaller=False, alarm=AlarmBudget(1, 20))
    kept = reference(hidden_mix(5000, 0, 0.3), rules=rules)
    window = hidden_mix(900, 1, 0.4)
    parts = [count_window(window[a:b], kept) for a, b in ((0, 10), (10, 450), (450, 900))]
    assert judge_state(parts[2].merge(*parts[:2]), kept) == judge_state(count_window(window, kept), kept)


def test_columns_that_a_window_lacks_leave_the_others_to_be_judged():
    rules = ReferenceRules(window_rows=500, smaller=False, alarm=AlarmBudget(1, 20))
    kept = reference(hidden_mix(5000, 0, 0.3), rules=rules)
    state = count_window(hidden_mix(500, 1, 0.3), kept)
    lacking = {name: each for name, each in state.histograms.items() if name != "c0"}
    empty = replace(state.histograms["c0"], counts=(0,) * len(state.histograms["c0"].counts))
    for histograms in (lacking, lacking | {"c0": empty}):
        finding = judge_state(replace(state, histograms=histograms), kept)
        assert np.isnan(finding.joint[0].standardised)
        assert finding.status in {"none", "drift"}
        assert np.isfinite(finding.statistic)
