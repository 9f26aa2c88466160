"""A version that was not compiled: its gate, its release and its card say that a Python runtime serves it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

import everloop as el
from everloop.deploy.candidate import Candidate
from everloop.deploy.gate import GateResult, Question, judge
from everloop.deploy.release import release
from everloop.deploy.versions import new_version
from everloop.record.rows import DecisionRow
from everloop.spec import DeploySpec, parse
from everloop.spec.frame import Frame
from everloop.testing.memory_record import MemoryRecord

NOON = datetime(2024, 1, 31, 12, tzinfo=UTC)
X = np.random.default_rng(0).normal(size=(160, 2))
ROWS = pl.DataFrame({"size": X[:, 0], "age": X[:, 1], "y": np.where(X[:, 0] > 0, "yes", "no")})
FRAME = Frame(
    task="binary", target="y", classes=("no", "yes"), positive="yes", metric="roc_auc", inputs=("size", "age")
)
FILE = "name: a\nproblem: {{target: y}}\ndata: {{sources: {{d: {{file: d.csv}}}}}}\nmodel: {{{model}}}"
MODELS = {"python": make_pipeline(KernelPCA(2, kernel="rbf"), SVC()), "graph": LogisticRegression()}


@pytest.fixture(params=MODELS)
def packaged(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    model = MODELS[request.param].fit(X, ROWS["y"].to_numpy())
    manifest = el.model.package(model, tmp_path / "package", sample=ROWS.drop("y"), target="y")
    assert manifest.runtime == request.param
    return request.param, tmp_path / "package"


def judged(folder: Path, model: str = "") -> GateResult:
    spec = parse(FILE.format(model=model))
    return judge(Question(Candidate(folder, ROWS, FRAME), None, None, el.data.learn(ROWS), spec))


def test_the_gate_tells_what_serves_and_why(packaged: tuple[str, Path]) -> None:
    runtime, folder = packaged
    found = judged(folder)
    assert found.passed
    told = [check for check in found.checks if check.name == "runtime"]
    if runtime == "graph":
        assert told == []
        assert "Python" not in found.reason
        assert "notices" not in found.to_dict()
        return
    (check,) = told
    assert "scikit-learn" in check.found
    assert set(check.evidence["requirements"]) >= {"scikit-learn", "skops"}
    assert "cannot be compiled" in check.evidence["reason"]
    assert "it serves in a Python runtime" in found.reason


def test_the_size_of_what_serves_is_bounded(packaged: tuple[str, Path]) -> None:
    runtime, folder = packaged
    name = {"graph": "score.onnx", "python": "pipeline.skops"}[runtime]
    size = sum((folder / each).stat().st_size for each in (name, "plan.json"))
    (check,) = (one for one in judged(folder, "max_size: 1kB").checks if one.name == "model.max_size")
    assert check.evidence == {"bytes": size}
    assert check.passed == (size <= 1000)


def test_the_decision_to_release_has_it_in_its_evidence(packaged: tuple[str, Path]) -> None:
    runtime, folder = packaged
    found = judged(folder)
    record = MemoryRecord()
    decisions = []
    for number in (1, 2):
        version = new_version("a", number, NOON, package=f"p{number}")
        record.add(version)
        gate = DecisionRow(f"gate_{number}", "a", NOON, "gate", "passed", found.reason, found.to_dict())
        record.add(gate)
        decisions.append(release(record, version, DeploySpec(), NOON, gate=gate.id))
    assert [decision.kind for decision in decisions] == ["release", "rollout"]
    for decision in decisions:
        assert ("notices" in decision.facts) == (runtime == "python")
        assert ("Python runtime" in decision.reason) == (runtime == "python")


def test_the_card_says_so(packaged: tuple[str, Path]) -> None:
    runtime, folder = packaged
    card = folder / "card.html"
    assert card.exists() == (runtime == "python")
    if runtime == "python":
        assert "It serves in a Python runtime" in card.read_text()
