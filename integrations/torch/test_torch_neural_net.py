"""The neural net for tables: the learners' suite, a run from a file, and answers without PyTorch."""
# ruff: noqa: D101, D103, INP001, S101, S603

import json
import subprocess
import sys
from typing import ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from everloop.model.learners import learner
from everloop.testing.learner_suite import LearnerSuite

FILE = """
name: tumours
goal:
  today: {always: "no"}
  value: {currency: EUR, true_positive: 90, false_positive: -10, false_negative: -100, true_negative: 0}
problem: {target: malignant, positive: "yes"}
data: {sources: {cells: {file: cells.csv}}, split: {by: random}}
model: {learners: [neural_net], budget: {trials: 1}, select_features: false}
"""
ASK = """
import json, sys
from everloop.runtime import Package
package = Package(sys.argv[1])
rows = json.load(open(sys.argv[2]))
answers = [package.answer(row).score for row in rows]
print(json.dumps([answers, sorted({"torch", "sklearn", "polars"} & set(sys.modules))]))
"""


class TestNeuralNet(LearnerSuite):
    learner = learner("neural_net")
    configuration: ClassVar = {"layers": 2, "units": 64, "epochs": 20, "learning_rate": 0.01}


def test_it_beats_a_plain_network_of_scikit_learn() -> None:
    X, y = load_digits(return_X_y=True)
    X, Xt, y, yt = train_test_split(X, y, test_size=0.4, random_state=0, stratify=y)
    plain = make_pipeline(StandardScaler(), MLPClassifier((128, 128), early_stopping=True, random_state=0))
    theirs = log_loss(yt, plain.fit(X, y).predict_proba(Xt))
    found = learner("neural_net").fit(
        X, y, task="multiclass", configuration={"layers": 2, "units": 128, "epochs": 40}
    )
    assert log_loss(yt, found.predict_proba(Xt)) < theirs


def test_others_keep_their_chance_and_their_threads() -> None:
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2).tolist()
    torch.manual_seed(3)
    before = torch.get_num_threads()
    X = np.random.default_rng(0).normal(size=(60, 2))
    learner("neural_net").fit(X, X[:, 0], task="regression", configuration={"epochs": 2})
    assert torch.rand(2).tolist() == expected
    assert torch.get_num_threads() == before


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tumours")
    X, y = load_breast_cancer(return_X_y=True)
    table = pl.DataFrame({f"size_{place}": X[:, place] for place in range(10)})
    table.with_columns(malignant=pl.Series(np.where(y == 0, "yes", "no"))).write_csv(folder / "cells.csv")
    (folder / "everloop.yaml").write_text(FILE)
    command = [sys.executable, "-m", "everloop.cli", "run", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_run_that_names_it_serves_without_pytorch(run) -> None:
    from everloop.runtime import Package

    package = Package(next((run / ".everloop").rglob("parity.json")).parent)
    certificate = json.loads((package.folder / "parity.json").read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    rows = pl.read_csv(run / "cells.csv").drop("malignant").head(30).to_dicts()
    (run / "rows.json").write_text(json.dumps(rows))
    asked = [sys.executable, "-c", ASK, str(package.folder), str(run / "rows.json")]
    scores, loaded = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)
    assert loaded == []
    assert np.allclose(scores, package.scores(pl.DataFrame(rows)).ravel(), atol=1e-12, rtol=0)
    actual = pl.read_csv(run / "cells.csv")["malignant"].head(30).to_numpy() == "yes"
    assert ((np.array(scores) > 0.5) == actual).mean() > 0.85
