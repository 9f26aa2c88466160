"""A search none of whose learners compiles comes to a package of a Python runtime that answers as it did."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import polars as pl
import pytest
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import OneClassSVM

import everloop as el
from everloop.core.errors import ModelFault, PackageRefused, TrainingFailed
from everloop.core.files import write_file
from everloop.measure.calibration import Sigmoid
from everloop.model import finishing
from everloop.model.ensemble import Ensemble
from everloop.model.estimators.rescaled import Rescaled
from everloop.model.estimators.reweighed import Reweighed
from everloop.model.learners import Capabilities, registry
from everloop.model.packaging import read_certificate
from everloop.model.quick_frame import quick_frame
from everloop.model.searching import Budget
from everloop.model.train import train
from everloop.model.trained import Trained
from everloop.model.training_inputs import Parts, TrainingSettings
from everloop.runtime.encoders import NumberEncoder
from everloop.runtime.manifest import read_manifest, write_manifest
from everloop.runtime.plan import Plan, PlanInput
from everloop.runtime.python import PreparedModel
from everloop.spec.frame import Frame

X = np.random.default_rng(0).normal(size=(120, 2))
INSIDE = (X[:, 0] ** 2 + X[:, 1] ** 2 < 1.4).astype(int)
ROWS = pl.DataFrame({"x": X[:, 0], "z": X[:, 1]})
RING = ROWS.with_columns(target=np.where(INSIDE, "in", "out"))
PLAN = Plan(
    tuple(PlanInput(name, "number") for name in ("x", "z")),
    (NumberEncoder("x", 0, fill=0.0, low=-9.0, high=9.0), NumberEncoder("z", 1, low=-9.0, high=9.0)),
    2,
)


def trained_of(estimator: Any, task: str, classes: tuple[str, ...] = (), **more: Any) -> Trained:
    frame = Frame(task=task, target="y", classes=classes, metric="log_loss", inputs=("x", "z"))
    if task in ("binary", "anomaly"):
        frame, more = Frame(**{**frame.to_dict(), "positive": classes[1]}), {"threshold": 0.4, **more}
    return Trained(frame=frame, plan=PLAN, learner="brought", configuration={}, estimator=estimator, **more)


def both(classes: Any = INSIDE) -> Ensemble:
    first = Reweighed(GaussianNB().fit(X, classes), [0.5, 1.5, 1.0][: len(np.unique(classes))])
    second = QuadraticDiscriminantAnalysis().fit(X[:, ::-1], classes)
    return Ensemble([first, second], [np.arange(2), np.array([1, 0])], [0.3, 0.7], len(first.classes_))


MODELS = {
    "two members, reweighed and calibrated": lambda: trained_of(
        both(), "binary", ("no", "yes"), calibration=Sigmoid(1.3, -0.2)
    ),
    "three classes": lambda: trained_of(
        both(np.digitize(X[:, 0], [-0.5, 0.5])), "multiclass", ("a", "b", "c")
    ),
    "a class that was never seen": lambda: trained_of(
        GaussianNB().fit(X, 2 * INSIDE), "multiclass", ("a", "b", "c")
    ),
    "a number learned on a scale": lambda: trained_of(
        Rescaled(GaussianProcessRegressor(alpha=0.1).fit(X, X[:, 0]), "log", 0.5, 1.0, 0.7, (-2.0, 2.0)),
        "regression",
    ),
    "unusual rows": lambda: trained_of(OneClassSVM().fit(X), "anomaly", ("normal", "anomaly")),
}


@pytest.mark.parametrize("name", MODELS)
def test_what_a_search_came_to_answers_as_it_did(tmp_path: Path, name: str) -> None:
    trained = MODELS[name]()
    manifest = el.model.package(trained, tmp_path / "package", sample=ROWS)
    assert manifest.runtime == "python"
    assert {"scikit-learn", "skops"} <= set(manifest.requirements)
    assert "everloop" not in manifest.requirements
    assert {one.name: one.nullable for one in manifest.inputs} == {"x": True, "z": False}
    package = el.runtime.Package(tmp_path / "package")
    expected = trained.scores(ROWS).reshape(len(X), -1)
    np.testing.assert_allclose(package.scores(ROWS), expected, atol=1e-12)
    np.testing.assert_allclose(
        np.ravel(package.answer(ROWS.row(3, named=True)).score), expected[3], atol=1e-9
    )
    decided = trained.decide(trained.scores(ROWS), ROWS)
    chosen = np.array(manifest.classes)[decided] if manifest.classes else decided
    assert np.array_equal(package.predict(ROWS), chosen)
    certificate = read_certificate(package.folder)
    assert certificate["passed"]
    assert set(certificate["runtimes"]) == {"trained", "row", "batch"}
    assert "cannot be compiled" in certificate["absent"]["graph"]


def test_a_runtime_that_is_asked_for(tmp_path: Path) -> None:
    compiles = trained_of(LogisticRegression().fit(X, INSIDE), "binary", ("no", "yes"))
    assert el.model.package(compiles, tmp_path / "graph", sample=ROWS).runtime == "graph"
    assert el.model.package(compiles, tmp_path / "python", sample=ROWS, runtime="python").runtime == "python"
    scores = [el.runtime.Package(tmp_path / name).scores(ROWS) for name in ("graph", "python")]
    np.testing.assert_allclose(*scores, atol=1e-12)
    with pytest.raises(ModelFault, match="GaussianNB cannot be compiled"):
        el.model.package(MODELS["three classes"](), tmp_path / "no", sample=ROWS, runtime="graph")


class Own(GaussianNB):
    """A class that no file may name."""


def test_a_class_of_a_users_own_is_refused_with_what_to_do(tmp_path: Path) -> None:
    trained = trained_of(Own().fit(X, INSIDE), "binary", ("no", "yes"))
    with pytest.raises(ModelFault, match=r"not trusted: .*Own") as raised:
        el.model.package(trained, tmp_path / "package", sample=ROWS)
    assert "scikit-learn" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "kept",
    [
        GaussianNB().fit(X, INSIDE),
        {"members": []},
        {
            "members": [{"estimator": GaussianNB(), "slots": np.array([2]), "weight": 1.0}],
            "calibration": None,
        },
        {
            "members": [{"estimator": GaussianNB(), "slots": np.array([0.5]), "weight": 1.0}],
            "calibration": None,
        },
    ],
    ids=["an estimator", "no calibration", "a slot that is not there", "slots that are no places"],
)
def test_a_file_that_holds_something_else_is_refused(kept: Any) -> None:
    with pytest.raises(PackageRefused, match="holds no model that a search"):
        PreparedModel(kept, PLAN, "binary", 2)


def test_another_type_in_the_file_is_refused_before_it_is_imported(tmp_path: Path) -> None:
    el.model.package(MODELS["three classes"](), tmp_path / "package", sample=ROWS)
    package = tmp_path / "package"
    out = BytesIO()
    with zipfile.ZipFile(package / "pipeline.skops") as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name).replace(b'"sklearn.naive_bayes"', b'"os"'))
    (package / "pipeline.skops").unlink()
    write_file(package / "pipeline.skops", out.getvalue())
    write_manifest(package, read_manifest(package))
    with pytest.raises(PackageRefused, match=r"not trusted: os\.GaussianNB"):
        el.runtime.Package(package)


class Brought:
    """A learner that was brought: each fit gives an estimator of the kind that it is called by."""

    kinds: ClassVar = {"bayes": GaussianNB, "quadratic": QuadraticDiscriminantAnalysis, "own": Own}

    def __init__(self, name: str) -> None:
        self.name = name
        self.capabilities = Capabilities(tasks=("binary",), cost=0.01)
        self.space = ()
        self.portfolio = ({},)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        return self.kinds[self.name]().fit(X, y)


def alike(found: Any, _material: Any) -> list[tuple[Any, float]]:
    """Has every trial be a member, each with the same weight."""
    return [(trial, 1 / len(found.ranked)) for trial in found.ranked]


def searched(monkeypatch: pytest.MonkeyPatch, *learners: str) -> Trained:
    plain = registry.learner
    monkeypatch.setattr(
        registry, "learner", lambda name: Brought(name) if name in Brought.kinds else plain(name)
    )
    settings = TrainingSettings(learners=learners, budget=Budget(trials=len(learners)), select=False)
    return train(Parts(RING), quick_frame(RING, "target"), settings)


def test_learners_none_of_which_compiles_are_averaged_and_kept(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(finishing, "choose_members", alike)
    trained = searched(monkeypatch, "bayes", "quadratic")
    assert trained.learner == "ensemble"
    (told,) = (note for note in trained.notes if "Python runtime" in note)
    assert "sklearn.GaussianNB of bayes" in told
    assert el.model.package(trained, tmp_path / "package", sample=RING).runtime == "python"
    said = el.runtime.Package(tmp_path / "package").scores(RING)
    np.testing.assert_allclose(said[:, 0], trained.scores(RING), atol=1e-9)


def test_of_one_that_compiles_and_one_that_does_not_the_first_alone_serves(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(finishing, "choose_members", alike)
    trained = searched(monkeypatch, "bayes", "linear")
    assert trained.learner == "linear"
    assert any(note.startswith("bayes (best score") and "passed over" in note for note in trained.notes)
    assert el.model.package(trained, tmp_path / "package", sample=RING).runtime == "graph"


def test_the_best_stays_where_no_other_compiles(monkeypatch) -> None:
    trained = searched(monkeypatch, "bayes", "quadratic")
    best = max((one for one in trained.trials), key=lambda one: one.score)
    assert trained.learner in (best.learner, "ensemble")
    assert not any("passed over" in note for note in trained.notes)


def test_a_sole_learner_that_cannot_be_kept_is_refused_with_what_to_do(monkeypatch) -> None:
    with pytest.raises(TrainingFailed, match=r"not trusted: .*Own") as raised:
        searched(monkeypatch, "own")
    assert "estimators of scikit-learn" in raised.value.hint
