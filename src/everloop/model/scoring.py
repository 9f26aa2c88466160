"""From an estimator and encoded rows to scores and predictions: the one place where both are defined."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.tasks import TASKS, decides_by, score_width

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.measure.calibration import Sigmoid
    from everloop.spec.frame import Frame


def raw_scores(estimator: Any, X: NDArray[np.float64], frame: Frame) -> NDArray[np.float64]:
    """Gives an estimator's scores before calibration.

    Args:
        estimator: Fitted on class indices (or numbers, for regression).
        X: Encoded rows, (n, width).
        frame: The problem.

    Returns:
        The chance of the positive class (n,) for binary, of each class (n, classes) for multiclass and
        clustering, how unusual each row is (n,) for anomaly, the number (n,) for regression. A class
        that the estimator never saw has chance 0.
    """
    if len(X) == 0:
        width = score_width(frame.task, len(frame.classes), frame.listed)
        return np.zeros((0, width) if width > 1 else 0)
    if frame.task == "regression":
        return np.asarray(estimator.predict(X), dtype=np.float64).reshape(len(X))
    if not TASKS[frame.task].supervised:
        if decides_by(frame.task, "threshold"):
            return -np.asarray(estimator.score_samples(X), dtype=np.float64)
        if decides_by(frame.task, "items"):
            return np.asarray(estimator.listed(X), dtype=np.float64)
        return np.asarray(estimator.predict_proba(X), dtype=np.float64)
    chances = np.zeros((len(X), len(frame.classes)))
    seen = np.asarray(estimator.classes_, dtype=np.int64)
    chances[:, seen] = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    return chances[:, 1] if frame.task == "binary" else chances


def calibrated(scores: NDArray[np.float64], calibration: Sigmoid | None) -> NDArray[np.float64]:
    """Gives the scores after calibration; without one they are given back as they are."""
    return scores if calibration is None else calibration.apply(scores)


def labels_of(indices: NDArray[np.int64], classes: tuple[str, ...], type_name: str) -> NDArray[Any]:
    """Gives the labels for class indices, in the target's own type where it has one."""
    convert: dict[str, tuple[Any, Any]] = {
        "integer": (int, np.int64),
        "number": (float, np.float64),
        "boolean": (lambda text: text == "true", np.bool_),
    }
    to_value, dtype = convert.get(type_name, (str, object))
    return np.array([to_value(text) for text in classes], dtype=dtype)[indices]
