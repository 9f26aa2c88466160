"""Intervals of metrics: they cover the truth as often as they say, and agree with the bootstrap."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as judge

from everloop.measure import METRICS, bootstrap_interval, compute
from everloop.measure.metric_intervals import (
    area_difference,
    area_interval,
    metric_difference,
    metric_interval,
)

RANDOM = np.random.default_rng(3)


def sample(rows, random=RANDOM):
    actual = (random.random(rows) < 0.35).astype(int)
    return actual, 1 / (1 + np.exp(-random.normal(1.4 * actual - 1, 1)))


def test_every_metric_has_an_interval_around_it():
    actual, scores = sample(800)
    classes = RANDOM.integers(0, 7, 800)
    chances = RANDOM.dirichlet(np.ones(7), 800) + 0.4 * np.eye(7)[classes]
    chances /= chances.sum(axis=1, keepdims=True)
    number = RANDOM.gamma(4, 2, 800)
    guess = np.abs(number + RANDOM.normal(size=800))
    for name, metric in METRICS.items():
        if "regression" in metric.tasks:
            given = number, guess
        elif metric.tasks == ("multiclass",):
            given = classes, chances
        elif "binary" in metric.tasks:
            given = actual, (scores >= 0.5) if metric.needs == "decision" else scores
        else:
            continue
        found = metric_interval(name, *given)
        assert found.estimate == pytest.approx(compute(name, *given)), name
        assert found.low <= found.estimate <= found.high, name
        # The largest error has no error of its own that rows could tell.
        assert found.low < found.high or name == "max_error", name


@pytest.mark.parametrize(
    "name",
    ["roc_auc", "log_loss", "brier", "accuracy", "precision", "recall", "specificity", "positive_rate"],
)
def test_a_closed_form_is_as_wide_as_the_bootstrap(name):
    actual, scores = sample(3000)
    given = (scores >= 0.5).astype(int) if METRICS[name].needs == "decision" else scores
    ours = metric_interval(name, actual, given)
    theirs = bootstrap_interval(lambda a, p: compute(name, a, p), actual, given, seed=0, repeats=600)
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.2)


@pytest.mark.parametrize("name", ["mae", "rmse", "mape", "pinball_90"])
def test_a_closed_form_for_numbers_is_as_wide_as_the_bootstrap(name):
    actual = RANDOM.gamma(4, 2, 3000)
    given = actual + RANDOM.normal(size=3000)
    ours = metric_interval(name, actual, given)
    theirs = bootstrap_interval(lambda a, p: compute(name, a, p), actual, given, seed=0, repeats=600)
    assert ours.high - ours.low == pytest.approx(theirs.high - theirs.low, rel=0.2)


def test_the_area_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    truth = stats.norm.cdf(1.4 / np.sqrt(2))
    found = [area_interval(*sample(200, random)) for _ in range(800)]
    covered = np.mean([interval.contains(truth) for interval in found])
    assert 0.93 <= covered <= 0.97


def test_the_area_equals_its_definition_with_ties():
    actual, scores = sample(300)
    scores = scores.round(1)
    assert area_interval(actual, scores).estimate == pytest.approx(judge.roc_auc_score(actual, scores))


def test_a_perfect_order_is_not_taken_for_certain():
    found = area_interval([0] * 20 + [1] * 10, np.arange(30))
    assert found.estimate == 1
    assert found.low < 0.8


def test_a_paired_difference_covers_none_as_often_as_it_says():
    random = np.random.default_rng(1)
    covered = 0
    for _ in range(500):
        actual, scores = sample(200, random)
        one, two = (scores + random.normal(0, 0.1, 200) for _ in range(2))
        covered += area_difference(actual, one, two).contains(0.0)
    assert 0.92 <= covered / 500 <= 0.98


@pytest.mark.parametrize("name", ["roc_auc", "log_loss", "accuracy", "average_precision", "f1"])
def test_a_paired_difference_is_that_of_the_metrics_and_narrower_than_two_intervals(name):
    actual, scores = sample(2000)
    other = np.clip(scores + RANDOM.normal(0, 0.03, 2000), 0.001, 0.999)
    given = [
        (each >= 0.5).astype(int) if METRICS[name].needs == "decision" else each for each in (scores, other)
    ]
    found = metric_difference(name, actual, *given)
    expected = compute(name, actual, given[1]) - compute(name, actual, given[0])
    assert found.estimate == pytest.approx(expected)
    assert found.low <= expected <= found.high
    alone = metric_interval(name, actual, given[0])
    assert found.high - found.low < 0.75 * (alone.high - alone.low)


def test_what_is_not_defined_has_no_interval():
    assert not metric_interval("roc_auc", [0, 0], [0.1, 0.2]).known
    assert not metric_difference("roc_auc", [0, 0], [0.1, 0.2], [0.2, 0.1]).known
