"""A package of a Python runtime behind every route: contract, log, metrics, and rows that its model refuses."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from sklearn.ensemble import VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer

import everloop as el
from everloop.core.errors import DataFault

X = np.random.default_rng(1).normal(size=(120, 2))
ROW = {"size": 0.25, "age": -1.5}


def model():
    bins = KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")
    members = [("bins", make_pipeline(bins, LogisticRegression())), ("bayes", GaussianNB())]
    return VotingClassifier(members, voting="soft").fit(X, np.where(X[:, 0] > 0, "yes", "no"))


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python") / "package"
    el.model.package(model(), folder, sample=pl.DataFrame({"size": X[:, 0], "age": X[:, 1]}), name="shop")
    return folder


def test_every_route_answers_as_the_model_and_nothing_makes_a_500(package, start_server, tmp_path):
    server = start_server(package=str(package))
    chance = model().predict_proba([[ROW["size"], ROW["age"]]])[0, 1]
    answer = server.client.post("/predict", json=ROW).json()
    assert answer["prediction"] == ("yes" if chance >= 0.5 else "no")
    assert answer["score"] == pytest.approx(chance, abs=1e-12)
    many = server.client.post("/predict", json={"rows": [ROW, {**ROW, "size": -2}]}).json()
    assert many["predictions"][0]["score"] == answer["score"]
    explained = server.client.post("/predict?explain=2", json=ROW).json()
    assert {one["column"] for one in explained["reasons"]} <= set(ROW)
    records = {"dataframe_records": [ROW]}
    assert server.client.post("/invocations", json=records).status_code == 200
    assert server.client.post("/v1/models/shop:predict", json={"instances": [ROW]}).status_code == 200
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]} for name, value in ROW.items()
    ]
    assert server.client.post("/v2/models/shop/infer", json={"inputs": inputs}).status_code == 200
    assert 'everloop_predictions_total{version="1"' in server.client.get("/metrics").text
    wrong = server.client.post("/predict", json={**ROW, "size": "large"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "size")
    missing = server.client.post("/predict", json={"size": 1.0})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "age")
    huge = server.client.post("/predict", json={**ROW, "size": 1e308})
    assert huge.status_code in (200, 422)
    assert server.client.post("/predict", json=ROW).status_code == 200
    assert server.stop() == (0, "")
    logged = b"".join(path.read_bytes() for path in (tmp_path / "log").rglob("*") if path.is_file())
    assert answer["id"].encode() in logged


def test_what_the_model_itself_refuses_is_told_without_the_value(package):
    loaded = el.runtime.Package(package)
    with pytest.raises(DataFault, match="refuses the row: its library raised ValueError") as raised:
        loaded.answer({"size": float("inf"), "age": 17.5})
    assert "17.5" not in raised.value.message


def test_a_compiled_package_imports_no_library(packages):
    """And a Python runtime imports it only once the package is loaded."""
    script = (
        "import sys, everloop.runtime as r\n"
        "heavy = lambda: [m for m in ('sklearn', 'skops', 'pandas', 'everloop.runtime.python') if m in sys.modules]\n"
        f"r.Package({str(packages['binary'])!r}).answer({{'amount': 1.0, 'region': 'north'}})\n"
        "print(heavy())"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_the_manifest_says_what_answers(package):
    manifest = json.loads((package / "manifest.json").read_bytes())
    assert manifest["runtime"] == "python"
    assert manifest["requirements"]["scikit-learn"].count(".") >= 1
    assert set(manifest["files"]) == {
        "card.html", "contract.json", "explain.npz", "parity.json", "pipeline.skops", "plan.json",
    }  # fmt: skip
