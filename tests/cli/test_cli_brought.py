"""A lifecycle whose sole learner was brought and does not compile, from the check to a served answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import numpy as np
import polars as pl
import pytest
from sklearn.naive_bayes import GaussianNB

from everloop.deploy.release import PACKAGE_FOLDER
from everloop.loop.workspace import Workspace
from everloop.model.learners import Capabilities, registry
from everloop.model.trained import Trained
from everloop.record.rows import DecisionRow, VersionRow
from everloop.runtime.manifest import read_manifest
from everloop.runtime.server import create_app
from everloop.runtime.service.settings import ServerSettings
from everloop.spec import load


class Bayes:
    """A learner of another package, whose estimator has no compiled form."""

    name = "bayes"
    capabilities = Capabilities(tasks=("binary",), cost=0.01)
    space = ()
    portfolio = ({},)

    def fit(self, X, y, *, task, configuration, weights=None, seed=0, threads=1):
        return GaussianNB().fit(X, y)


@pytest.fixture
def brought(home: Path, lifecycle: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    known, plain = registry.known_learners, registry.learner
    monkeypatch.setattr(registry, "known_learners", lambda: {**known(), "bayes": "tests"})
    monkeypatch.setattr(registry, "learner", lambda name: Bayes() if name == "bayes" else plain(name))
    (home / "everloop.yaml").write_text(lifecycle.replace("[linear]", "[bayes]"))
    return home


def served(package: Path, log: Path, row: dict[str, object]) -> float:
    app = create_app(ServerSettings(package=str(package), log=str(log)))
    app.start()

    async def asked() -> float:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            answer = await client.post("/predict", json=row)
            assert answer.status_code == 200, answer.text
            return float(answer.json()["score"])

    try:
        return asyncio.run(asked())
    finally:
        app.stop()


def test_the_check_says_it_before(cli, brought: Path) -> None:
    checked = cli("check")
    assert checked.status == 0, checked.err
    assert "in a Python runtime, slower than compiled, unless an estimator of bayes compiles" in checked.out


def test_it_serves_in_a_python_runtime_and_everything_says_so(cli, brought: Path) -> None:
    ran = cli("run")
    assert ran.status == 0, ran.err
    assert "serves in a Python runtime, slower than compiled (" in ran.out + ran.err
    with Workspace.open(load(brought)) as workspace:
        (version,) = workspace.record.find(VersionRow)
        package = workspace.store.open(version.package) / PACKAGE_FOLDER
        manifest = read_manifest(package)
        trained = Trained.load(workspace.store.open(manifest.lineage["trained"]))
        decided = {row.kind: row for row in workspace.record.find(DecisionRow)}
    assert (manifest.runtime, version.status) == ("python", "champion")
    assert "it serves in a Python runtime" in decided["gate"].reason
    assert "Python runtime" in decided["release"].reason
    assert "It serves in a Python runtime" in (package / "card.html").read_text()
    rows = pl.read_csv(brought / "rows.csv").select(trained.columns)
    row = rows.row(0, named=True)
    expected = float(np.ravel(trained.scores(rows.head(1)))[0])
    assert served(package, brought / "log", row) == pytest.approx(expected, abs=1e-9)
