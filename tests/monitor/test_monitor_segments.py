"""Segments: columns within the rows of one value of another, under the one threshold of all."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from everloop.core.errors import DataFault
from everloop.monitor import Reference, ReferenceRules, count_window, drift, judge_state, reference
from everloop.monitor.segments import FEWEST_ROWS, segments_of
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec
from everloop.table.tables import as_frame

DATA = Path(__file__).parents[3] / "shared" / "data"
BUDGET = AlarmBudget(1, 10)
NORTH = "age where site is north"


def table(rows, seed=0):
    random = np.random.default_rng(seed)
    return pl.DataFrame(
        {
            "age": random.normal(40, 10, rows),
            "kind": random.choice(["a", "b", "c"], rows),
            "site": random.choice(["north", "east", "south", "west"], rows, p=[0.1, 0.3, 0.3, 0.3]),
        }
    )


def shifted(rows, by=10.0):
    """The same, but a tenth of the rows is older."""
    moved = pl.when(pl.col("site") == "north").then(pl.col("age") + by).otherwise(pl.col("age"))
    return rows.with_columns(moved.alias("age"))


def held(rows, **rules):
    return reference(rows, rules=ReferenceRules(alarm=BUDGET, segments=("site",), **rules))


def test_a_shift_in_a_tenth_of_the_rows_is_found_and_its_segment_is_named():
    before, window = table(6000), shifted(table(1000, seed=1))
    asked = drift(before, window, segments=("site",))
    assert asked.moved()[0] == NORTH
    moved = {column: each.standardised for each in asked.columns for column in [each.column]}
    assert moved["age where site is south"] < asked.finding.threshold
    assert drift(before, window, segments="site").moved() == asked.moved()
    # Without segments a tenth of the rows is thin in the whole.
    assert not drift(before, window).drifted


@pytest.mark.slow
def test_alarms_stay_within_the_budget_with_segments_on():
    path = DATA / "taiwan_default.csv.gz"
    if not path.exists():
        pytest.skip("taiwan_default.csv.gz is not on this machine; it lies beside the repository where it is")
    rows, looks = as_frame(path), 40
    rows = rows.select("SEX", "EDUCATION", "MARRIAGE", "AGE", "LIMIT_BAL", "PAY_0", "BILL_AMT1", "PAY_AMT1")
    alarms = 0
    for seed in range(looks):
        order = np.random.default_rng(seed).permutation(rows.height)
        rules = ReferenceRules(
            alarm=BUDGET, window_rows=1000, smaller=False, segments=("SEX", "EDUCATION", "AGE")
        )
        kept = reference(rows[order[:3000]], rules=rules)
        alarms += judge_state(count_window(rows[order[3000:4000]], kept), kept).exceeded
    assert len(kept.within) > 5 * 8
    assert alarms <= binom.ppf(0.999, looks, BUDGET.alarms / BUDGET.windows)


def test_thresholds_are_from_windows_of_the_reference_in_which_the_segment_is_as_thick():
    times = pl.Series([datetime(2024, 1, 1, tzinfo=UTC) + timedelta(minutes=i) for i in range(12_000)])
    random = np.random.default_rng(3)
    alarms = 0
    kept = reference(
        table(12_000),
        scores=random.random(12_000),
        times=times,
        rules=ReferenceRules(
            window=WindowSpec(predictions=600, time=None), window_rows=600, alarm=BUDGET, segments=("site",)
        ),
    )
    assert kept.cut == "count"
    assert "(score) where site is south" in kept.within
    assert set(kept.budgets) == {600, 200, 66}
    place = kept.watched.index((NORTH, "cramer_von_mises"))
    # A tenth of 200 rows is fewer than are judged: no variation was measured there.
    assert kept.budgets[600].scale[place] > 0.01
    assert kept.budgets[200].scale[place] < 0.01
    for seed in range(40):
        window = table(600, seed=100 + seed)
        alarms += judge_state(count_window(window, kept, scores=random.random(600)), kept).exceeded
    assert alarms <= binom.ppf(0.999, 40, 2 * BUDGET.alarms / BUDGET.windows)


def test_a_segment_that_is_thin_in_a_window_is_not_judged_there():
    kept = held(table(6000), window_rows=1000)
    window = table(1000, seed=5)
    without = window.filter(pl.col("site") != "north")
    found = {
        (each.column, each.statistic): each.standardised
        for each in judge_state(count_window(shifted(without), kept), kept).columns
    }
    assert np.isnan(found[NORTH, "cramer_von_mises"])
    assert not np.isnan(found["age where site is south", "cramer_von_mises"])
    assert found["site", "fine_jensen_shannon"] > 0


def test_a_larger_window_is_thinned_to_the_share_of_each_segment():
    kept = held(table(6000), window_rows=500, smaller=False)
    finding = judge_state(count_window(table(5000, seed=6), kept), kept)
    assert not finding.exceeded
    assert judge_state(count_window(shifted(table(5000, seed=6)), kept), kept).moved()[0] == NORTH


def test_parts_of_a_window_add_up_and_the_reference_is_kept_with_its_segments(tmp_path):
    kept = held(table(3000), window_rows=1000)
    kept.save(tmp_path)
    again = Reference.load(tmp_path)
    assert again == kept
    assert again.within.keys() == kept.within.keys()
    window = table(900, seed=7)
    parts = count_window(window[:200], again).merge(count_window(window[200:], again))
    whole = count_window(window, again)
    assert {name: part.counts for name, part in parts.histograms.items()} == {
        name: part.counts for name, part in whole.histograms.items()
    }
    assert set(again.columns) == {"age", "kind", "site"}


def test_a_window_without_the_column_of_segments_is_judged_by_the_others():
    kept = held(table(3000), window_rows=1000)
    finding = judge_state(count_window(table(1000, seed=8).drop("site"), kept), kept)
    assert finding.absent == ("site",)
    assert finding.status in ("none", "drift")


def test_values_numbers_and_rare_values_make_segments():
    rows = table(2000).with_columns(
        pl.when(pl.int_range(pl.len()) < 10).then(pl.lit("rare")).otherwise("kind").alias("kind")
    )
    found = {each.name_of("x"): each for each in segments_of(rows, ("kind", "age"))}
    assert {each.value for each in found.values() if each.column == "kind"} == {"a", "b", "c"}
    quarters = [each for each in found.values() if each.column == "age"]
    assert len(quarters) == 4
    assert sum(each.inside(rows).sum() for each in quarters) == rows.height
    assert [each.share for each in quarters] == pytest.approx([0.25] * 4, abs=0.01)
    assert quarters[0].fewest(FEWEST_ROWS) == np.inf


def test_a_column_that_is_not_there_is_refused():
    with pytest.raises(DataFault, match="by region, which the rows do not have"):
        reference(table(500), rules=ReferenceRules(segments=("region",)))
