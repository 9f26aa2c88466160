"""Scores of a reference: of the rows alone that a model did not learn from, and to four digits."""

from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from scipy.stats import binom

from everloop.monitor import ReferenceRules, count_window, judge_state, reference
from everloop.monitor.state import SCORE, as_watched
from everloop.spec.fields import AlarmBudget
from everloop.spec.monitor import WindowSpec

BUDGET = AlarmBudget(1, 10)
SIZE = 200
START = datetime(2024, 1, 1, tzinfo=UTC)


def rows(count, seed):
    random = np.random.default_rng(seed)
    return pl.DataFrame({"a": random.normal(size=count), "b": random.choice(["x", "y"], count)})


def scores_of(count, seed):
    """What a mean of 30 grown trees says: few values."""
    return np.random.default_rng(seed).binomial(30, 0.4, count) / 30


def alarms(kept, looks=100, digits=0.0):
    found = 0
    for seed in range(1000, 1000 + looks):
        scores = scores_of(SIZE, seed) * (1 + digits)
        found += judge_state(count_window(rows(SIZE, seed), kept, scores=scores), kept).exceeded
    return found


def test_the_last_digits_of_a_score_are_no_shift():
    kept = reference(
        rows(3000, 0), scores=scores_of(3000, 0), rules=ReferenceRules(alarm=BUDGET, window_rows=SIZE)
    )
    same, nudged = alarms(kept), alarms(kept, digits=4e-16)
    assert same == nudged <= binom.ppf(0.999, 100, 0.1)


def test_scores_are_counted_to_four_digits():
    scores = np.array([0.0, 0.123456, -98765.4, 1e-300, 1e300, np.inf, np.nan])
    np.testing.assert_allclose(as_watched(scores), scores, rtol=1e-4)
    assert as_watched(np.array([0.1]))[0] == as_watched(np.nextafter([0.1], 1))[0]


@pytest.mark.parametrize("learned", [2000, 3400, 3990])
def test_rows_that_were_learned_from_have_inputs_and_no_score(learned):
    """Of twenty windows in the order of time a half, three and none have scores."""
    count = 4000
    scores = np.where(np.arange(count) < learned, np.nan, scores_of(count, 3))
    kept = reference(
        rows(count, 2),
        scores=scores,
        actuals=np.ones(count),
        times=pl.Series([START + timedelta(minutes=i) for i in range(count)]),
        rules=ReferenceRules(WindowSpec(time=timedelta(minutes=SIZE)), BUDGET, SIZE, smaller=False),
    )
    assert kept.cut == "time"
    assert kept.histograms["a"].rows == count
    assert kept.histograms[SCORE].rows == len(kept.scores) == len(kept.actuals) == count - learned
    assert all(SCORE not in one.columns for one in kept.joint)
    if learned < 3900:  # ten scores say nothing of how scores are
        assert alarms(kept) <= binom.ppf(0.999, 100, 1 / 6)


def test_scores_within_a_segment_are_those_that_are_known():
    table, scores = rows(2000, 5), scores_of(2000, 5)
    scores[:1000] = np.nan
    kept = reference(table, scores=scores, rules=ReferenceRules(window_rows=SIZE, segments=("b",)))
    for text in ("x", "y"):
        found = kept.histograms[f"{SCORE} where b is {text}"]
        assert (found.rows, found.missing) == (int((table["b"][1000:] == text).sum()), 0)
