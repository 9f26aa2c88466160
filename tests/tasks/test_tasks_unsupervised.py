"""Clusters and anomalies from the lifecycle file to a served version, and its windows."""

import json
import math
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.core.clock import SimulatedClock
from everloop.core.errors import SpecFault
from everloop.loop.loop import Loop
from everloop.loop.pass_ import RunResult
from everloop.loop.run import run_once
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.measure import compute
from everloop.measure.clusters import adjusted_rand
from everloop.record.rows import WindowRow
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load, parse

os.environ.setdefault("OMP_NUM_THREADS", "1")

NOW = datetime(2024, 3, 1, tzinfo=UTC)

CLUSTERS = """
name: segments
goal: {statement: Know the customers, require: {silhouette: ">= 0.3", stability: ">= 0.8"}}
problem: {task: clustering}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {budget: {trials: 4}, learners: [k_means]}
deploy: {strategy: blue_green, serve: {port: 0}}
monitor: {window: {predictions: 200}, drift: {alarm: 1 false alarm in 10 windows}}
"""

ANOMALIES = """
name: odd
goal: {require: {positive_rate: "<= 10%"}}
problem: {task: anomaly}
data: {sources: {rows: {file: rows.csv}}, contract: contract.yaml}
model: {budget: {trials: 2}}
deploy: {strategy: blue_green, serve: {port: 0}}
monitor: {window: {predictions: 200}, drift: {alarm: 1 false alarm in 10 windows}}
"""

LABELLED = ANOMALIES.replace("{task: anomaly}", "{task: anomaly, target: fraud, positive: 'yes'}").replace(
    '{positive_rate: "<= 10%"}', '{positive_rate: "<= 10%", average_precision: ">= 0.6"}'
)


def customers(count: int = 480, seed: int = 0) -> pl.DataFrame:
    """Three kinds of customers, by two numbers and a category; a third number says nothing."""
    random = np.random.default_rng(seed)
    kind = random.choice(3, count, p=[0.5, 0.3, 0.2])
    return pl.DataFrame(
        {
            "spend": random.normal(np.array([100.0, 400.0, 100.0])[kind], 25.0),
            "visits": random.normal(np.array([2.0, 10.0, 20.0])[kind], 1.0),
            "noise": random.normal(size=count),
            "channel": np.array(["shop", "web", "shop"])[kind],
        }
    )


def payments(count: int = 1500, seed: int = 0) -> pl.DataFrame:
    """Payments of which one in twenty is far out; of a third nobody said whether it was a fraud."""
    random = np.random.default_rng(seed)
    fraud = random.random(count) < 0.05
    away = np.where(fraud, random.choice([-1.0, 1.0], count) * 4.0, 0.0)
    labels = np.where(fraud, "yes", "no").astype(object)
    labels[random.random(count) < 0.33] = None
    return pl.DataFrame(
        {
            "amount": np.exp(random.normal(3, 0.5, count) + np.abs(away) / 3),
            "hour": random.normal(12, 3, count) + away,
            "distance": random.normal(size=count) + away * (random.random(count) < 0.7),
            "country": np.where(fraud & (random.random(count) < 0.5), "far", "near"),
            "fraud": labels.tolist(),
        }
    )


@dataclass
class Ran:
    """A lifecycle's folder and what its first pass came to."""

    folder: Path
    result: RunResult
    rows: pl.DataFrame

    def facts(self, step: str) -> dict[str, Any]:
        """Gives what a step put on record."""
        return dict(self.result.steps[step].facts)

    def opened(self) -> Workspace:
        """Opens the lifecycle again."""
        return Workspace.open(load(self.folder), clock=SimulatedClock(NOW))


def ran(folder: Path, file: str, rows: pl.DataFrame) -> Ran:
    """Writes a lifecycle and runs it."""
    (folder / "everloop.yaml").write_text(file)
    rows.write_csv(folder / "rows.csv")
    with Workspace.open(load(folder), clock=SimulatedClock(NOW)) as workspace:
        return Ran(folder, run_once(workspace), rows)


@pytest.fixture(scope="module")
def segments(tmp_path_factory) -> Ran:
    return ran(tmp_path_factory.mktemp("segments"), CLUSTERS, customers())


@pytest.fixture(scope="module")
def odd(tmp_path_factory) -> Ran:
    return ran(tmp_path_factory.mktemp("odd"), ANOMALIES, payments().drop("fraud"))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory) -> Ran:
    return ran(tmp_path_factory.mktemp("labelled"), LABELLED, payments())


def champion(one) -> Package:
    with one.opened() as workspace:
        return Package(read_routing(workspace.routing_path).champion.package)


