"""Recommending items from the lifecycle file to a served list, against independent implementations."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.metrics import ndcg_score
from sklearn.metrics.pairwise import cosine_similarity

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.measure import compute
from everloop.model.estimators import solved
from everloop.model.interactions import cosine_neighbours, weighted
from everloop.record.rows import WindowRow
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load, parse
from everloop.table.contract import row_checker

os.environ.setdefault("OMP_NUM_THREADS", "1")

NOW = datetime(2024, 6, 1, tzinfo=UTC)
FILE = """
name: shop
goal: {require: {recall_at_10: ">= 0.3"}}
problem: {task: recommendation, target: item, entity: customer, time: at}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {budget: {trials: 6}}
deploy: {strategy: blue_green, serve: {port: 0}}
monitor: {window: {predictions: 100}}
"""


def purchases(count: int = 4000, seed: int = 0) -> pl.DataFrame:
    """Eighty customers of four tastes buy among forty items, mostly those of their taste."""
    random = np.random.default_rng(seed)
    customer = random.integers(0, 80, count)
    own = random.random(count) < 0.9
    item = np.where(own, customer % 4 * 10 + random.integers(0, 10, count), random.integers(0, 40, count))
    start = datetime(2024, 1, 1, tzinfo=UTC)
    return pl.DataFrame(
        {
            "customer": customer,
            "item": [f"i{number:02d}" for number in item],
            "at": [start + timedelta(minutes=30 * place) for place in range(count)],
            "price": random.random(count),
        }
    )


class Ran:
    """A lifecycle that was run once."""

    def __init__(self, folder: Path, file: str = FILE) -> None:
        self.folder = folder
        (folder / "everloop.yaml").write_text(file)
        purchases().write_csv(folder / "rows.csv")
        with self.opened() as workspace:
            self.result = run_once(workspace)
            if self.result.release is not None:
                self.package = Package(read_routing(workspace.routing_path).champion.package)

    def opened(self) -> Workspace:
        return Workspace.open(load(self.folder), clock=SimulatedClock(NOW))

    def facts(self, step: str) -> dict:
        return dict(self.result.steps[step].facts)


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Ran:
    return Ran(tmp_path_factory.mktemp("shop"))


def test_a_recommender_passes_to_a_served_list(shop):
    assert shop.result.version.status == "champion", shop.facts("gate")["reason"]
    answer = shop.package.answer({"customer": 6})
    assert len(answer.prediction) == len(answer.score) == 20
    taste = [item for item in answer.prediction[:10] if item.startswith("i2")]
    assert len(taste) >= 8
    assert list(answer.score) == sorted(answer.score, reverse=True)
    facts = shop.facts("train")
    assert facts["learner"] in ("item_item", "implicit_factors")
    assert "popularity has" in facts["notes"][0]
    assert "more than popularity's" in facts["notes"][-1]


def test_an_unknown_customer_gets_what_most_have(shop):
    stranger = shop.package.answer({"customer": 999_999})
    checked = row_checker(shop.package.contract)
    assert not checked({"customer": 999_999})
    assert checked({"customer": "x"})
    assert stranger == shop.package.answer({"customer": None}) == shop.package.answer({})
    with shop.opened() as workspace:
        folder = workspace.store.open(shop.result.steps["dataset"].key)
        rows = pl.concat([pl.read_parquet(folder / f"{part}.parquet") for part in ("train", "validation")])
    counts = rows.group_by("item").agg(pl.col("customer").n_unique().alias("n"))
    most = counts.sort("n", descending=True)["n"].head(20).to_list()
    known = dict(counts.iter_rows())
    assert [known[item] for item in stranger.prediction] == most


def test_lists_are_proven_and_predicted_alike(shop, tmp_path):
    parity = shop.facts("package")["parity"]
    assert parity["passed"]
    assert parity["runtimes"]["plan_graph"]["largest_difference"] == 0.0
    asked = pl.DataFrame({"customer": [6, 7, -1]})
    lists = shop.package.predict(asked)
    assert lists.shape == (3, 20)
    assert tuple(lists[0]) == shop.package.answer({"customer": 6}).prediction
    from everloop.loop.scoring import FileRows, score_rows

    asked.write_csv(tmp_path / "asked.csv")
    score_rows(shop.package, FileRows(tmp_path / "asked.csv"), tmp_path / "out.csv")
    scored = pl.read_csv(tmp_path / "out.csv")
    assert json.loads(scored["prediction"][0]) == lists[0].tolist()


def test_the_gate_measures_the_package_as_training_did(shop):
    checks = {check["name"]: check for check in shop.facts("gate")["checks"]}
    found = checks["goal.require.recall_at_10"]["evidence"]["found"]
    assert found == pytest.approx(shop.facts("train")["metrics"]["recall_at_10"]["estimate"])
    assert found >= 0.3


def test_the_file_says_how_many_items_are_judged_and_lists_are_long_enough(tmp_path):
    file = FILE.replace("recall_at_10", "recall_at_30").replace("trials: 6", "trials: 1")
    one = Ran(tmp_path, file.replace("time: at", "time: at, optimise: map_at_3"))
    assert len(one.package.answer({"customer": 6}).prediction) == 30
    facts = one.facts("train")
    assert facts["metric"] == "map_at_3"
    assert {"map_at_3", "map_at_10", "recall_at_10", "recall_at_30"} <= facts["metrics"].keys()
    assert facts["metrics"]["recall_at_30"]["estimate"] > facts["metrics"]["recall_at_10"]["estimate"]
    (held,) = (check for check in one.facts("gate")["checks"] if "recall_at_30" in check["name"])
    assert held["evidence"]["found"] == pytest.approx(facts["metrics"]["recall_at_30"]["estimate"])


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ("problem: {optimise: ndcg_at_0}", "write ndcg_at_K"),
        ("goal: {require: {recall@5: '>= 0.1'}}", "did you mean recall_at_5?"),
        ("problem: {require: {map_at_few: '>= 0.1'}}", "write map_at_K"),
        ("deploy: {guard: {recall_at_0: not worse}}", "write recall_at_K"),
    ],
)
def test_a_number_of_items_that_is_none_is_refused_wherever_a_metric_is_named(asked, told):
    text = "name: x\ndata: {sources: {rows: {file: a.csv}}}\n"
    part = "task: recommendation, target: item, entity: customer, time: at"
    stated = asked.replace("problem: {", f"problem: {{{part}, ")
    text += stated if stated != asked else f"{stated}\nproblem: {{{part}}}"
    (fault,) = refusals(parse(text))
    assert told in str(fault.hint)


def test_windows_of_lists_are_judged_by_inputs_and_scores(shop, tmp_path):
    one = Ran(tmp_path)
    with one.opened() as workspace:
        log = PredictionLog(workspace.log_folder)
        for place in range(120):
            row = {"customer": place % 80}
            answer = one.package.answer(row)
            at = int((NOW + timedelta(seconds=place)).timestamp() * 1e6)
            log.append(
                PredictionLine(f"p{place}", at, 1, "champion", row, answer.score, answer.prediction, 9)
            )
        log.close()
        workspace.clock.advance_to(NOW + timedelta(days=2))
        Loop(workspace).tick(act=False)
        windows = workspace.record.find(WindowRow, lifecycle=workspace.name)
    assert len(windows) == 1
    assert np.isfinite(windows[0].facts["score_mean"])


def test_who_and_when_must_be_known():
    rows = purchases(200)
    from everloop.problem.frame import build_frame

    file = "name: x\nproblem: {{task: recommendation, target: item{}}}\ndata: {{sources: {{rows: {{file: a.csv}}}}}}"
    with pytest.raises(SpecFault, match=r"needs problem\.entity"):
        build_frame(rows, parse(file.format("")).problem)
    with pytest.raises(SpecFault, match=r"needs problem\.time"):
        build_frame(rows.drop("at"), parse(file.format(", entity: customer")).problem)


def test_lists_are_measured_as_by_scikit_learn_and_by_hand():
    random = np.random.default_rng(0)
    truth = random.random((50, 30)) < 0.2
    truth[:, 0] |= ~truth.any(axis=1)
    scores = random.random((50, 30))
    order = np.argsort(-scores, axis=1)
    hits = np.take_along_axis(truth, order, axis=1).astype(float)[:, :20]
    relevant = truth.sum(axis=1)
    assert compute("ndcg_at_10", hits, relevant) == pytest.approx(ndcg_score(truth, scores, k=10))
    recalls, precisions = [], []
    for row, wanted in zip(order.tolist(), truth, strict=True):
        good = [bool(wanted[item]) for item in row[:10]]
        recalls.append(sum(good) / wanted.sum())
        at_hits = [sum(good[: place + 1]) / (place + 1) for place in range(10) if good[place]]
        precisions.append(sum(at_hits) / min(10, wanted.sum()))
    assert compute("recall_at_10", hits, relevant) == pytest.approx(np.mean(recalls))
    assert compute("map_at_10", hits, relevant) == pytest.approx(np.mean(precisions))


def test_points_are_the_least_squares_that_they_should_be():
    random = np.random.default_rng(1)
    rows = csr_array(random.poisson(0.4, size=(15, 9)).astype(float))
    factors = random.normal(size=(9, 3))
    found = solved(rows, factors, 2.0, 0.7)
    for place, counts in enumerate(rows.toarray()):
        confidence = np.diag(1.0 + 2.0 * counts)
        left = factors.T @ confidence @ factors + 0.7 * np.eye(3)
        right = factors.T @ confidence @ (counts > 0)
        np.testing.assert_allclose(found[place], np.linalg.solve(left, right), atol=1e-12)


def test_alike_items_are_those_of_scikit_learn():
    random = np.random.default_rng(2)
    rows = csr_array(random.poisson(0.7, size=(40, 12)).astype(float))
    dense = cosine_similarity(rows.toarray().T)
    np.fill_diagonal(dense, 0.0)
    np.testing.assert_allclose(cosine_neighbours(rows, 11).toarray(), dense, atol=1e-12)
    kept = cosine_neighbours(rows, 3).toarray()
    assert ((kept > 0).sum(axis=1) <= 3).all()
    np.testing.assert_allclose(kept.max(axis=1), dense.max(axis=1), atol=1e-12)


def test_bm25_is_its_formula():
    rows = csr_array(np.array([[1.0, 0.0, 3.0], [2.0, 1.0, 0.0]]))
    lengths, having = np.array([4.0, 3.0]), np.array([2, 1, 1])
    rarity = np.log1p((2 - having + 0.5) / (having + 0.5))
    counts = rows.toarray()
    expected = counts * 2.2 / (counts + 1.2 * (0.25 + 0.75 * lengths[:, None] / 3.5)) * rarity
    np.testing.assert_allclose(weighted(rows, "bm25").toarray(), expected)


@pytest.mark.slow
def test_groceries_are_recommended_no_worse_than_by_popularity(shared_data, tmp_path):
    folder = tmp_path
    path = shared_data / "grocery_transactions.parquet"
    (folder / "everloop.yaml").write_text(
        FILE.replace(
            "target: item, entity: customer, time: at", "target: product_id, entity: household_id, time: ts"
        )
        .replace("rows.csv", str(path))
        .replace(">= 0.3", ">= 0.02")
    )
    with Workspace.open(load(folder), clock=SimulatedClock(NOW)) as workspace:
        result = run_once(workspace)
    assert result.version.status == "champion", result.steps["gate"].facts["reason"]
    facts = result.steps["train"].facts
    assert facts["trials"] == 6
    assert facts["metrics"]["ndcg_at_10"]["estimate"] > 0.03
