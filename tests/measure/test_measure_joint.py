"""How far columns moved together, held against the same computed row by row, and against its closed form."""

import json

import numpy as np
import pytest
from scipy import stats

from everloop.measure.histogram import build_bins, count
from everloop.measure.joint import JointShift, fit_joint, is_class, scores_of

ROWS = 4000


def drawn(rows, seed, shift=0.0):
    """Three numbers that hang together, and two classes that do; one number misses values."""
    random = np.random.default_rng(seed)
    shared = random.normal(size=rows) + shift
    a, b, c = (shared + random.normal(size=rows) for _ in range(3))
    missing = np.where(random.random(rows) < 0.1, np.nan, c)
    kind = np.array(["x", "y", "z"], dtype=object)[np.digitize(shared, [-0.5, 0.8])]
    flag = (a > 0).astype(float)
    return {"a": a, "b": np.exp(b), "c": missing, "kind": kind, "flag": flag}


def places_in(histogram, values):
    if histogram.bins.kind == "categorical":
        return np.array([histogram.bins.categories.index(value) for value in values])
    found = np.searchsorted(np.asarray(histogram.bins.edges), values, side="right")
    return np.where(np.isnan(values), histogram.bins.size, found)


BEFORE = drawn(ROWS, 0)
WHOLE = {name: count(build_bins(values), values) for name, values in BEFORE.items()}
PLACES = {name: places_in(WHOLE[name], values) for name, values in BEFORE.items()}
NUMBERS = fit_joint(WHOLE, PLACES, classes=False)
CLASSES = fit_joint(WHOLE, PLACES, classes=True)


def counts(table):
    found = {name: count(WHOLE[name].bins, values) for name, values in table.items()}
    return {name: np.array([[*each.counts, each.missing]], dtype=float) for name, each in found.items()}


def moved(joint, table):
    return joint.moves(WHOLE, counts(BEFORE), counts(table))


def test_columns_of_few_values_are_classes():
    assert NUMBERS.columns == ("a", "b", "c")
    assert CLASSES.columns == ("kind", "flag")
    assert is_class(WHOLE["flag"])


@pytest.mark.parametrize("name", WHOLE)
def test_scores_have_no_mean_and_each_column_has_a_variance_of_one(name):
    scores = scores_of(WHOLE[name])[:, PLACES[name]]
    assert scores.mean(axis=1) == pytest.approx(0, abs=1e-9)
    assert scores.var(axis=1).sum() == pytest.approx(1)


@pytest.mark.parametrize("joint", [NUMBERS, CLASSES], ids=["numbers", "classes"])
def test_the_distance_from_counts_is_that_of_the_rows(joint):
    window = drawn(500, 1, shift=0.1)
    rows = [
        np.concatenate(
            [scores_of(WHOLE[name])[:, places_in(WHOLE[name], table[name])] for name in joint.columns]
        )
        for table in (BEFORE, window)
    ]
    apart = (rows[1].mean(axis=1) - rows[0].mean(axis=1)) / np.sqrt(1 / 500 + 1 / ROWS)
    expected = apart @ apart / np.trace(np.cov(rows[0], bias=True))
    assert joint.distances(moved(joint, window))[0] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("joint", [NUMBERS, CLASSES], ids=["numbers", "classes"])
def test_windows_without_a_shift_are_as_far_as_chance_says(joint):
    # New references as well as new windows: the rows of one reference are off by chance in one way.
    found = []
    for seed in range(200):
        table = drawn(1400, 100 + seed)
        before, after = (
            counts({name: values[part] for name, values in table.items()})
            for part in (slice(1000), slice(1000, None))
        )
        found.append(joint.distances(joint.moves(WHOLE, before, after))[0])
    expected = joint.of_chance(4000, np.random.default_rng(1))
    assert stats.ks_2samp(found, expected).pvalue > 0.001
    assert np.mean(found) == pytest.approx(1, abs=0.2)


def test_a_part_of_a_window_is_as_noisy_as_a_window_of_its_size():
    random = np.random.default_rng(4)
    still = np.zeros((1, len(NUMBERS.covariance)))
    thinned = np.concatenate([NUMBERS.thinned(still, 0.0, random) for _ in range(3000)])
    np.testing.assert_allclose(np.cov(thinned, rowvar=False), NUMBERS.covariance, atol=0.06)
    assert NUMBERS.thinned(still + 1, 0.25, np.random.default_rng(0)).mean() < 1


def test_each_column_has_its_share_of_the_distance():
    window = drawn(800, 5)
    window["b"] = window["b"] * 1.5
    shares = NUMBERS.shares(WHOLE, moved(NUMBERS, window))
    assert next(iter(shares)) == "b"
    assert sum(shares.values()) == pytest.approx(1)


def test_json_round_trip():
    again = JointShift.from_dict(json.loads(json.dumps(NUMBERS.to_dict())))
    assert again == NUMBERS


def test_what_is_learned_from_is_bounded():
    many = {f"{name}{i}": i for i in range(60) for name in "ab"}
    wide = fit_joint(
        {name: WHOLE[name[0]] for name in many}, {name: PLACES[name[0]] for name in many}, classes=False
    )
    assert len(wide.columns) == 64
    assert fit_joint(WHOLE, {name: place[:1] for name, place in PLACES.items()}, classes=False) is None
    assert fit_joint(WHOLE, {}, classes=True) is None


def test_a_shift_that_classes_share_is_found_sooner_than_by_any_of_them_alone():
    random = np.random.default_rng(6)

    def mixed(rows, share):
        """Twelve flags, each of which is a hidden one in half of the rows."""
        hidden = random.random((rows, 1)) < share
        flags = np.where(random.random((rows, 12)) < 0.5, hidden, random.random((rows, 12)) < 0.3)
        return {f"c{i}": flags[:, i].astype(float) for i in range(12)}

    before = mixed(ROWS, 0.3)
    whole = {name: count(build_bins(values), values) for name, values in before.items()}
    joint = fit_joint(whole, {name: places_in(whole[name], before[name]) for name in whole}, classes=True)
    one = {name: (values.mean(), values.std()) for name, values in before.items()}

    def found(share):
        looks = []
        for _ in range(300):
            window = mixed(1000, share)
            rows = {name: np.array([[*each.counts, 0]], float) for name, each in whole.items()}
            after = {name: np.zeros_like(counts) for name, counts in rows.items()}
            for name, values in window.items():
                after[name][0, places_in(whole[name], np.array([0.0, 1.0]))] = (
                    1000 - values.sum(),
                    values.sum(),
                )
            alone = [abs(window[name].mean() - mean) / deviation for name, (mean, deviation) in one.items()]
            looks.append((joint.distances(joint.moves(whole, rows, after))[0], max(alone)))
        return np.array(looks)

    quiet, shifted = found(0.3), found(0.35)
    power = (shifted > np.quantile(quiet, 0.95, axis=0)).mean(axis=0)
    assert power[0] > power[1] + 0.1
