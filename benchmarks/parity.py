"""How far compiled scores are from trained ones, beside what float32 input alone does to them.

Run: python benchmarks/parity.py
"""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
import onnxruntime

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


def main() -> None:
    X, test = columns(ROWS, 0), columns(TEST, 1)
    signal = X[:, 0] + np.sin(X[:, 5] / 2e6) + np.sin(X[:, 6] / 2e12)
    actual = (signal > 0.5).astype(np.int64)
    frame = Frame(task="binary", target="y", classes=("no", "yes"), positive="yes", metric="roc_auc")
    print(f"{'estimator':24}{'largest':>10}{'flips':>7}{'float32':>10}{'flips':>7}{'us/row':>8}{'one us':>8}")
    for name, estimator in estimators().items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, actual)
            expected = raw_scores(estimator, test, frame)
            rounded = in_float32(lambda rows, e=estimator: raw_scores(e, rows, frame), test)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(
            score_model(estimator, frame), options, providers=["CPUExecutionProvider"]
        )
        start = time.perf_counter()
        compiled = session.run(["score"], {"x": test})[0][:, 0]
        batch = (time.perf_counter() - start) / TEST * 1e6
        start = time.perf_counter()
        for row in test[:500]:
            session.run(["score"], {"x": row[np.newaxis]})
        single = (time.perf_counter() - start) / 500 * 1e6
        flips = [int(((other >= 0.5) != (expected >= 0.5)).sum()) for other in (compiled, rounded)]
        worst = [float(np.abs(other - expected).max()) for other in (compiled, rounded)]
        print(f"{name:24}{worst[0]:10.1e}{flips[0]:7}{worst[1]:10.1e}{flips[1]:7}{batch:8.2f}{single:8.1f}")
        assert worst[0] <= score_form(estimator).tolerance


if __name__ == "__main__":
    main()
