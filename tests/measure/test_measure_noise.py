"""Confident learning against the paper's definitions, by hand. cleanlab itself: integrations/cleanlab."""

import numpy as np
import pytest

from everloop.measure.noise import label_noise


def test_the_confident_joint_by_hand() -> None:
    chances = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.1, 0.9], [0.3, 0.7], [0.95, 0.05]])
    labels = [0, 0, 0, 1, 1, 1]
    # Mean chance of the own label: class 0: (0.9 + 0.6 + 0.2) / 3, class 1: (0.9 + 0.7 + 0.05) / 3.
    found = label_noise(labels, chances)
    assert found.suspects.tolist() == [5, 2]
    assert found.joint.tolist() == [[2, 1], [1, 2]]
    assert found.share == pytest.approx(2 / 6)


def test_turned_labels_are_found() -> None:
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 3000)
    chances = np.eye(3)[truth] * 0.8 + random.dirichlet(np.ones(3), 3000) * 0.2
    labels = truth.copy()
    wrong = random.choice(3000, 300, replace=False)
    labels[wrong] = (labels[wrong] + 1) % 3
    found = label_noise(labels, chances)
    assert set(found.suspects.tolist()) == set(wrong.tolist())
    assert found.share == pytest.approx(0.1, abs=0.01)
    assert label_noise(truth, chances).share == 0


def test_no_rows_have_no_noise() -> None:
    assert label_noise([], np.empty((0, 2))).share == 0
