"""Clusterings and detectors of anomalies are measured as scikit-learn measures them, or by a closed form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as theirs

from everloop.core.tasks import TASKS
from everloop.measure import compute
from everloop.measure.capacity import MASSES
from everloop.measure.clusters import adjusted_rand, silhouette_values
from everloop.measure.metrics import METRICS, metrics_of

RANDOM = np.random.default_rng(7)
ROWS = RANDOM.normal(size=(900, 3)) + 2.0 * RANDOM.integers(0, 4, size=(900, 1))
LABELS = RANDOM.integers(0, 4, size=900)


@pytest.mark.parametrize(
    ("name", "reference"),
    [
        ("silhouette", theirs.silhouette_score),
        ("davies_bouldin", theirs.davies_bouldin_score),
        ("calinski_harabasz", theirs.calinski_harabasz_score),
    ],
)
def test_clusters_are_measured_as_by_scikit_learn(name, reference):
    assert compute(name, ROWS, LABELS) == pytest.approx(reference(ROWS, LABELS), rel=1e-9)
    lonely = np.where(np.arange(900) == 5, 9, LABELS)
    assert compute(name, ROWS, lonely) == pytest.approx(reference(ROWS, lonely), rel=1e-9)


def test_each_row_has_its_silhouette():
    np.testing.assert_allclose(
        silhouette_values(ROWS, LABELS), theirs.silhouette_samples(ROWS, LABELS), atol=1e-12
    )


@given(
    pairs=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=40),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_agreement_of_divisions_is_that_of_scikit_learn(pairs):
    a, b = zip(*pairs, strict=True)
    assert adjusted_rand(a, b) == pytest.approx(theirs.adjusted_rand_score(a, b), abs=1e-12)
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand(b, [9 - one for one in a]), abs=1e-12)


def test_whole_weights_are_repeated_rows():
    counts = np.arange(900) % 4
    times = np.repeat(np.arange(900), counts)
    for name in ("silhouette", "davies_bouldin", "calinski_harabasz"):
        assert compute(name, ROWS, LABELS, counts) == pytest.approx(compute(name, ROWS[times], LABELS[times]))
    other = np.where(np.arange(900) % 3 == 0, LABELS, 0)
    expected = theirs.adjusted_rand_score(LABELS[times], other[times])
    assert adjusted_rand(LABELS, other, counts) == pytest.approx(expected)


def test_one_cluster_is_not_known():
    for name in ("silhouette", "davies_bouldin", "calinski_harabasz"):
        assert np.isnan(compute(name, ROWS, np.zeros(900)))


def test_what_is_found_within_a_capacity():
    actual = np.array([1, 0, 1, 0, 0, 0, 0, 0, 1, 0] * 10)
    scores = np.arange(100.0)[::-1]
    # The five highest scores: rows 0 to 4, of which 0 and 2 are positive, out of thirty.
    assert compute("recall_at_5_percent", actual, scores) == pytest.approx(2 / 30)
    assert compute("precision_at_5_percent", actual, scores) == pytest.approx(2 / 5)
    assert compute("precision_at_1_percent", actual, scores) == 1.0
    assert np.isnan(compute("recall_at_5_percent", np.zeros(100), scores))


def test_of_equal_scores_a_part_is_taken_as_by_chance():
    actual = np.array([1] * 10 + [0] * 90)
    assert compute("recall_at_5_percent", actual, np.zeros(100)) == pytest.approx(0.05)
    assert compute("precision_at_5_percent", actual, np.zeros(100)) == pytest.approx(0.10)


def test_excluded_volume_has_its_closed_form():
    """Rows even on [0, 1] and points even on [0, 4], scored by their place: a mass m needs m / 4 of the room."""
    rows, points = np.linspace(0, 1, 40_001), np.linspace(0, 4, 40_001)
    is_row = np.repeat([1, 0], 40_001)
    found = compute("volume_excluded", is_row, np.concatenate([rows, points]))
    assert found == pytest.approx(1 - MASSES.mean() / 4, abs=1e-4)


def test_a_score_that_knows_nothing_excludes_what_it_leaves_out():
    random = np.random.default_rng(0)
    is_row = np.repeat([1, 0], 50_000)
    found = compute("volume_excluded", is_row, random.random(100_000))
    assert found == pytest.approx(1 - MASSES.mean(), abs=2e-3)


def test_excluded_volume_does_not_change_under_a_rising_function():
    random = np.random.default_rng(1)
    is_row, scores = np.repeat([1, 0], 500), random.normal(size=1000)
    assert compute("volume_excluded", is_row, scores) == compute("volume_excluded", is_row, np.exp(scores))


@pytest.mark.parametrize("task", sorted(TASKS))
def test_every_task_has_metrics_and_its_own_one_needs_no_labels(task):
    names = {metric.name for metric in metrics_of(task)}
    assert names
    if not TASKS[task].needs_target:
        assert TASKS[task].metric in names
        assert not METRICS[TASKS[task].metric].needs_actual
