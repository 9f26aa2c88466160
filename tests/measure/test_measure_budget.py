import json

import numpy as np
import pytest
from scipy import stats

from everloop.core.errors import DataFault, UsageFault
from everloop.core.values import to_jsonable
from everloop.measure.budget import Budget, beyond, fit_budget, together


def alarm_rate(make, runs=800, windows=60, columns=6, asked=0.05):
    """Counts alarms in one new window after fitting on the windows before it."""
    random = np.random.default_rng(21)
    alarms = 0
    for _ in range(runs):
        table = make(random, windows + 1, columns)
        budget = fit_budget(table[:-1], asked * 1000, 1000)
        assert budget.attainable
        alarms += budget.judge(table[-1]).exceeded
    return stats.binomtest(alarms, runs).proportion_ci(0.999)


def iid(random, windows, columns):
    return random.gamma(2.0, size=(windows, columns)) * np.geomspace(0.01, 1, columns)


def autocorrelated(random, windows, columns):
    noise = random.normal(size=(windows + 50, columns))
    for i in range(1, len(noise)):
        noise[i] += 0.7 * noise[i - 1]
    return np.abs(noise[50:]) * 0.1


@pytest.mark.slow
@pytest.mark.parametrize("make", [iid, autocorrelated])
def test_false_alarms_keep_the_budget(make):
    interval = alarm_rate(make)
    assert interval.low <= 0.05 <= interval.high


def test_false_alarms_keep_the_budget_in_a_short_run():
    interval = alarm_rate(iid, runs=300, windows=40)
    assert interval.low <= 0.05 <= interval.high


def test_few_windows_say_what_is_attainable():
    table = np.random.default_rng(0).random((20, 3))
    budget = fit_budget(table, 1, 100)
    assert not budget.attainable
    assert budget.rate == pytest.approx(1 / 21)
    assert "needs 99" in budget.reason
    enough = fit_budget(np.random.default_rng(0).random((99, 3)), 1, 100)
    assert enough.attainable
    assert not fit_budget(np.random.default_rng(0).random((98, 3)), 1, 100).attainable


def test_the_most_moved_column_is_first():
    budget = fit_budget(np.random.default_rng(0).random((50, 3)), 1, 20)
    finding = budget.judge([0.5, 9.0, np.nan])
    assert finding.exceeded
    assert finding.order[0] == 1
    assert finding.order[-1] == 2
    assert finding.statistic == together(np.array(finding.standardised)) >= max(finding.standardised[:2])
    assert not budget.judge([np.nan] * 3).exceeded


def test_how_rare_a_statistic_is_is_told_in_powers_of_ten():
    table = np.random.default_rng(5).exponential(3.0, size=(4000, 1))
    budget = fit_budget(table, 1, 100)
    rare = 3.0 * np.log(10)
    for power in (1, 2, 4):
        assert budget.judge([power * rare]).standardised[0] == pytest.approx(power, rel=0.1)
    assert budget.threshold == pytest.approx(2, rel=0.1)


def test_evidence_of_columns_adds_up_as_how_rare_they_are():
    assert together(np.array([2.0, 2.0, np.nan])) == pytest.approx(2 + np.log10(2))
    assert together(np.array([500.0, 1.0])) == 500
    assert together(np.array([np.nan])) == -np.inf
    assert beyond([4.0, 3.5, 1.0], 3.0) == 2
    assert beyond([2.0, 2.0, 2.0, 0.0], 2.4) == 3
    assert beyond([1.0, np.nan], 2.0) == 0


@pytest.mark.parametrize("copies", [1, 12])
def test_columns_that_hang_together_keep_a_budget_that_was_fitted_as_if_they_did_not(copies):
    random = np.random.default_rng(7)
    budget = fit_budget(random.exponential(size=(2000, 12)), 1, 20)
    columns = random.exponential(size=(4000, 12 // copies)).repeat(copies, axis=1)
    rate = np.mean([budget.judge(row).exceeded for row in columns])
    assert rate <= 0.06


def test_a_grain_in_a_column_that_never_moved_is_no_alarm():
    table = np.column_stack((np.zeros(50), np.random.default_rng(0).random(50)))
    assert not fit_budget(table, 1, 20).judge([1e-4, 0.5]).exceeded
    assert fit_budget(table, 1, 20).judge([0.3, 0.5]).exceeded


def test_unknown_statistics_do_not_hurt():
    table = np.full((10, 2), np.nan)
    table[:, 0] = np.arange(10)
    assert np.isfinite(fit_budget(table, 1, 5).threshold)
    assert np.isinf(fit_budget(np.full((10, 2), np.nan), 1, 5).threshold)


def test_json_round_trip():
    budget = fit_budget(np.random.default_rng(0).random((50, 3)), 1, 20)
    assert Budget.from_dict(json.loads(json.dumps(to_jsonable(budget.to_dict())))) == budget


def test_what_makes_no_sense_is_refused():
    with pytest.raises(DataFault, match="at least 2 windows"):
        fit_budget([[1.0]], 1, 10)
    with pytest.raises(UsageFault, match="no budget"):
        fit_budget([[1.0], [2.0]], 10, 10)
    with pytest.raises(DataFault, match="the reference has 1"):
        fit_budget([[1.0], [2.0]], 1, 10).judge([1.0, 2.0])


def test_evidence_that_weighs_more_counts_as_so_many_columns():
    assert together(np.array([1.0, 1.0]), (1.0, 9.0)) == pytest.approx(2.0)
    table = np.random.default_rng(2).exponential(size=(2000, 3))
    budget = fit_budget(table, 1, 20, (1.0, 1.0, 2.0))
    assert Budget.from_dict(json.loads(json.dumps(budget.to_dict()))) == budget
    alike = fit_budget(table, 1, 20)
    assert alike.judge([0.0, 0.0, 6.0]).statistic < budget.judge([0.0, 0.0, 6.0]).statistic
    rate = np.mean(
        [budget.judge(row).exceeded for row in np.random.default_rng(3).exponential(size=(4000, 3))]
    )
    assert rate == pytest.approx(0.05, abs=0.02)
