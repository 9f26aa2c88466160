"""Files of Evidently and whylogs, written by their own packages, read as references and windows."""
# ruff: noqa: D103, INP001, S101

import os

import numpy as np
import pandas as pd
import pytest

from everloop.core.errors import DataFault
from everloop.monitor import ReferenceRules, count_window, judge_state, read_profile, reference
from everloop.spec.fields import AlarmBudget

os.environ["DO_NOT_TRACK"] = "1"
evidently = pytest.importorskip("evidently")
why = pytest.importorskip("whylogs")
pytestmark = pytest.mark.filterwarnings("ignore")

RULES = ReferenceRules(window_rows=2000, smaller=False, alarm=AlarmBudget(1, 100))


def table(seed, shift=0.0, rows=3000):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "amount": pd.Series(random.lognormal(shift, 0.5, rows)).mask(random.random(rows) < 0.1),
            "steps": random.poisson(3, rows),
            "kind": pd.Series(random.choice(list("abcd"), rows)).mask(random.random(rows) < 0.05),
        }
    )


BEFORE, SAME, MOVED = table(0), table(1), table(2, 0.4)


@pytest.fixture(scope="module")
def profile(tmp_path_factory):
    def write(rows):
        path = tmp_path_factory.mktemp("profile") / "profile.bin"
        why.log(rows).view().write(str(path))
        return path

    return write


@pytest.fixture(scope="module")
def snapshot():
    from evidently import Report
    from evidently import metrics as m

    moments = [m.MeanValue, m.StdValue, m.MinValue, m.MaxValue, m.MissingValueCount]
    asked = [kind(column=column) for kind in moments for column in ("amount", "steps")]
    asked += [m.RowCount(), m.UniqueValueCount(column="kind"), m.MissingValueCount(column="kind")]
    asked += [m.ValueDrift(column="amount", method="wasserstein", threshold=0.1)]
    return Report(asked).run(MOVED, BEFORE)


def test_a_profile_of_whylogs_holds_counts_moments_and_frequencies(profile):
    read = read_profile(profile(SAME))
    assert read.rows == len(SAME)
    for column in ("amount", "steps"):
        found, values = read.histograms[column], SAME[column].dropna().astype(float)
        assert (found.present, found.missing) == (len(values), SAME[column].isna().sum())
        assert found.mean == pytest.approx(values.mean(), rel=1e-9)
        assert found.deviation == pytest.approx(values.std(ddof=0), rel=1e-9)
        assert (found.low, found.high) == (values.min(), values.max())
        below = np.cumsum(found.counts)[:-1] / found.present
        true = [(values < edge).mean() for edge in found.bins.edges]
        assert np.abs(below - true).max() < 0.02  # what its sketch promises
    kind = read.histograms["kind"]
    assert dict(zip(kind.bins.categories, kind.counts, strict=False)) == SAME["kind"].value_counts().to_dict()
    assert read.not_held == ()
    assert read.numbers["kind"]["cardinality/est"] == pytest.approx(4)


def test_a_profile_is_judged_as_the_rows_that_it_was_made_of(profile):
    kept = reference(BEFORE, rules=RULES)
    for rows in (SAME, MOVED):
        read = read_profile(profile(rows), against=kept)
        ours = count_window(rows, kept)
        for name, found in ours.histograms.items():
            assert read.histograms[name].rows == found.rows
            gap = np.cumsum(read.histograms[name].counts) - np.cumsum(found.counts)
            assert np.abs(gap).max() <= 0.02 * found.rows
        expected = judge_state(ours, kept)
        assert judge_state(read.state, kept).exceeded is expected.exceeded
    assert judge_state(read.state, kept).moved()[0] == "amount"


def test_a_profile_is_a_reference(profile):
    read = read_profile(profile(BEFORE))
    kept = read.reference(RULES)
    assert not judge_state(count_window(SAME, kept), kept).exceeded
    assert judge_state(count_window(MOVED, kept), kept).moved()[0] == "amount"
    assert not judge_state(read_profile(profile(SAME), against=kept).state, kept).exceeded


def test_a_snapshot_of_evidently_holds_both_of_its_tables(snapshot, tmp_path):
    path = tmp_path / "snapshot.json"
    path.write_text(snapshot.dumps())
    read = read_profile(path)
    assert read.rows == len(MOVED)
    for side, rows in ((read, MOVED), (read.before, BEFORE)):
        for column in ("amount", "steps"):
            found, values = side.histograms[column], rows[column].dropna()
            edges = [-np.inf, *found.bins.edges, np.inf]
            assert list(found.counts) == np.histogram(values, edges)[0].tolist()
        kind = side.histograms["kind"]
        counts = rows["kind"].value_counts().to_dict()
        assert kind.missing == rows["kind"].isna().sum()
        assert dict(zip(kind.bins.categories, kind.counts, strict=False)) == counts
    assert read.histograms["kind"].bins == read.before.histograms["kind"].bins
    amount, values = read.histograms["amount"], MOVED["amount"].dropna()
    assert amount.missing == MOVED["amount"].isna().sum()
    assert amount.mean == pytest.approx(values.mean(), rel=1e-9)
    assert amount.deviation == pytest.approx(values.std(ddof=0), rel=1e-9)
    assert (amount.low, amount.high) == (values.min(), values.max())
    drifts = [value for name, value in read.numbers.items() if name.startswith("ValueDrift(column=amount")]
    assert drifts == [pytest.approx(snapshot.dict()["metrics"][-1]["value"])]
    kept = read.before.reference(RULES)
    assert judge_state(read.state, kept).moved()[0] == "amount"


def test_a_report_holds_metrics_and_categories_and_says_what_it_lacks(snapshot, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(snapshot.json())
    read = read_profile(path)
    assert read.numbers == {one["metric_name"]: one["value"] for one in snapshot.dict()["metrics"]}
    assert set(read.histograms) == {"kind"}
    assert any(one.startswith("amount: its distribution") for one in read.not_held)
    assert read.before is None
    against = read_profile(path, against=reference(BEFORE, rules=RULES))
    assert against.histograms["kind"].missing == MOVED["kind"].isna().sum()


def test_numbers_of_a_snapshot_are_not_put_into_bins_that_they_were_not_counted_in(snapshot, tmp_path):
    path = tmp_path / "snapshot.json"
    path.write_text(snapshot.dumps())
    read = read_profile(path, against=reference(BEFORE, rules=RULES))
    assert set(read.histograms) == {"kind"}
    assert "amount: its counts in the reference's bins, as they are in Evidently's own" in read.not_held


def test_files_that_are_damaged_or_of_nobody_are_refused(profile, tmp_path):
    path = profile(SAME)
    cut = tmp_path / "cut.bin"
    cut.write_bytes(path.read_bytes()[:200])
    with pytest.raises(DataFault, match="no whole profile of whylogs"):
        read_profile(cut)
    other = tmp_path / "other.json"
    other.write_text('{"a": 1}')
    with pytest.raises(DataFault, match="no tool that is known"):
        read_profile(other)
    other.write_text('{"metrics": [{"config": "evidently:metric_v2:"}]}')
    with pytest.raises(DataFault, match="no report or snapshot of Evidently"):
        read_profile(other)
