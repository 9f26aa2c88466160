import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from everloop.core.errors import EverloopError
from everloop.measure.intervals import UNKNOWN, Interval
from everloop.monitor import DriftFinding, Situation, WindowFinding, advise
from everloop.monitor.finding import ColumnDrift, Measured
from everloop.monitor.situation import FACTS
from everloop.spec.fields import Trigger

NOW = datetime(2024, 3, 1, tzinfo=UTC)
QUIET = DriftFinding("none", 1.0, 5.0, (ColumnDrift("heat", "psi", 0.01, 1.0),), "")
MOVED = DriftFinding("drift", 9.0, 5.0, (ColumnDrift("heat", "psi", 0.9, 9.0),), "")


def finding(drift=QUIET, value=None, **more):
    given = None if value is None else Measured("known", value, 500)
    return WindowFinding(NOW, NOW, "v1", 1000, 500, 1.0, drift, 0.3, 0.0, value=given, **more)


def situation(*findings, **more):
    given = {"value_before": 10.0, "volume": 1000.0, "cost": 50.0, "trained_at": NOW - timedelta(days=3)}
    return Situation(findings, NOW, **{**given, **more})


LOST = Interval(6.0, 7.0, 8.0)
ALL = (Trigger("drift"), Trigger("performance"), Trigger("value"), Trigger("contract"))


def test_nothing_to_do_is_an_advice_with_its_reason():
    advice = advise(ALL, situation(finding()))
    assert not advice.retrain
    assert "nothing asks" in advice.reasons[0]
    assert "drift, performance" in advice.reasons[0]
    assert not advise((), situation()).retrain


def test_drift_that_costs_money_is_a_retrain():
    advice = advise(ALL, situation(finding(MOVED, LOST)))
    assert advice.retrain
    assert advice.triggered == ("drift", "value")
    assert advice.expected_gain == Interval(1950.0, 2950.0, 3950.0)
    assert "heat moved" in advice.reasons[0]
    json.dumps(advice.to_dict())


def test_drift_that_costs_nothing_is_not():
    advice = advise(ALL, situation(finding(MOVED, Interval(10.1, 10.5, 11.0))))
    assert not advice.retrain
    assert advice.triggered == ("drift",)
    assert any("would not pay" in reason for reason in advice.reasons)


def test_drift_without_prices_is_a_retrain():
    advice = advise(ALL, situation(finding(MOVED), value_before=None))
    assert advice.retrain
    assert advice.expected_gain is None


def test_the_estimate_stands_in_for_what_is_not_known_yet():
    early = replace(
        finding(),
        value=Measured("too early", UNKNOWN),
        estimated_value=Measured("estimated", LOST),
    )
    assert situation(early).expected_gain.estimate == 2950.0
    assert "estimated" in advise((Trigger("value"),), situation(early)).reasons[0]


@pytest.mark.parametrize(
    ("greater", "high", "fires"), [(True, 0.75, True), (True, 0.85, False), (False, 0.95, True)]
)
def test_performance_fires_when_the_whole_interval_is_worse(greater, high, fires):
    low = high - 0.1
    worse = finding(performance={"m": Measured("known", Interval(low, low + 0.05, high), 100)})
    given = situation(worse, metric="m", metric_before=0.8, greater_is_better=greater, value_before=None)
    assert advise(ALL, given).retrain == fires


def test_standing_orders():
    weekly, labels = Trigger("schedule", "weekly"), Trigger("labels", "5000")
    assert not advise((weekly, labels), situation(finding())).retrain
    assert advise((weekly,), situation(finding(), trained_at=NOW - timedelta(days=8))).retrain
    assert advise((labels,), situation(finding(), new_labels=5000)).retrain
    assert advise(
        (weekly,), situation(finding(value=Interval(11, 12, 13)), trained_at=NOW - timedelta(days=8))
    ).retrain
    assert advise((Trigger("contract"),), situation(finding(violation_share=0.2))).retrain
    with pytest.raises(EverloopError, match="a number was expected"):
        advise((Trigger("labels", "many"),), situation())
    with pytest.raises(EverloopError, match="is no schedule"):
        advise((Trigger("schedule", "sometimes"),), situation())


def test_what_must_not_pay_is_followed_whatever_is_expected():
    given = situation(finding(MOVED, Interval(10.1, 10.5, 11.0)))
    assert not advise((Trigger("drift"),), given).retrain
    assert advise((Trigger("drift"),), given, if_it_pays=False).retrain


@pytest.mark.parametrize(
    ("rule", "fires"),
    [
        ("drift > 1.5 and days >= 3", True),
        ("drift > 1.5 and days >= 4", False),
        ("value_lost > 2 and expected_gain > 10 * cost", True),
        ("drifted", True),
        ("metric < 0.5", False),  # it is not known
        ("metric is null and now > timestamp '2024-02-01'", True),
    ],
)
def test_a_rule_of_the_users_own_reads_the_situation(rule, fires):
    advice = advise((Trigger("rule", rule),), situation(finding(MOVED, LOST)))
    assert advice.retrain == fires
    if fires and "drift >" in rule:
        assert advice.reasons[0] == f"rule: {rule}: drift 1.8, days 3"


@pytest.mark.parametrize(
    ("rule", "told"), [("drfit > 1", "drfit"), ("drift + 1", "a condition"), ("drift >", "SQL")]
)
def test_a_rule_that_cannot_be_read_says_why(rule, told):
    with pytest.raises(EverloopError, match=told):
        advise((Trigger("rule", rule),), situation(finding()))


def test_facts_are_those_that_are_documented():
    assert tuple(situation(finding(MOVED, LOST)).facts()) == tuple(FACTS)