def test_a_clustering_passes_to_a_served_version(segments):
    assert segments.result.version.status == "champion", segments.facts("gate")["reason"]
    checks = {check["name"]: check for check in segments.facts("gate")["checks"]}
    assert checks["goal.require.silhouette"]["passed"]
    assert checks["goal.require.stability"]["passed"]
    package = champion(segments)
    assert package.manifest.classes == ("1", "2", "3")
    kinds = np.array(package.predict(segments.rows))
    random = np.random.default_rng(0)
    assert adjusted_rand(kinds, random.choice(3, 480, p=[0.5, 0.3, 0.2])) > 0.95
    assert np.bincount(kinds.astype(int))[1:].tolist() == sorted(np.bincount(kinds.astype(int))[1:])[::-1]


def test_the_number_of_clusters_is_chosen_with_its_reason(segments):
    facts = segments.facts("train")
    assert facts["configuration"]["clusters"] == 3
    assert "3 clusters by k_means have the best silhouette" in facts["notes"][0]
    assert "2 clusters:" in facts["notes"][0]


def test_what_sets_a_cluster_apart_is_on_the_card(segments):
    package = champion(segments)
    card = (package.folder / "card.html").read_text()
    assert "What sets each apart" in card
    assert "visits high" in card
    assert "channel often web" in card
    assert "noise high" not in card


def test_an_anomaly_is_found_without_labels(odd):
    assert odd.result.version.status == "champion", odd.facts("gate")["reason"]
    package = champion(odd)
    usual = {"amount": 20.0, "hour": 12.0, "distance": 0.0, "country": "near"}
    assert package.answer(usual).prediction == "normal"
    strange = {"amount": 4000.0, "hour": 30.0, "distance": 9.0, "country": "far"}
    assert package.answer(strange).prediction == "anomaly"
    assert package.answer(strange).score > package.answer(usual).score
    flagged = (package.predict(odd.rows) == "anomaly").mean()
    assert 0.01 < flagged <= 0.10
    facts = odd.facts("train")
    assert facts["metrics"].keys() >= {"volume_excluded", "stability", "positive_rate"}
    assert "average_precision" not in facts["metrics"]
    assert "without labels" in facts["notes"][0]
    assert "positive_rate <= 10% is required" in facts["threshold_reason"]


def test_labels_choose_and_judge_an_anomaly_and_are_not_learned_from(labelled):
    assert labelled.result.version.status == "champion", labelled.facts("gate")["reason"]
    facts = labelled.facts("train")
    assert facts["metric"] == "average_precision"
    assert "no label was learned from" in facts["notes"][0]
    assert facts["metrics"].keys() >= {"average_precision", "recall", "recall_at_5_percent", "stability"}
    package = champion(labelled)
    assert package.manifest.classes == ("no", "yes")
    # The gate's number is the package's own, on the rows whose label is known.
    checks = {check["name"]: check for check in labelled.facts("gate")["checks"]}
    found = checks["goal.require.average_precision"]["evidence"]["found"]
    with labelled.opened() as workspace:
        dataset = workspace.store.open(labelled.result.steps["dataset"].key)
        test = pl.read_parquet(dataset / "test.parquet")
    known = test.filter(pl.col("fraud").is_not_null())
    assert 0 < known.height < test.height
    scores = package.scores(known)[:, 0]
    assert found == pytest.approx(compute("average_precision", known["fraud"] == "yes", scores))
    assert facts["metrics"]["average_precision"]["estimate"] == pytest.approx(found)


def test_the_compiled_model_is_proven_on_edge_rows(segments, odd, labelled):
    for one in (segments, odd, labelled):
        parity = one.facts("package")["parity"]
        assert parity["passed"]
        assert parity["rows"]["edge"] > 50
        assert set(parity["runtimes"]) == {"trained", "plan_graph", "graph", "batch"}


def test_an_unchanged_pass_does_nothing_again(segments):
    with segments.opened() as workspace:
        again = run_once(workspace)
    assert again.executed == []
    assert again.version.number == segments.result.version.number


@pytest.mark.parametrize("task", ["segments", "odd"])
def test_drift_of_inputs_and_scores_is_seen(task, request, tmp_path):
    made = {"segments": (CLUSTERS, customers()), "odd": (ANOMALIES, payments().drop("fraud"))}[task]
    one = ran(tmp_path, *made)
    fresh = (customers if task == "segments" else payments)(400, seed=5)
    moved = fresh.with_columns(pl.col(fresh.columns[0]) * 3 + 300)
    with one.opened() as workspace:
        package = Package(read_routing(workspace.routing_path).champion.package)
        log = PredictionLog(workspace.log_folder)
        for start, table in ((0, fresh), (400, moved)):
            for place, row in enumerate(table.drop("fraud", strict=False).to_dicts()):
                answer = package.answer(row)
                at = int((NOW + timedelta(seconds=start + place)).timestamp() * 1e6)
                log.append(
                    PredictionLine(
                        f"p{start + place}", at, 1, "champion", row, answer.score, answer.prediction, 9
                    )
                )
        log.close()
        workspace.clock.advance_to(NOW + timedelta(days=2))
        Loop(workspace).tick(act=False)
        windows = workspace.record.find(WindowRow, lifecycle=workspace.name)
    windows = sorted(windows, key=lambda window: window.since)
    found = [window.facts["drift"]["status"] for window in windows]
    assert len(found) >= 3
    assert found[0] == "none"
    assert found[-1] == "drift"
    assert all(math.isfinite(window.facts["score_mean"]) for window in windows)
    assert windows[0].facts["performance"] == {}


