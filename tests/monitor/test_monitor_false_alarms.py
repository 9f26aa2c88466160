"""The budget of false alarms on real data that does not drift: rows of a real table in random order."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from everloop.monitor import ReferenceRules, count_window, judge_state, reference
from everloop.spec.fields import AlarmBudget
from everloop.table.tables import as_frame

DATA = Path(__file__).parents[3] / "shared" / "data"
BUDGET = AlarmBudget(1, 10)
SIZES = {1_000: 40, 5_000: 20}


def table(name):
    if not (DATA / name).exists():
        pytest.skip(f"{name} is not on this machine; it lies beside the repository where it is")
    return as_frame(DATA / name)


def split(rows, size, seed):
    order = np.random.default_rng(seed).permutation(rows.height)
    return rows[order[: 3 * size]], rows[order[3 * size : 4 * size]]


def alarm(before, window):
    kept = reference(before, rules=ReferenceRules(alarm=BUDGET, window_rows=window.height, smaller=False))
    return judge_state(count_window(window, kept), kept).exceeded


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", ["taiwan_default.csv.gz", "elec2.parquet"])
def test_alarms_on_real_data_without_drift_stay_within_the_budget(name, size):
    rows, looks = table(name), SIZES[size]
    alarms = sum(alarm(*split(rows, size, seed)) for seed in range(looks))
    # Columns that hang together make alarms rarer than asked; they must not be more frequent.
    assert alarms <= binom.ppf(0.999, looks, BUDGET.alarms / BUDGET.windows)


@pytest.mark.parametrize(
    ("shift", "column"),
    [
        (lambda rows: rows.with_columns(pl.col("AGE") + 5), "AGE"),
        (lambda rows: rows.with_columns(pl.col("LIMIT_BAL") * 1.2), "LIMIT_BAL"),
        (lambda rows: rows.with_columns(pl.when(pl.col("SEX") == 1).then(pl.col("SEX"))), "SEX"),
        (
            lambda rows: rows.with_columns(
                pl.col("BILL_AMT1") + np.random.default_rng(0).normal(0, 3e4, 1000)
            ),
            "BILL_AMT1",
        ),
    ],
)
def test_a_shift_in_a_real_window_is_found_and_named(shift, column):
    rows = table("taiwan_default.csv.gz")
    before, window = split(rows, 1000, 1)
    kept = reference(before, rules=ReferenceRules(window_rows=1000, smaller=False))
    finding = judge_state(count_window(shift(window), kept), kept)
    assert finding.moved()[0] == column


@pytest.mark.parametrize(
    ("name", "column"),
    [("taiwan_default.csv.gz", "LIMIT_BAL"), ("online_shoppers.csv.gz", "product_related")],
)
@pytest.mark.parametrize("shift", ["noise", "another unit"])
def test_a_tenth_of_the_rows_with_values_that_never_were_is_found_in_one_window(name, column, shift):
    rows = table(name)
    column = next(each for each in rows.columns if each.lower().replace(" ", "_") == column.lower())
    for seed in range(5):
        before, window = split(rows, 1000, seed)
        random = np.random.default_rng(seed)
        kept = reference(before, rules=ReferenceRules(window_rows=1000, smaller=False))
        added = random.normal(0, 0.33 * window[column].std(), 1000)
        moved = pl.col(column) * 1.609 if shift == "another unit" else pl.col(column) + pl.Series(added)
        touched = pl.Series(random.random(1000) < 0.1)
        shifted = window.with_columns(pl.when(touched).then(moved).otherwise(pl.col(column)))
        assert judge_state(count_window(shifted, kept), kept).moved()[0] == column


def test_a_tenth_of_a_column_that_was_lost_is_found_in_one_window():
    rows = table("elec2.parquet")
    before, window = split(rows, 1000, 2)
    kept = reference(before, rules=ReferenceRules(window_rows=1000, smaller=False))
    name = next(each for each in window.columns if window[each].dtype == pl.Float64)
    lost = window.with_columns(pl.when(pl.int_range(pl.len()) % 10 > 0).then(pl.col(name)))
    finding = judge_state(count_window(lost, kept), kept)
    assert finding.columns[0].statistic == "missing_shift"
    assert finding.moved() == (name,)


def test_windows_of_a_few_hundred_rows_stay_within_the_budget_too():
    # Each reference judges many windows, which share what is by chance in it: so rates are by reference.
    rows, rates = table("elec2.parquet"), []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(rows.height)
        kept = reference(
            rows[order[:2000]], rules=ReferenceRules(alarm=BUDGET, window_rows=200, smaller=False)
        )
        windows = (rows[order[2000 + 200 * i : 2200 + 200 * i]] for i in range(12))
        rates.append(np.mean([judge_state(count_window(each, kept), kept).exceeded for each in windows]))
    assert np.mean(rates) <= 0.1 + 3 * np.std(rates) / np.sqrt(len(rates))
