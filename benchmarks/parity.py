"""How far compiled scores are from trained ones, beside what float32 input alone does to them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnxruntime

from benchmarks.figures import Figure, Options, Report
from everloop.model.compile import score_form, score_model
from everloop.model.scoring import raw_scores
from everloop.spec.frame import Frame

ROWS, TEST = 5_000, 20_000


def columns(rows: int, seed: int) -> np.ndarray:
    """Small numbers, money, seconds and microseconds since 1970."""
    random = np.random.default_rng(seed)
    return np.column_stack(
        [
            random.normal(size=(rows, 4)),
            random.gamma(2.0, 1e4, size=rows),
            1.7e9 + random.uniform(0, 3e7, size=rows),
            1.7e15 + random.uniform(0, 3e13, size=rows),
        ]
    )


def estimators() -> dict[str, Any]:
    import lightgbm
    import xgboost
    from sklearn import ensemble

    return {
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=200, verbose=-1, n_jobs=1),
        "xgboost": xgboost.XGBClassifier(n_estimators=200, n_jobs=1),
        "random_forest": ensemble.RandomForestClassifier(n_estimators=100, random_state=0),
        "hist_gradient_boosting": ensemble.HistGradientBoostingClassifier(max_iter=200),
    }


def in_float32(score: Any, X: np.ndarray) -> np.ndarray:
    """The trained model itself, given its input rounded to float32: the least that a float32 graph loses."""
    return score(X.astype(np.float32).astype(np.float64))


def run(options: Options) -> Report:
    """Compares compiled scores with trained ones; quick: fewer rows."""
    rows, tests = (1_000, 2_000) if options.quick else (ROWS, TEST)
    X, test = columns(rows, 0), columns(tests, 1)
    signal = X[:, 0] + np.sin(X[:, 5] / 2e6) + np.sin(X[:, 6] / 2e12)
    actual = (signal > 0.5).astype(np.int64)
    figures = [compared(name, estimator, X, actual, test) for name, estimator in estimators().items()]
    return Report(tuple(figures), ("float32: the trained model itself, given its input rounded to float32",))


def compared(name: str, estimator: Any, X: np.ndarray, actual: np.ndarray, test: np.ndarray) -> Figure:
    """Gives the largest difference of one estimator's compiled scores."""
    frame = Frame(task="binary", target="y", classes=("no", "yes"), positive="yes", metric="roc_auc")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(X, actual)
        expected = raw_scores(estimator, test, frame)
        rounded = in_float32(lambda rows: raw_scores(estimator, rows, frame), test)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        score_model(estimator, frame), options, providers=["CPUExecutionProvider"]
    )
    compiled = session.run(["score"], {"x": test})[0][:, 0]
    flips = [int(((other >= 0.5) != (expected >= 0.5)).sum()) for other in (compiled, rounded)]
    worst = [float(np.abs(other - expected).max()) for other in (compiled, rounded)]
    return Figure(
        f"{name}, largest difference ({flips[0]} labels flipped)",
        worst[0],
        "",
        beside=f"float32 ({flips[1]} flipped)",
        other=worst[1],
        goal=f"<= {score_form(estimator).tolerance}",
    )
