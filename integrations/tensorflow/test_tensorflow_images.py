"""The convolutional network by Keras: the learners' suite, and a run from files to a proven graph."""
# ruff: noqa: D101, D103, INP001, S101, S603

import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import polars as pl
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from everloop.model.learners import learner
from everloop.testing.learner_suite import LearnerSuite

SMALL: dict[str, object] = {"filters": 8, "blocks": 2, "units": 32, "epochs": 20, "learning_rate": 0.01}
ROWS = 240
FILE = """
name: digits
problem: {target: digit}
data: {sources: {digits: {file: digits.csv}}, files: [picture], split: {by: stratified}}
model: {learners: [cnn_keras], budget: {trials: 1}, select_features: false}
"""


class TestCnnKeras(LearnerSuite):
    learner = learner("cnn_keras")
    configuration: ClassVar = SMALL


def test_it_beats_a_linear_model_on_images() -> None:
    X, y = load_digits(return_X_y=True)
    X, Xt, y, yt = X[:900] / 6 - 1, X[900:] / 6 - 1, y[:900], y[900:]
    linear = LogisticRegression(max_iter=500).fit(X, y).score(Xt, yt)
    keras = learner("cnn_keras")
    configuration = {**keras.portfolio[0], "grids": ((0, 8, 8, 1),)}
    found = keras.fit(X, y, task="multiclass", configuration=configuration)
    accuracy = float((found.predict(Xt) == yt).mean())
    print(f"accuracy on 897 digits: cnn_keras {accuracy:.3f}, linear {linear:.3f}")  # noqa: T201
    assert accuracy > linear + 0.02


def test_a_run_from_files_is_proven(tmp_path) -> None:
    """Fits are made in children, forked after Keras was loaded and before it computed."""
    X, y = load_digits(n_class=3, return_X_y=True)
    (tmp_path / "digits").mkdir()
    names = [f"digits/{place:04d}.png" for place in range(ROWS)]
    for name, pixels in zip(names, X[:ROWS].reshape(-1, 8, 8), strict=True):
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(tmp_path / name)
    pl.DataFrame({"picture": names, "digit": y[:ROWS]}).write_csv(tmp_path / "digits.csv")
    (tmp_path / "everloop.yaml").write_text(FILE)
    command = [sys.executable, "-m", "everloop.cli", "run", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    certificate = json.loads(next((tmp_path / ".everloop").rglob("parity.json")).read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    assert all(one["decisions_differ"] == 0 for one in certificate["runtimes"].values())
