"""Where the definition is the same, our distances are Evidently's, and our counts are whylogs'."""
# ruff: noqa: D103, INP001, S101

import os

import numpy as np
import pandas as pd
import pytest
from scipy.stats import chi2_contingency, ks_2samp

from everloop.monitor import drift

os.environ["DO_NOT_TRACK"] = "1"
evidently = pytest.importorskip("evidently")
pytestmark = pytest.mark.filterwarnings("ignore")


def table(seed, shift=0.0, rows=3000):
    random = np.random.default_rng(seed)
    shares = np.array([4, 3, 2, 1 + 10 * shift]) / (10 + 10 * shift)
    return pd.DataFrame(
        {
            "amount": random.lognormal(shift, 0.5, rows),
            "steps": random.poisson(3 + 2 * shift, rows),
            "kind": random.choice(list("abcd"), rows, p=shares),
        }
    )


BEFORE, AFTER = table(0), table(1, 0.1)
OURS = drift(BEFORE, AFTER).statistics


def theirs(column, method):
    from evidently import Report
    from evidently.metrics import ValueDrift

    told = Report([ValueDrift(column=column, method=method)]).run(AFTER, BEFORE).dict()
    return float(told["metrics"][0]["value"])


def test_jensen_shannon_of_categories_is_theirs():
    # Theirs is in natural units, ours in bits.
    expected = theirs("kind", "jensenshannon") / np.sqrt(np.log(2))
    assert OURS["kind"]["jensen_shannon"] == pytest.approx(expected, rel=1e-9)


def test_psi_of_categories_is_theirs():
    assert OURS["kind"]["psi"] == pytest.approx(theirs("kind", "psi"), rel=1e-9)


@pytest.mark.parametrize(("column", "within"), [("amount", 0.01), ("steps", 0.2)])
def test_wasserstein_is_theirs(column, within):
    # Inside a bin ours takes values as evenly spread; a column of whole numbers is a step in each.
    assert OURS[column]["wasserstein"] == pytest.approx(theirs(column, "wasserstein"), rel=within)


@pytest.mark.parametrize("column", ["amount", "steps"])
def test_kolmogorov_smirnov_has_their_p_value(column):
    exact = ks_2samp(BEFORE[column], AFTER[column])
    assert exact.pvalue == pytest.approx(theirs(column, "ks"), rel=1e-9)
    assert OURS[column]["kolmogorov_smirnov"] == pytest.approx(exact.statistic, abs=2e-3)


def test_chi_square_is_that_of_the_table():
    table_ = pd.crosstab(
        np.repeat([0, 1], [len(BEFORE), len(AFTER)]), pd.concat([BEFORE["kind"], AFTER["kind"]]).to_numpy()
    )
    found = chi2_contingency(table_, correction=False).statistic
    assert OURS["kind"]["chi_square"] ** 2 * table_.to_numpy().sum() == pytest.approx(found, rel=1e-9)


def test_counts_are_those_of_a_whylogs_profile():
    why = pytest.importorskip("whylogs")
    from everloop.monitor import count_window, reference

    holed = AFTER.assign(amount=AFTER["amount"].mask(AFTER["steps"] > 5))
    state = count_window(holed, reference(BEFORE))
    told = why.log(holed).view().to_pandas()
    found = state.histograms["amount"]
    assert found.rows == told.loc["amount", "counts/n"]
    assert found.missing == told.loc["amount", "counts/null"]
    assert found.low == told.loc["amount", "distribution/min"]
    assert found.high == told.loc["amount", "distribution/max"]
    assert found.mean == pytest.approx(told.loc["amount", "distribution/mean"], rel=1e-9)
