"""Our confident learning beside cleanlab's own, on labels of which some were turned."""
# ruff: noqa: D103, INP001, S101

import numpy as np
import pytest
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

from everloop.measure.noise import label_noise


def turned(classes: int, seed: int, rows: int = 1500):
    random = np.random.default_rng(seed)
    truth = random.choice(classes, rows, p=random.dirichlet(np.full(classes, 5.0)))
    chances = random.dirichlet(np.ones(classes), rows)
    chances[np.arange(rows), truth] += random.uniform(0, 2, rows)
    chances /= chances.sum(axis=1, keepdims=True)
    labels = np.where(random.random(rows) < 0.15, random.integers(0, classes, rows), truth)
    return labels, chances


@pytest.mark.parametrize("classes", [2, 3, 6])
@pytest.mark.parametrize("seed", range(4))
def test_the_confident_joint_and_its_rows_are_cleanlabs(classes: int, seed: int) -> None:
    labels, chances = turned(classes, seed)
    ours = label_noise(labels, chances)
    theirs, places = compute_confident_joint(
        labels, chances, calibrate=True, return_indices_of_off_diagonals=True
    )
    # cleanlab rounds the calibrated joint to whole rows.
    assert np.abs(ours.joint - theirs).max() <= 1
    assert ours.share == pytest.approx(1 - np.trace(theirs) / theirs.sum(), abs=classes**2 / len(labels))
    assert set(ours.suspects.tolist()) == set(places)


def test_the_worst_rows_are_among_those_it_filters() -> None:
    labels, chances = turned(3, 9)
    theirs = find_label_issues(
        labels, chances, filter_by="confident_learning", return_indices_ranked_by="self_confidence"
    )
    assert label_noise(labels, chances).suspects.tolist() == theirs.tolist()
