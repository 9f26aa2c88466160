import numpy as np
import polars as pl
import pytest

from everloop.core.errors import DataFault
from everloop.measure.estimate import fit_estimator
from everloop.monitor import drift, estimate, tell_apart
from everloop.monitor.telling_apart import window_weights


def pair(seed, together, rows=800):
    """Two columns and a text that each look alike in both tables, whether they hang together or not."""
    random = np.random.default_rng(seed)
    a = random.normal(size=rows)
    b = a + random.normal(0, 0.4, rows)
    return pl.DataFrame(
        {
            "a": a,
            "b": b if together else random.permutation(b),
            "kind": random.choice(["x", "y", None], rows).tolist(),
        }
    )


def test_a_shift_that_no_column_shows_alone_is_found():
    before, after = pair(0, together=True), pair(1, together=False)
    assert not drift(before, after).drifted
    report = drift(before, after, multivariate=True)
    assert report.drifted
    assert set(report.apart.columns) >= {"a", "b"}
    assert "told apart" in str(report)
    assert report.to_dict()["apart"]["exceeded"]


def test_tables_that_are_alike_are_told_apart_as_seldom_as_the_budget_says():
    found = [tell_apart(pair(2 * i, True, 200), pair(2 * i + 1, True, 200), windows=10) for i in range(30)]
    assert sum(each.exceeded for each in found) <= 8  # 3 are expected; more than 8 has a chance of 0.002
    assert np.mean([each.area for each in found]) == pytest.approx(0.5, abs=0.03)


def test_weights_turn_the_reference_into_the_window():
    random = np.random.default_rng(3)
    before = pl.DataFrame({"x": random.normal(0, 1, 6000)})
    after = pl.DataFrame({"x": random.normal(0.7, 1, 6000)})
    weights = window_weights(before, after)
    assert np.average(before["x"], weights=weights) == pytest.approx(0.7, abs=0.12)
    assert weights.mean() == pytest.approx(1.0)


def world(seed, share, rows=5_000):
    """A score means more in one group than in the other, and the groups' shares move."""
    random = np.random.default_rng(seed)
    group = (random.random(rows) < share).astype(float)
    scores = random.random(rows)
    actuals = random.random(rows) < np.where(group == 1, scores, scores**3)
    return scores, actuals, pl.DataFrame({"group": group, "score": scores})


def test_with_inputs_the_estimate_follows_what_a_score_means_now():
    scores, actuals, inputs = world(4, 0.2)
    now, truth, rows = world(5, 0.9)
    real = (truth & (now >= 0.5)).sum() / (now >= 0.5).sum()
    plain = estimate(now, scores, actuals, "precision")
    weighted = estimate(now, scores, actuals, "precision", inputs=(rows, inputs))
    assert weighted.contains(real)
    assert abs(weighted.estimate - real) < 0.25 * abs(plain.estimate - real)


def test_weights_of_one_change_nothing():
    scores, actuals, _ = world(6, 0.5, 1000)
    same = fit_estimator(scores, actuals, weights=np.ones(1000)).estimate(scores, ["recall"])
    assert same == fit_estimator(scores, actuals).estimate(scores, ["recall"])


def test_what_cannot_be_told_apart_is_refused():
    with pytest.raises(DataFault, match="share no column"):
        tell_apart(pl.DataFrame({"a": range(99)}), pl.DataFrame({"b": range(99)}))
    with pytest.raises(DataFault, match="60 are needed"):
        tell_apart(pair(0, True), pair(0, True, 20))
