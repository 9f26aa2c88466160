import json

import numpy as np
import pytest
from scipy import stats

from everloop.core.errors import DataFault
from everloop.measure.maturity import DelayCurve, delay_curve, matured_mean


def test_the_curve_equals_scipy():
    random = np.random.default_rng(0)
    delays = np.round(random.exponential(5, 300), 1)
    censor = np.round(random.uniform(0, 12, 300), 1)
    censored = delays > censor
    seen = np.minimum(delays, censor)
    judge = stats.ecdf(stats.CensoredData(uncensored=seen[~censored], right=seen[censored])).cdf
    ages = np.linspace(0, 12, 50)
    np.testing.assert_allclose(delay_curve(seen, censored).known_by(ages), judge.evaluate(ages), atol=1e-12)


def test_ends_of_the_curve():
    curve = delay_curve([1.0, 2.0], [False, False])
    assert curve.known_by([0.5, 1.0, 2.0, 99.0]).tolist() == [0.0, 0.5, 1.0, 1.0]
    assert (curve.age_for(0.5), curve.age_for(1.0)) == (1.0, 2.0)
    none = delay_curve([5.0, 6.0], [True, True])
    assert none.known_by([10.0]).tolist() == [0.0]
    assert none.age_for(0.1) == np.inf
    assert DelayCurve.from_dict(json.loads(json.dumps(curve.to_dict()))) == curve


def test_the_matured_mean_is_unbiased_where_the_plain_mean_is_not():
    random = np.random.default_rng(1)
    inside, plain = 0, []
    curve = delay_curve(random.exponential(5.0, 20_000), np.zeros(20_000))
    for _ in range(200):
        age = random.uniform(0, 15, 1500)
        value = random.normal(age / 10, 0.5)  # the value has risen as time went by, so age matters
        known = random.exponential(5.0, 1500) < age
        seen = np.where(known, value, np.nan)
        chances = curve.known_by(age)
        found = matured_mean(seen, chances)
        inside += found.interval.contains(value[chances >= 0.05].mean())
        plain.append(abs(np.nanmean(seen) - value.mean()))
    assert inside / 200 > 0.93
    assert np.mean(plain) > 0.15


def test_too_early_is_said():
    found = matured_mean([1.0, np.nan, np.nan], [0.3, 0.3, 0.3])
    assert found.status == "too early"
    assert not found.interval.known
    assert found.maturity == pytest.approx(0.3)
    assert matured_mean([], []).status == "too early"
    assert matured_mean([np.nan], [1.0]).status == "too early"
    assert matured_mean([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]).interval.estimate == 2.0


def test_what_does_not_fit_is_refused():
    with pytest.raises(DataFault, match="before its prediction"):
        delay_curve([-1.0], [False])
    with pytest.raises(DataFault, match="no prediction"):
        delay_curve([], [])
    with pytest.raises(DataFault, match="1 chances for 2 rows"):
        matured_mean([1.0, 2.0], [1.0])
