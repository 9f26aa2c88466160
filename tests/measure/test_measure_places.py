import numpy as np
import pytest

from everloop.measure import places
from everloop.measure.estimate import fit_estimator
from everloop.measure.places import MANY, places_of

METRICS = ("roc_auc", "average_precision", "f1", "precision", "recall", "accuracy", "positive_rate")
ROWS = MANY + 5_000


def drawn(seed, n=ROWS):
    random = np.random.default_rng(seed)
    odds = random.normal(-0.5, 1.5, n)
    return 1 / (1 + np.exp(-0.7 * odds)), random.random(n) < 1 / (1 + np.exp(-odds))


def straight(scores):
    return scores


FORMS = {
    "smooth": lambda scores: scores,
    "rounded": lambda scores: np.round(scores, 5),
    "few distinct": lambda scores: np.round(scores, 2),
    "crowded at the low end": lambda scores: scores**12,
    "saturated": lambda scores: np.where(scores > 0.9, 1.0, scores),
    "one far away": lambda scores: np.where(np.arange(scores.size) == 7, 1e9, scores),
    "all the same": lambda scores: np.full(scores.size, 0.3),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("calibrated", [False, True])
def test_counting_in_cells_estimates_what_sorting_does(form, calibrated, monkeypatch):
    scores = FORMS[form](drawn(1)[0])
    fitted = fit_estimator(*drawn(0, 50_000), calibrated=calibrated)
    if calibrated:
        scores = np.clip(scores, 0, 1)
    counted = fitted.estimate(scores, METRICS, threshold=0.4)
    monkeypatch.setattr(places, "MANY", scores.size + 1)
    for name, exact in fitted.estimate(scores, METRICS, threshold=0.4).items():
        ours = counted[name]
        assert (ours.low, ours.estimate, ours.high) == pytest.approx(
            (exact.low, exact.estimate, exact.high), rel=1e-8, nan_ok=True
        )


def test_many_rows_have_fewer_places_and_lose_none():
    scores = drawn(2)[0]
    edges = np.array([0.25, 0.5])
    found = places_of(scores, straight, edges)
    assert found.scores.size < ROWS / 1.5
    assert found.spread.any()
    assert (np.diff(found.scores) > 0).all()
    assert found.rows.sum() == ROWS
    assert found.found.sum() == pytest.approx(scores.sum())
    upto = np.concatenate(([0.0], np.cumsum(found.rows)))
    assert upto[found.below(edges)].tolist() == [(scores < edge).sum() for edge in edges]


def test_few_rows_are_places_by_their_scores():
    found = places_of(np.array([0.5, 0.1, 0.5]), straight, np.array([0.5]))
    assert (found.scores.tolist(), found.rows.tolist(), found.found.tolist()) == (
        [0.1, 0.5],
        [1, 2],
        [0.1, 1],
    )
    assert not found.spread.any()


@pytest.mark.parametrize("scores", [np.zeros(0), np.array([np.inf, 0.2] * MANY)])
def test_what_has_no_cells_is_sorted(scores):
    found = places_of(scores, straight, np.array([0.5]))
    assert found.rows.sum() == scores.size
    assert not found.spread.any()