def test_the_gate_refuses_clusters_that_are_not_clear_enough(tmp_path):
    file = CLUSTERS.replace(">= 0.3", ">= 0.99")
    one = ran(tmp_path, file, customers(200))
    assert one.result.version.status == "refused"
    assert "goal.require.silhouette" in one.facts("gate")["reason"]


def test_a_later_version_is_compared_in_one_space(segments, tmp_path):
    one = ran(tmp_path, CLUSTERS, customers())
    (tmp_path / "everloop.yaml").write_text(CLUSTERS.replace("k_means", "gaussian_mixture"))
    with one.opened() as workspace:
        later = run_once(workspace)
    checks = {check["name"]: check for check in later.steps["gate"].facts["checks"]}
    evidence = checks["not worse than the champion"]["evidence"]
    assert evidence["candidate"] == pytest.approx(evidence["champion"], abs=0.05)


@pytest.mark.parametrize(
    ("file", "named"),
    [
        ("goal: {value: {true_positive: 1}}\nproblem: {task: clustering}", "goal.value"),
        ("goal: {require: {roc_auc: '>= 0.9'}}\nproblem: {task: clustering}", "goal.require names roc_auc"),
        ("problem: {task: anomaly, require: {recall: '>= 0.5'}}", "problem.require names recall"),
        ("problem: {task: clustering}\nmodel: {learners: [lightgbm]}", "model.learners names lightgbm"),
        ("problem: {task: binary, target: a}\nmodel: {learners: [k_means]}", "model.learners names k_means"),
        (
            "problem: {task: anomaly}\nmonitor: {retrain: {on: ['labels: 5000']}}",
            "monitor.retrain.on waits for actuals",
        ),
        ("problem: {task: anomaly, target: a}\ngoal: {today: {always: a}}", "goal.today"),
    ],
)
def test_what_a_task_cannot_have_is_refused_by_name(file, named):
    spec = parse(f"name: x\n{file}\ndata: {{sources: {{rows: {{file: rows.csv}}}}}}")
    told = [fault.message for fault in refusals(spec)]
    assert any(message.startswith(named) for message in told), told


def test_outliers_are_not_cut_where_they_are_looked_for(odd):
    steps = {entry["step"] for entry in odd.facts("dataset")["cleaning"]}
    assert "outliers" not in steps
    spec = parse(
        "name: x\nproblem: {task: anomaly}\n"
        "data: {sources: {rows: {file: rows.csv}}, clean: {outliers: clip}}"
    )
    assert any("cuts the very values" in fault.message for fault in refusals(spec))


def test_the_rows_of_a_local_outlier_factor_lie_in_what_serves(tmp_path):
    random = np.random.default_rng(0)
    crowds = np.vstack([random.normal(0, 0.2, (400, 2)), random.normal(8, 2.0, (400, 2))])
    # Between the crowds' densities: usual beside the wide one, far out beside the narrow one.
    table = pl.DataFrame({"a": np.append(crowds[:, 0], 0.0), "b": np.append(crowds[:, 1], 2.0)})
    model = el.model.search(table, task="anomaly", learners=["local_outlier"], budget={"trials": 1})
    model.package(tmp_path / "package", sample=table)
    assert json.loads((tmp_path / "package" / "parity.json").read_bytes())["passed"]
    package = Package(tmp_path / "package")
    scores = package.scores(table)[:, 0]
    assert scores == pytest.approx(model.trained.scores(table), abs=1e-9)
    assert scores.argmax() == 800


def test_a_target_may_be_left_out_where_the_task_has_none_alone():
    with pytest.raises(SpecFault, match="'target' is missing") as raised:
        parse("name: x\nproblem: {task: binary}\ndata: {sources: {rows: {file: rows.csv}}}")
    assert "anomaly or clustering" in str(raised.value.hint)


def test_everything_of_the_package_can_be_read_as_json(odd):
    package = champion(odd)
    for name in ("manifest.json", "plan.json", "parity.json", "reference.json", "contract.json"):
        json.loads((package.folder / name).read_bytes())
