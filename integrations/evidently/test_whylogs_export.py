"""A window that is exported is a profile to whylogs itself, with the numbers of its own."""
# ruff: noqa: D103, INP001, S101

from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from everloop.monitor import count_window, judge_state, reference
from everloop.monitor.formats import JudgedWindow, open_format

why = pytest.importorskip("whylogs")
pytestmark = pytest.mark.filterwarnings("ignore")

TYPES = {"amount": "number", "steps": "integer", "kind": "text"}
EXACT = (
    *("counts/n", "counts/null", "counts/inf", "types/integral", "types/fractional", "types/string"),
    *("distribution/min", "distribution/max", "distribution/n", "cardinality/est"),
)


def table(seed, rows=3000):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": pd.Series(random.lognormal(0, 0.5, rows)).mask(random.random(rows) < 0.1),
            "steps": random.poisson(3, rows),
            "kind": pd.Series(random.choice(list("abcd"), rows)).mask(random.random(rows) < 0.05),
        }
    )


BEFORE, AFTER = table(0), table(1)
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture(scope="module")
def judged():
    kept = reference(BEFORE)
    state = count_window(AFTER, kept)
    return JudgedWindow("window_1", "shop", 3, MOMENT, MOMENT, state, kept, judge_state(state, kept), TYPES)


@pytest.fixture(scope="module")
def view(judged, tmp_path_factory):
    path = tmp_path_factory.mktemp("profile") / "window.bin"
    path.write_bytes(open_format("whylogs").write(judged).content)
    return why.read(str(path)).view()


def test_counts_types_and_extremes_are_those_of_their_own_profile(view):
    read, told = view.to_pandas(), why.log(AFTER).view().to_pandas()
    assert sorted(read.index) == sorted(told.index)
    for column in TYPES:
        for name in EXACT:
            if name == "cardinality/est" and column != "kind":
                continue  # what no histogram holds
            found, expected = read.loc[column, name], told.loc[column, name]
            if column != "kind" or not name.startswith("distribution"):
                assert found == pytest.approx(expected, rel=1e-9), (column, name)


@pytest.mark.parametrize("column", ["amount", "steps"])
def test_moments_are_theirs_and_quantiles_within_the_error_of_their_sketch(view, column):
    read, told = view.to_pandas().loc[column], why.log(AFTER).view().to_pandas().loc[column]
    assert read["distribution/mean"] == pytest.approx(told["distribution/mean"], rel=1e-9)
    assert read["distribution/stddev"] == pytest.approx(told["distribution/stddev"], rel=1e-3)
    ranks = AFTER[column].dropna()
    for name, rank in (("q_10", 0.1), ("median", 0.5), ("q_90", 0.9)):
        value = read[f"distribution/{name}"]
        assert (ranks < value * (1 - 1e-9)).mean() - 0.03 <= rank <= (ranks <= value).mean() + 0.03


def test_categories_have_their_frequencies(view):
    items = view.get_column("kind").get_metric("frequent_items").strings
    assert {one.value: one.est for one in items} == AFTER["kind"].value_counts().to_dict()


def test_the_profile_merges_with_theirs_and_keeps_the_verdict(view, judged):
    merged = why.log(AFTER).view().merge(view).to_pandas()
    assert merged.loc["amount", "counts/n"] == 2 * len(AFTER)
    assert view.metadata["everloop.window"] == judged.id
    assert view.metadata["everloop.drift"] == judged.drift.status
