"""Every estimator that compiles answers as its library does: missing, huge and threshold rows included."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnxruntime
import pytest

from everloop.core.errors import ModelFault
from everloop.model.compile import EXPORTERS, score_form, score_model
from everloop.model.compile.form import ScoreForm
from everloop.model.compile.network import LAYERS as GRAPH_LAYERS
from everloop.model.compile.registry import kind_of
from everloop.model.compile.score import answers
from everloop.model.learners import learner
from everloop.model.learners.network import LAYERS, Layer, Network
from everloop.model.scoring import raw_scores
from everloop.spec.frame import Frame

TASKS = ("binary", "multiclass", "regression")


def frame_of(task: str) -> Frame:
    classes = {"binary": ("no", "yes"), "multiclass": ("a", "b", "c"), "regression": ()}[task]
    return Frame(
        task=task, target="y", classes=classes, positive="yes" if task == "binary" else None, metric=""
    )


def run(model: bytes, X: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["score"], {"x": X})[0])


def data(seed: int, task: str, rows: int, *, missing: bool) -> tuple[np.ndarray, np.ndarray]:
    """Small numbers, money, seconds and microseconds since 1970, codes, zeros, huge and tiny numbers."""
    random = np.random.default_rng(seed)
    X = np.column_stack(
        [
            random.normal(size=rows),
            random.gamma(2.0, 1e4, size=rows),
            1.7e9 + random.uniform(0, 3e7, size=rows),
            1.7e15 + random.uniform(0, 3e13, size=rows),
            random.integers(0, 12, size=rows),
            random.normal(size=rows) * (random.random(rows) < 0.5),
            random.normal(size=rows) * 1e-8,
        ]
    ).astype(np.float64)
    signal = X[:, 0] + np.sin(X[:, 2] / 3e6) + (X[:, 4] % 3) + (X[:, 3] - 1.715e15) / 1e13 + X[:, 6] * 1e8
    if missing:
        X[random.random(X.shape) < 0.1] = np.nan
    noisy = signal + random.normal(size=rows)
    if task == "regression":
        return X, noisy * 100
    cuts = np.quantile(noisy, [0.6] if task == "binary" else [0.3, 0.7])
    return X, np.digitize(noisy, cuts)


def threshold_rows(form: ScoreForm, X: np.ndarray, limit: int = 40) -> np.ndarray:
    """Rows that lie exactly on split values of the trees, and one step of a double beside them."""
    rows = []
    random = np.random.default_rng(7)
    for column, values in form.split_values().items():
        finite = values[np.isfinite(values)]
        for value in (
            random.choice(finite, size=min(limit, len(finite)), replace=False) if len(finite) else []
        ):
            row = X[random.integers(len(X))]
            beside = (value, np.nextafter(value, -np.inf), np.nextafter(value, np.inf))
            rows += [np.where(np.arange(X.shape[1]) == column, near, row) for near in beside]
    return np.array(rows).reshape(-1, X.shape[1])


def build(name: str, task: str, **options: Any) -> Any:
    import catboost
    import lightgbm
    import sklearn.ensemble
    import sklearn.linear_model
    import sklearn.tree
    import xgboost

    for module in (lightgbm, xgboost, catboost, sklearn.ensemble, sklearn.linear_model, sklearn.tree):
        if hasattr(module, name):
            return getattr(module, name)(**options)
    raise AssertionError(name)


FOREST: dict[str, Any] = {"n_estimators": 30, "min_samples_leaf": 3, "random_state": 0}
LGBM: dict[str, Any] = {"n_estimators": 40, "verbose": -1, "n_jobs": 1, "min_child_samples": 5}
CAT: dict[str, Any] = {
    "iterations": 40, "depth": 4, "thread_count": 1, "allow_writing_files": False, "verbose": False,
}  # fmt: skip
XGB: dict[str, Any] = {"n_estimators": 60, "n_jobs": 1, "max_depth": 5}
KINDS: list[tuple[str, tuple[str, ...], dict[str, Any], bool]] = [
    ("DecisionTreeClassifier", TASKS[:2], {"random_state": 0}, True),
    ("DecisionTreeRegressor", TASKS[2:], {"random_state": 0}, True),
    ("ExtraTreeClassifier", TASKS[:2], {"random_state": 0}, True),
    ("ExtraTreeRegressor", TASKS[2:], {"random_state": 0}, True),
    ("RandomForestClassifier", TASKS[:2], FOREST, True),
    ("RandomForestClassifier", TASKS[:2], {**FOREST, "class_weight": "balanced"}, True),
    ("RandomForestRegressor", TASKS[2:], FOREST, True),
    ("ExtraTreesClassifier", TASKS[:2], FOREST, True),
    ("ExtraTreesRegressor", TASKS[2:], FOREST, True),
    ("HistGradientBoostingClassifier", TASKS[:2], {"max_iter": 30, "random_state": 0}, True),
    ("HistGradientBoostingRegressor", TASKS[2:], {"max_iter": 30, "random_state": 0}, True),
    ("HistGradientBoostingRegressor", TASKS[2:], {"max_iter": 9, "loss": "absolute_error"}, True),
    ("LogisticRegression", TASKS[:2], {"max_iter": 50}, False),
    ("LinearRegression", TASKS[2:], {}, False),
    ("Ridge", TASKS[2:], {}, False),
    ("Lasso", TASKS[2:], {}, False),
    ("ElasticNet", TASKS[2:], {}, False),
    ("LGBMClassifier", TASKS[:2], LGBM, True),
    ("LGBMClassifier", TASKS[:2], {**LGBM, "zero_as_missing": True}, True),
    ("LGBMClassifier", TASKS[:2], {**LGBM, "use_missing": False}, True),
    ("LGBMClassifier", TASKS[:2], {**LGBM, "boosting_type": "dart"}, True),
    ("LGBMClassifier", TASKS[1:2], {**LGBM, "objective": "multiclassova"}, True),
    (
        "LGBMClassifier",
        TASKS[:2],
        {**LGBM, "boosting_type": "rf", "bagging_freq": 1, "bagging_fraction": 0.6},
        True,
    ),
    ("LGBMRegressor", TASKS[2:], LGBM, True),
    ("LGBMRegressor", TASKS[2:], {**LGBM, "objective": "quantile"}, True),
    ("LGBMRegressor", TASKS[2:], {**LGBM, "reg_sqrt": True}, True),
    ("XGBClassifier", TASKS[:2], XGB, True),
    ("XGBClassifier", TASKS[:2], {**XGB, "booster": "dart", "rate_drop": 0.3}, True),
    ("XGBClassifier", TASKS[:2], {**XGB, "base_score": 0.3, "num_parallel_tree": 2}, True),
    ("XGBRegressor", TASKS[2:], XGB, True),
    ("CatBoostClassifier", TASKS[:2], CAT, True),
    ("CatBoostClassifier", TASKS[:1], {**CAT, "grow_policy": "Lossguide"}, True),
    ("CatBoostClassifier", TASKS[:1], {**CAT, "nan_mode": "Max"}, True),
    ("CatBoostClassifier", TASKS[:2], {**CAT, "loss_function": "MultiClass"}, True),
    ("CatBoostRegressor", TASKS[2:], CAT, True),
    ("CatBoostRegressor", TASKS[2:], {**CAT, "grow_policy": "Depthwise", "loss_function": "MAE"}, True),
]
CASES = [(name, task, options, missing) for name, tasks, options, missing in KINDS for task in tasks]


def fitted(
    name: str, task: str, options: dict[str, Any], *, missing: bool, rows: int = 1500
) -> tuple[Any, Any]:
    X, y = data(3, task, rows, missing=missing)
    if name in {"LogisticRegression", "LinearRegression", "Ridge", "Lasso", "ElasticNet"}:
        X = (X - X.mean(axis=0)) / X.std(axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(name, task, **options).fit(X, y), X


def largest_difference(expected: np.ndarray, got: np.ndarray) -> float:
    return float(np.max(np.abs(expected - got) / np.maximum(1.0, np.abs(expected)), initial=0.0))


def assert_equal(estimator: Any, X: np.ndarray, task: str) -> None:
    frame = frame_of(task)
    form = score_form(estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = raw_scores(estimator, X, frame).reshape(len(X), -1)
    got = run(score_model(estimator, frame), X)
    assert got.dtype == np.float64
    assert got.shape == (len(X), answers(frame))
    assert largest_difference(expected, got) <= form.tolerance
    if not form.float32_sums:
        assert largest_difference(expected, got) <= 1e-12
    if task == "binary":
        sure = np.abs(expected - 0.5) > form.tolerance
        assert np.array_equal((expected >= 0.5)[sure], (got >= 0.5)[sure])


@pytest.mark.parametrize(("name", "task", "options", "missing"), CASES)
def test_graph_equals_library(name: str, task: str, options: dict[str, Any], missing: bool) -> None:
    estimator, X = fitted(name, task, options, missing=missing)
    fresh = (
        data(11, task, 3000, missing=missing)[0]
        if missing
        else np.random.default_rng(1).normal(size=(3000, 7))
    )
    on_thresholds = threshold_rows(score_form(estimator), X)
    missing_rows = np.full((1 if missing else 0, X.shape[1]), np.nan)
    zeros = np.array([np.zeros(X.shape[1]), -np.zeros(X.shape[1])])
    assert_equal(estimator, np.vstack([X, fresh, on_thresholds, missing_rows, zeros]), task)


MORE = {
    "ARDRegression",
    "BaggingClassifier",
    "BaggingRegressor",
    "BayesianRidge",
    "ElasticNetCV",
    "GammaRegressor",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "HuberRegressor",
    "Lars",
    "LarsCV",
    "LassoCV",
    "LassoLars",
    "LassoLarsCV",
    "LassoLarsIC",
    "LinearSVR",
    "LogisticRegressionCV",
    "MLPClassifier",
    "MLPRegressor",
    "OrthogonalMatchingPursuit",
    "PoissonRegressor",
    "QuantileRegressor",
    "RidgeCV",
    "SGDRegressor",
    "TheilSenRegressor",
    "TweedieRegressor",
    "VotingClassifier",
    "VotingRegressor",
}
"""What `test_model_compile_more.py` tries."""


def test_every_exporter_is_tested() -> None:
    """Those of a file of its own in the tests of the model are left out."""
    tested = {name for name, *_ in KINDS} | {"NearestRows", "Network"}
    elsewhere = {
        "ClusterCentres",
        "ClusterExemplars",
        "Ensemble",
        "GaussianMixture",
        "GivenGraph",
        "IsolationForest",
        "LocalOutliers",
        "Numbered",
        "Rescaled",
        "Reweighed",
        "TailDetector",
        "TopItems",
    }
    assert {kind.split(".")[1] for kind in EXPORTERS} == tested | elsewhere | MORE


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("neighbours", [1, 7, 500])
def test_nearest_rows(task: str, neighbours: int) -> None:
    """Ties among them: columns of few values, where many rows are at the same distance."""
    random = np.random.default_rng(neighbours)
    X = np.column_stack([random.integers(0, 2, (400, 3)) * 1.0, random.normal(size=(400, 2))])
    X[::2, 3:] = 0.25
    y = X.sum(axis=1) if task == "regression" else random.integers(0, 3 if task == "multiclass" else 2, 400)
    estimator = learner("knn").fit(
        X, y, task=task, configuration={"neighbours": neighbours, "relevance": 0.3}
    )
    near = X + random.choice([0.0, 0.0, 1e-12, 1e-9], size=X.shape)
    fresh = np.column_stack([random.integers(0, 2, (900, 3)) * 1.0, random.normal(size=(900, 2))])
    assert_equal(estimator, np.vstack([X, near, fresh, np.zeros((2, 5)), X[:9] * 1e9]), task)


ACTIVATIONS = ("relu", "silu", "sigmoid", "tanh", "softmax")


@pytest.mark.parametrize("task", TASKS)
def test_networks(task: str) -> None:
    """Every kind of layer, on rows of all sizes."""
    random = np.random.default_rng(0)
    outputs = {"binary": 2, "multiclass": 3, "regression": 1}[task]
    places = random.integers(0, 7, (5, 3))  # 6 is beyond the row: a zero
    layers: list[Layer] = [
        ("scale", {"factor": random.normal(size=6), "shift": random.normal(size=6)}),
        ("soft_clip", {"limit": np.array(3.0)}),
        ("convolution", {"positions": places, "weight": random.normal(size=(3, 4)), "bias": np.ones(4)}),
        *((kind, {}) for kind in ACTIVATIONS),
        ("greatest", {"positions": random.integers(0, 21, (9, 4))}),
        ("leaky_relu", {"slope": np.array(0.1)}),
        ("mean", {"positions": random.integers(0, 10, (8, 2))}),
        ("dense", {"weight": random.normal(size=(8, outputs)), "bias": random.normal(size=outputs)}),
        ("bound", {"low": np.array(-3.0), "high": np.array(2.0)}),
    ]
    assert {kind for kind, _ in layers} == set(LAYERS) == set(GRAPH_LAYERS)
    estimator = Network(6, layers, None if task == "regression" else np.arange(outputs))
    X = np.vstack([random.normal(size=(2500, 6)), 1e9 * random.normal(size=(50, 6)), np.zeros((1, 6))])
    assert_equal(estimator, X, task)


def test_a_convolution_is_that_of_scipy() -> None:
    from scipy.signal import correlate2d

    image, kernel = np.random.default_rng(0).normal(size=(4, 5)), np.arange(9.0).reshape(3, 3)
    rows, columns = np.indices((4, 5))
    near = [(rows + i, columns + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    places = np.stack(
        [np.where((r >= 0) & (r < 4) & (c >= 0) & (c < 5), 5 * r + c, 20).ravel() for r, c in near], axis=1
    )
    layer: Layer = (
        "convolution", {"positions": places, "weight": kernel.reshape(9, 1), "bias": np.zeros(1)},
    )  # fmt: skip
    found = Network(20, [layer], None).outputs(image.reshape(1, 20))
    np.testing.assert_allclose(found.reshape(4, 5), correlate2d(image, kernel, mode="same"), atol=1e-12)


@pytest.mark.parametrize("name", ["DecisionTreeClassifier", "RandomForestClassifier", "LGBMClassifier"])
def test_large_batch(name: str) -> None:
    options = LGBM if name == "LGBMClassifier" else {}
    estimator, _ = fitted(name, "binary", options, missing=True)
    assert_equal(estimator, data(5, "binary", 20_000, missing=True)[0], "binary")


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_lightgbm_categories(task: str) -> None:
    X, y = data(3, task, 2000, missing=True)
    name = "LGBMRegressor" if task == "regression" else "LGBMClassifier"
    estimator = build(name, task, **LGBM, cat_smooth=1, min_data_per_group=5)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, y, categorical_feature=[4])
    form = score_form(estimator)
    assert form.truncated == (4,)
    odd = np.repeat(X[:12], 1, axis=0)
    odd[:, 4] = [-1, -0.5, 0.5, 1.9, 11.999, 12, 1e6, np.nan, -0.0, 3.0000001, 31, 32]
    assert_equal(estimator, np.vstack([X, odd]), task)


@pytest.mark.parametrize(
    "name",
    ["HistGradientBoostingClassifier", "HistGradientBoostingRegressor", "LGBMClassifier", "LGBMRegressor"],
)
def test_infinities(name: str) -> None:
    task = "binary" if name.endswith("Classifier") else "regression"
    options = {"max_iter": 20} if name.startswith("Hist") else LGBM
    estimator, X = fitted(name, task, options, missing=True)
    rows = np.vstack([np.where(np.eye(7, dtype=bool), sign * np.inf, X[:7]) for sign in (1, -1)])
    assert_equal(estimator, np.vstack([rows, np.full((1, 7), np.inf)]), task)


@pytest.mark.parametrize("name", ["HistGradientBoostingRegressor", "LGBMRegressor", "XGBRegressor"])
@pytest.mark.parametrize("target", ["counts", "gamma"])
def test_log_links(name: str, target: str) -> None:
    X, y = data(3, "regression", 1000, missing=True)
    y = np.floor(np.abs(y) / 50) + (target == "gamma")
    objective = "poisson" if target == "counts" else "gamma"
    options: dict[str, Any] = {
        "HistGradientBoostingRegressor": {"loss": objective, "max_iter": 20},
        "LGBMRegressor": {**LGBM, "objective": objective},
        "XGBRegressor": {**XGB, "objective": "count:poisson" if target == "counts" else "reg:gamma"},
    }[name]
    assert_equal(build(name, "regression", **options).fit(X, y), X, "regression")


@pytest.mark.parametrize("name", ["LGBMClassifier", "XGBClassifier"])
def test_early_stopping_stops_the_graph_too(name: str) -> None:
    X, y = data(3, "binary", 1500, missing=True)
    y = np.where(np.random.default_rng(0).random(len(y)) < 0.3, 1 - y, y)
    options: dict[str, Any] = {**LGBM, "n_estimators": 300, "early_stopping_round": 3, "learning_rate": 0.5}
    if name == "XGBClassifier":
        options = {**XGB, "n_estimators": 300, "early_stopping_rounds": 3}
    estimator = build(name, "binary", **options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        extra = {"verbose": False} if name == "XGBClassifier" else {}
        estimator.fit(X[:1000], y[:1000], eval_set=[(X[1000:], y[1000:])], **extra)
    assert len(score_form(estimator).trees) < 300
    assert_equal(estimator, X, "binary")


@pytest.mark.parametrize("name", ["RandomForestClassifier", "LogisticRegression", "LGBMClassifier"])
@pytest.mark.parametrize("seen", [(0, 2), (1, 2)])
def test_a_class_that_was_never_seen_has_no_chance(name: str, seen: tuple[int, ...]) -> None:
    X = np.random.default_rng(0).normal(size=(200, 3))
    y = np.where(X[:, 0] > 0, *seen)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = build(name, "multiclass", **(LGBM if name == "LGBMClassifier" else {})).fit(X, y)
    assert_equal(estimator, X, "multiclass")


@pytest.mark.parametrize(
    "name", ["RandomForestRegressor", "LGBMRegressor", "XGBRegressor", "HistGradientBoostingRegressor"]
)
def test_a_model_that_learned_nothing(name: str) -> None:
    X = np.zeros((50, 2))
    options = {"verbose": -1} if name == "LGBMRegressor" else {}
    estimator = build(name, "regression", **options).fit(X, np.full(50, 3.25))
    assert_equal(estimator, np.array([[0.0, 1.0], [np.nan, 5.0]]), "regression")


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_few_rows(rows: int) -> None:
    estimator, X = fitted("LGBMClassifier", "binary", LGBM, missing=True)
    assert run(score_model(estimator, frame_of("binary")), X[:rows]).shape == (rows, 1)


def test_same_bytes_each_time() -> None:
    first = score_model(fitted("LGBMClassifier", "binary", LGBM, missing=True)[0], frame_of("binary"))
    assert first == score_model(fitted("LGBMClassifier", "binary", LGBM, missing=True)[0], frame_of("binary"))


def test_what_does_not_compile_says_so() -> None:
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.svm import SVC

    for estimator in (KNeighborsClassifier(), SVC(), object(), "model"):
        with pytest.raises(ModelFault, match=r"(?m)cannot be compiled\.$") as raised:
            score_form(estimator)
        assert "train what compiles: " in raised.value.hint
        assert "lightgbm.LGBMClassifier" in raised.value.hint
        assert "everloop." not in raised.value.hint
    with pytest.raises(ModelFault, match="not fitted"):
        score_form(build("Ridge", "regression"))


@pytest.mark.parametrize(
    ("name", "task", "options", "message"),
    [
        ("LGBMRegressor", "regression", {**LGBM, "linear_tree": True}, "linear_tree"),
        ("XGBRegressor", "regression", {"booster": "gblinear"}, "gblinear"),
        ("XGBRegressor", "regression", {**XGB, "missing": -1.0}, "missing"),
        ("CatBoostRegressor", "regression", {**CAT, "loss_function": "RMSEWithUncertainty"}, "Uncertainty"),
        (
            "HistGradientBoostingRegressor",
            "regression",
            {"categorical_features": [4]},
            "categorical_features",
        ),
    ],
)
def test_options_without_a_compiled_form(name: str, task: str, options: dict[str, Any], message: str) -> None:
    estimator, _ = fitted(name, task, options, missing=False)
    with pytest.raises(ModelFault, match=message):
        score_form(estimator)


def test_wrong_task_and_labels() -> None:
    X = np.random.default_rng(0).normal(size=(60, 2))
    regressor = build("Ridge", "regression").fit(X, X[:, 0])
    with pytest.raises(ModelFault, match="predicts numbers, but the task is binary"):
        score_model(regressor, frame_of("binary"))
    classifier = build("LogisticRegression", "binary").fit(X, np.where(X[:, 0] > 0, "yes", "no"))
    with pytest.raises(ModelFault, match="fitted on the labels"):
        score_model(classifier, frame_of("binary"))
    assert kind_of(classifier) == "sklearn.LogisticRegression"
