"""Packages: whole, deterministic, and refused where the compiled model answers otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import polars as pl
import pytest

from everloop.core.errors import ModelFault, PackageRefused, UsageFault
from everloop.measure.calibration import Sigmoid
from everloop.model import parity_rows
from everloop.model.compile.graph import graph_feeds
from everloop.model.foreign_package import package
from everloop.model.packaging import read_certificate, write_package
from everloop.model.parity import certify, difference
from everloop.model.parity_rows import edge_rows, rows_of
from everloop.model.trained import Trained
from everloop.runtime.manifest import digest_files, read_manifest, write_manifest
from everloop.runtime.package import Package
from everloop.runtime.plan import (
    DerivedColumn,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    Plan,
    PlanInput,
)
from everloop.runtime.plan_table import encode_table
from everloop.spec.frame import Frame
from everloop.table.expression import parse

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


def raw_table(rows: int = 600, seed: int = 0) -> pl.DataFrame:
    random = np.random.default_rng(seed)

    def holes(values: Any, share: float = 0.1) -> list[Any]:
        return [None if random.random() < share else value for value in values]

    return pl.DataFrame(
        {
            "amount": holes(random.gamma(2.0, 1e4, rows).tolist()),
            "count": holes(random.integers(0, 9, rows).tolist()),
            "at_second": (1_700_000_000 + random.integers(0, 10**7, rows)).tolist(),
            "region": holes(random.choice(["north", "süd", "", "East"], rows).tolist()),
            "member": holes((random.random(rows) < 0.4).tolist()),
            "maker": holes([f"m{number}" for number in random.integers(0, 30, rows)]),
            "asked": holes((1_700_000_000_000_000 + random.integers(0, 4 * 10**13, rows)).tolist()),
        },
        schema_overrides={"asked": pl.Int64},
    ).with_columns(pl.col("asked").cast(pl.Datetime("us", "UTC")))


def actual_of(table: pl.DataFrame, task: str) -> np.ndarray:
    random = np.random.default_rng(1)
    signal = (
        table["amount"].fill_null(0).to_numpy() / 2e4
        + table["count"].fill_null(3).to_numpy() / 3
        + (table["region"] == "süd").fill_null(False).to_numpy()
        + random.normal(size=table.height)
    )
    if task == "regression":
        return np.asarray(signal * 10)
    return np.digitize(signal, np.quantile(signal, [0.6] if task == "binary" else [0.3, 0.7]))


def frame_of(task: str) -> Frame:
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[task]
    return Frame(
        task=task,
        target="y",
        classes=classes,
        positive="yes" if task == "binary" else None,
        metric={"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}[task],
        entity=None,
        time=None,
        label_time=None,
        label_delay_seconds=None,
        sensitive=(),
        excluded={},
        inputs=tuple(TYPES),
        reasons={},
    )


TYPES = {
    "amount": "number",
    "count": "integer",
    "at_second": "integer",
    "region": "text",
    "member": "boolean",
    "maker": "text",
    "asked": "time",
}
DERIVED = {
    "hour": "extract(hour from asked)",
    "each": "amount / nullif(count, 0)",
    "rich": "amount > 30000 and member",
    "where": "coalesce(region, 'nowhere') || '!'",
}


def plan_of(*, takes_missing: bool, scaled: bool, float32: bool) -> Plan:
    """Every kind of encoder, on raw and computed columns, with bounds that test rows go beyond."""
    encoders: list[Any] = []

    def add(kind: Any, column: str, **settings: Any) -> None:
        encoders.append(kind(column, sum(encoder.width for encoder in encoders), **settings))

    numbers = {"amount": (100.0, 9e4), "count": (0.0, 8.0), "at_second": (1.7e9, 1.71e9), "hour": (0.0, 23.0)}
    for name, (low, high) in {
        **numbers,
        "each": (0.0, 1e5),
        "member": (0.0, 1.0),
        "rich": (0.0, 1.0),
    }.items():
        middle = (low + high) / 2
        scale = {"centre": middle, "scale": (high - low) / 7} if scaled else {}
        filled = {} if takes_missing else {"fill": middle, "indicator": True}
        add(NumberEncoder, name, low=low, high=high, float32=float32, **scale, **filled)
    add(OneHotEncoder, "region", categories=("", "north", "süd"), other=True)
    add(OneHotEncoder, "where", categories=("north!", "nowhere!"))
    add(OneHotEncoder, "count", categories=("0", "3"), other=True)
    means = {f"m{number}": float(np.float32(number / 7)) for number in range(25)}
    add(LookupEncoder, "maker", values=means, unknown=1.5, missing=None if takes_missing else 2.5)
    return Plan(
        inputs=tuple(PlanInput(name, type_name) for name, type_name in TYPES.items()),
        derived=tuple(DerivedColumn(name, parse(sql, TYPES).to_dict()) for name, sql in DERIVED.items()),
        encoders=tuple(encoders),
        width=sum(encoder.width for encoder in encoders),
    )


def estimator_of(learner: str, task: str) -> Any:
    import lightgbm
    import sklearn.ensemble
    import sklearn.linear_model
    import xgboost

    end = "Regressor" if task == "regression" else "Classifier"
    if learner == "linear":
        linear = sklearn.linear_model
        return linear.Ridge() if task == "regression" else linear.LogisticRegression(max_iter=500)
    module, name, options = {
        "random_forest": (sklearn.ensemble, "RandomForest", {"n_estimators": 20, "random_state": 0}),
        "extra_trees": (sklearn.ensemble, "ExtraTrees", {"n_estimators": 20, "random_state": 0}),
        "hist_gradient_boosting": (sklearn.ensemble, "HistGradientBoosting", {"max_iter": 30}),
        "lightgbm": (lightgbm, "LGBM", {"n_estimators": 30, "verbose": -1, "n_jobs": 1}),
        "xgboost": (xgboost, "XGB", {"n_estimators": 60, "n_jobs": 1}),
    }[learner]
    return getattr(module, name + end)(**options)


def train(learner: str, task: str, **changes: Any) -> Trained:
    table = raw_table()
    frame = frame_of(task)
    linear = learner == "linear"
    float32 = learner in {"random_forest", "extra_trees", "xgboost"}
    plan = plan_of(takes_missing=not linear, scaled=linear, float32=float32)
    estimator = estimator_of(learner, task).fit(encode_table(plan, table), actual_of(table, task))
    trained = Trained(
        frame=frame,
        plan=plan,
        learner=learner,
        configuration={},
        estimator=estimator,
        calibration=Sigmoid(slope=1.1, intercept=-0.2) if task == "binary" else None,
        threshold=0.4 if task == "binary" else None,
    )
    return replace(trained, **changes)


def write(trained: Trained, folder: Path, **changes: Any) -> Any:
    settings: dict[str, Any] = {
        "lifecycle": "loans",
        "version": 3,
        "created": NOW,
        "sample": raw_table(900, seed=5),
        "reference": {"bins": [1, 2]},
        "lineage": {"run": "run_1"},
        "card": lambda _runtime: "<p>card</p>",
    }
    return write_package(trained, folder, **{**settings, **changes})


LEARNERS = ("linear", "random_forest", "extra_trees", "hist_gradient_boosting", "lightgbm", "xgboost")


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("learner", LEARNERS)
def test_every_learner_gets_its_certificate(learner: str, task: str, tmp_path: Path) -> None:
    trained = train(learner, task)
    write(trained, tmp_path / "package")
    certificate = read_certificate(tmp_path / "package")
    assert certificate["passed"]
    assert set(certificate["runtimes"]) == {"trained", "plan_graph", "graph", "batch"}
    assert certificate["tolerance"] == (1e-6 if learner == "xgboost" else 1e-9)
    assert certificate["rows"]["edge"] > 50
    assert certificate["rows"]["refused"] == 0
    assert certificate["rows"]["split"] > (50 if learner != "linear" else -1)
    for found in certificate["runtimes"].values():
        assert found["largest_difference"] <= (1e-6 if learner == "xgboost" else 1e-11)
        assert found["decisions_differ"] == 0
    assert certificate["runtimes"]["trained"]["largest_difference"] == 0


def test_package_holds_everything_and_answers_as_trained(tmp_path: Path) -> None:
    trained = train("lightgbm", "binary")
    manifest = write(trained, tmp_path / "package")
    folder = tmp_path / "package"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "manifest.json", "model.onnx", "score.onnx", "plan.json", "contract.json", "parity.json", "pipeline.skops",
        "reference.json", "explain.npz", "card.html", "MLmodel",
    }  # fmt: skip
    assert manifest == read_manifest(folder)
    assert manifest.files == digest_files(folder)
    assert (manifest.lifecycle, manifest.version, manifest.threshold) == ("loans", 3, 0.4)
    assert manifest.created == "2026-03-01T12:30:00Z"
    loaded = Package(folder)
    table = raw_table(300, seed=9)
    expected = trained.predict(table)
    assert loaded.predict(table).tolist() == expected.tolist()
    assert [answer.prediction for answer in loaded.answers(rows_of(trained.plan, table))] == expected.tolist()
    assert {reason.column for reason in loaded.explain(rows_of(trained.plan, table)[0], k=3)} <= set(TYPES)


def test_whole_graph_stands_alone(tmp_path: Path) -> None:
    trained = train("hist_gradient_boosting", "multiclass")
    write(trained, tmp_path / "package")
    path = tmp_path / "package" / "model.onnx"
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    kinds = {item.name: item.type for item in session.get_inputs()}
    assert kinds["region"] == "tensor(string)"
    assert kinds["asked"] == "tensor(double)"
    table = raw_table(50, seed=9)
    scores = session.run(["score"], graph_feeds(trained.plan, rows_of(trained.plan, table)))[0]
    assert difference(trained.scores(table), scores).max() <= 1e-12


def test_same_bytes_each_time(tmp_path: Path) -> None:
    first = write(train("lightgbm", "binary"), tmp_path / "a")
    second = write(train("lightgbm", "binary"), tmp_path / "b")
    assert first == second
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()


def test_mlmodel_is_what_mlflow_reads(tmp_path: Path) -> None:
    from ruamel.yaml import YAML

    write(train("linear", "binary"), tmp_path / "package")
    data = YAML(typ="safe").load(tmp_path / "package" / "MLmodel")
    assert data["flavors"]["onnx"]["data"] == "model.onnx"
    assert data["flavors"]["python_function"]["loader_module"] == "mlflow.onnx"
    columns = json.loads(data["signature"]["inputs"])
    spec = {column["name"]: column["tensor-spec"] for column in columns}["region"]
    assert spec == {"dtype": "object", "shape": [-1, 1]}
    assert data["utc_time_created"] == "2026-03-01 12:30:00.000000"


def test_contract_is_kept_without_the_target(tmp_path: Path) -> None:
    from everloop.table.contract import ColumnRule, Contract

    rules = [ColumnRule(name, kind) for name, kind in TYPES.items() if name != "amount"]
    given = Contract(
        (*rules, ColumnRule("amount", "number", nullable=False), ColumnRule("y", "text", nullable=False))
    )
    manifest = write(train("linear", "binary"), tmp_path / "package", contract=given)
    assert {column.name: column.nullable for column in manifest.inputs}["amount"] is False
    assert Package(tmp_path / "package").contract == given.only(TYPES)


def test_without_a_sample_rows_are_invented(tmp_path: Path) -> None:
    write(train("lightgbm", "binary"), tmp_path / "package", sample=None)
    certificate = read_certificate(tmp_path / "package")
    assert certificate["passed"]
    assert certificate["rows"]["test"] == 500


def test_without_a_graph_form_the_package_says_so(tmp_path: Path) -> None:
    from everloop.model.scoring import raw_scores

    plan = Plan(
        inputs=(PlanInput("amount", "number"), PlanInput("region", "text")),
        derived=(DerivedColumn("area", parse("lower(region)", TYPES).to_dict()),),
        encoders=(NumberEncoder("amount", 0, low=0.0, high=1e5), OneHotEncoder("area", 1, ("east", "süd"))),
        width=3,
    )
    table = raw_table()
    estimator = estimator_of("lightgbm", "binary").fit(encode_table(plan, table), actual_of(table, "binary"))
    trained = train("lightgbm", "binary", plan=plan, estimator=estimator, calibration=None)
    write(trained, tmp_path / "package")
    certificate = read_certificate(tmp_path / "package")
    assert certificate["passed"]
    assert "lower" in certificate["absent"]["graph"]
    assert not {"model.onnx", "MLmodel"} & {path.name for path in (tmp_path / "package").iterdir()}
    expected = raw_scores(estimator, encode_table(plan, table), trained.frame)
    assert np.abs(Package(tmp_path / "package").scores(table)[:, 0] - expected).max() <= 1e-12


def test_typical_values_are_values_of_the_rows() -> None:
    from everloop.model.reference_row import reference_row

    plan = train("linear", "binary").plan
    table = raw_table(4).with_columns(
        pl.Series("amount", [5.0, None, float("inf"), 3.0]),
        pl.Series("count", [4, 1, 2, 3]),
        pl.Series("region", ["b", "a", "b", "a"]),
        pl.Series("member", [None, None, None, None], dtype=pl.Boolean),
        pl.Series("asked", [3, 1, 2, None]).cast(pl.Datetime("us", "UTC")),
    )
    found = reference_row(plan, table)
    assert {name: found[name] for name in ("amount", "count", "region", "member", "asked")} == {
        "amount": 3.0, "count": 2, "region": "a", "member": None, "asked": 2,
    }  # fmt: skip


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "mine.txt").write_text("mine")
    with pytest.raises(UsageFault, match="is there already"):
        write(train("linear", "binary"), tmp_path / "package")
    assert [path.name for path in tmp_path.rglob("*")] == ["package", "mine.txt"]


def tampered(folder: Path, name: str) -> None:
    """Moves every leaf of a graph a little and gives the package a fitting manifest."""
    model = onnx.load(folder / name)
    for node in model.graph.node:
        for attribute in node.attribute:
            if attribute.name == "leaf_weights":
                values = onnx.numpy_helper.to_array(attribute.t) + 1e-4
                attribute.t.CopyFrom(onnx.numpy_helper.from_array(values, attribute.t.name))
    (folder / name).write_bytes(model.SerializeToString())
    write_manifest(folder, read_manifest(folder))


@pytest.mark.parametrize(
    ("name", "runtimes"), [("score.onnx", {"plan_graph", "batch"}), ("model.onnx", {"graph"})]
)
def test_a_model_that_answers_otherwise_is_refused(name: str, runtimes: set[str], tmp_path: Path) -> None:
    trained = train("lightgbm", "binary")
    write(trained, tmp_path / "package")
    tampered(tmp_path / "package", name)
    certificate = certify(trained, tmp_path / "package", raw_table(200, seed=3), seed=1)
    wrong = {name for name, found in certificate.runtimes.items() if found.largest_difference > 1e-9}
    assert wrong == runtimes
    assert not certificate.passed
    with pytest.raises(
        PackageRefused, match=f"In the runtime '{sorted(runtimes)[-1]}' .* row .*the trained model says"
    ):
        certificate.require()


def test_another_threshold_is_found(tmp_path: Path) -> None:
    trained = train("random_forest", "binary")
    write(trained, tmp_path / "package")
    elsewhere = replace(trained, threshold=0.6)
    certificate = certify(elsewhere, tmp_path / "package", raw_table(200, seed=3))
    assert certificate.runtimes["plan_graph"].largest_difference <= 1e-9
    assert certificate.runtimes["plan_graph"].decisions_differ > 0
    with pytest.raises(PackageRefused, match="decisions differ"):
        certificate.require()


def test_rows_on_the_threshold_are_counted_as_ties(tmp_path: Path) -> None:
    trained = train("random_forest", "binary")
    table = raw_table(300, seed=3)
    on_it = replace(trained, threshold=float(trained.scores(table)[7]))
    write(on_it, tmp_path / "package", sample=table)
    found = read_certificate(tmp_path / "package")["runtimes"]["batch"]
    assert found["ties"] >= 1
    assert found["decisions_differ"] == 0


def test_edge_rows_hold_every_kind_of_oddity() -> None:
    plan = train("linear", "binary").plan
    rows = edge_rows(plan, rows_of(plan, raw_table(5)))
    assert all(value is None for value in rows[0].values())
    amounts = [row["amount"] for row in rows]
    assert {np.inf, -np.inf, 1e308} <= set(amounts)
    assert "" in {row["region"] for row in rows}
    assert {None, True, False} <= {row["member"] for row in rows}


def test_edge_rows_of_a_wide_table_are_few_and_leave_no_oddity_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plan = train("linear", "binary").plan
    typical = rows_of(plan, raw_table(5))
    apart = edge_rows(plan, typical)
    monkeypatch.setattr(parity_rows, "_MOST_CELLS", 30 * len(plan.inputs))
    together = edge_rows(plan, typical)
    assert len(together) < len(apart) / 1.5
    odd = {item.name: parity_rows.odd_values(plan, item) for item in plan.inputs}
    with_some = together[1 : -max(map(len, odd.values()))]
    for name, values in odd.items():
        assert set(map(repr, values)) <= {repr(row[name]) for row in with_some}


def test_what_thousands_of_columns_are_tried_with_is_bounded() -> None:
    inputs = tuple(PlanInput(f"c{place}", "number") for place in range(3_000))
    encoders = tuple(NumberEncoder(one.name, place, low=-1.0, high=1.0) for place, one in enumerate(inputs))
    plan = Plan(inputs=inputs, encoders=encoders, width=len(inputs))
    base = dict.fromkeys((one.name for one in inputs), 0.25)
    rows = edge_rows(plan, [base])
    odd = parity_rows.odd_values(plan, inputs[0])
    mixed = rows[1 : -len(odd)]
    assert len(rows) * len(inputs) < 1.5 * parity_rows._MOST_CELLS
    for row in mixed:  # what is odd in a row is odd in one way: an infinity hides nothing that is mild
        assert len({repr(value) for value in row.values()} - {"0.25"}) <= 1
    tried = {(name, repr(value)) for row in mixed for name, value in row.items()}
    assert all((one.name, repr(value)) in tried for one in inputs[::100] for value in odd)
    splits = {place: np.array([0.1, 0.2]) for place in range(3_000)}
    assert len(parity_rows.split_rows(plan, splits, [base], 5_000, 0)) <= parity_rows._MOST_CELLS // 3_000


def test_difference_is_relative_above_one() -> None:
    a = np.array([[0.5], [1e6], [np.nan], [np.inf], [1.0]])
    b = np.array([[0.5 + 1e-9], [1e6 + 1], [np.nan], [np.inf], [np.nan]])
    assert difference(a, b) == pytest.approx([1e-9, 1e-6, 0, 0, np.inf], rel=1e-6)


# A model that was trained elsewhere


def numeric_table(rows: int = 300, *, missing: bool = True) -> pl.DataFrame:
    random = np.random.default_rng(2)
    table = pl.DataFrame(
        {
            "a": random.normal(size=rows),
            "b": 1.7e9 + random.uniform(0, 1e7, rows),
            "n": random.integers(0, 5, rows),
        }
    )
    holes = pl.Series(random.random(rows) < 0.1)
    return (
        table.with_columns(pl.when(holes).then(None).otherwise(pl.col("a")).alias("a")) if missing else table
    )


@pytest.mark.parametrize("labels", [("no", "yes"), (0, 1), (False, True), ("x", "y", "z"), (2.0, 3.0)])
@pytest.mark.parametrize(
    "name", ["RandomForestClassifier", "HistGradientBoostingClassifier", "LGBMClassifier"]
)
def test_classifier_from_elsewhere(name: str, labels: tuple[Any, ...], tmp_path: Path) -> None:
    import lightgbm
    import sklearn.ensemble

    table = numeric_table()
    kind = getattr(sklearn.ensemble, name, None) or getattr(lightgbm, name)
    y = np.array(labels)[np.digitize(table["b"].to_numpy(), [1.704e9, 1.706e9][: len(labels) - 1])]
    options = {"verbose": -1, "n_jobs": 1} if name == "LGBMClassifier" else {}
    estimator = kind(**options).fit(table.to_numpy(), y)
    before = list(estimator.classes_)
    package(estimator, tmp_path / "package", sample=table)
    assert list(estimator.classes_) == before
    served = Package(tmp_path / "package")
    from everloop.table.labels import label_text

    expected = [label_text(label) for label in estimator.predict(table.to_numpy()).tolist()]
    assert served.predict(table).tolist() == expected


def test_estimator_with_column_names(tmp_path: Path) -> None:
    from sklearn.linear_model import LogisticRegression

    table = numeric_table(missing=False)
    data = table.to_pandas() if hasattr(table, "to_pandas") else table
    scaled = data[["n", "a"]]
    estimator = LogisticRegression().fit(scaled, (table["n"] > 2).to_numpy())
    manifest = package(estimator, tmp_path / "package", sample=table)
    assert [(column.name, column.nullable) for column in manifest.inputs] == [("n", False), ("a", False)]
    assert read_certificate(tmp_path / "package")["rows"]["refused"] > 0  # it refuses missing values
    with pytest.raises(ModelFault, match=r"lacks \['n'\]"):
        package(estimator, tmp_path / "other", sample=table.drop("n"))


def test_what_cannot_be_packaged_says_so(tmp_path: Path) -> None:
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    table = numeric_table(missing=False)
    X, y = table.to_numpy(), table["n"].to_numpy()
    forest = RandomForestRegressor(n_estimators=3).fit(X, y)
    pipeline = make_pipeline(StandardScaler(), forest).fit(X, y)
    with pytest.raises(ModelFault, match="A pipeline cannot be compiled"):
        package(pipeline, tmp_path / "p", sample=table, runtime="graph")
    with pytest.raises(ModelFault, match="cannot be compiled"):
        package(KNeighborsClassifier().fit(X, y), tmp_path / "p", sample=table, runtime="graph")
    with pytest.raises(ModelFault, match="was trained on 3 columns without names; the sample has 2"):
        package(forest, tmp_path / "p", sample=table.drop("a"))
    with pytest.raises(ModelFault, match="'n' of the sample is text"):
        package(forest, tmp_path / "p", sample=table.with_columns(pl.col("n").cast(pl.String)))
    with pytest.raises(ModelFault, match="does not say what its columns are called"):
        package(forest, tmp_path / "p")
    assert list(tmp_path.iterdir()) == []
