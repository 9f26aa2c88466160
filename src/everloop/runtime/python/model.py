"""A model that answers by its own library: `pipeline.skops`, audited, asked by one thread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault, PackageRefused
from everloop.core.tasks import score_width
from everloop.runtime.python.asked import AskedModel
from everloop.runtime.python.rows import RawRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.plan import Plan

    Matrix = NDArray[np.float64]

ESTIMATOR_NAME = "pipeline.skops"


class PythonModel(AskedModel):
    """A fitted estimator over raw columns. Safe to share between threads.

    Args:
        estimator: A classifier with `predict_proba` or, of two classes, `decision_function`; or a regressor.
        plan: Which raw columns it reads.
        task: `binary`, `multiclass` or `regression`.
        classes: How many classes there are.

    Raises:
        PackageRefused: When the estimator does not do what the task is.
    """

    def __init__(self, estimator: Any, plan: Plan, task: str, classes: int) -> None:
        super().__init__(score_width(task, classes))
        self._binary = task == "binary"
        self._estimator = estimator
        self.rows = RawRows(plan.inputs, named=reads_names(estimator))
        labels = getattr(estimator, "classes_", None)
        known = 0 if labels is None else len(labels)
        if task not in ("binary", "multiclass", "regression") or known != classes:
            raise PackageRefused(f"The estimator tells {known} classes apart; the package says {classes}.")
        self._method = answering_method(estimator)

    def encode(self, rows: Iterable[Mapping[str, Any]]) -> NDArray[Any]:
        """Gives raw rows as what `scores` takes: (rows, columns)."""
        return self.rows.of_rows(rows)

    def encode_table(self, frame: Any) -> NDArray[Any]:
        """Gives the rows of a Polars frame as what `scores` takes."""
        return self.rows.of_table(frame)

    def as_read(self, values: NDArray[Any]) -> Any:
        """Gives encoded rows as the estimator reads them; see `RawRows.as_read`."""
        return self.rows.as_read(values)

    def said(self, table: Any) -> Matrix:
        """Asks the estimator; of two classes without chances the sigmoid of the margin."""
        said = np.asarray(getattr(self._estimator, self._method)(table), dtype=np.float64)
        said = said.reshape(len(said), -1)
        if self._method == "decision_function":
            with np.errstate(over="ignore"):
                said = 1.0 / (1.0 + np.exp(-said))
        elif self._binary:
            said = said[:, 1:]
        if said.shape[1] != self.outputs:
            raise PackageRefused(
                f"The estimator gives {said.shape[1]} numbers a row; expected {self.outputs}."
            )
        return said


def reads_names(estimator: Any) -> bool:
    """Says whether an estimator was fitted on columns with names, and so reads a frame."""
    return getattr(estimator, "feature_names_in_", None) is not None


def answering_method(estimator: Any) -> str:
    """Names the method whose answers are the scores.

    Raises:
        ModelFault: When an estimator of several classes says only which it chose.
    """
    labels = getattr(estimator, "classes_", None)
    if labels is None:
        return "predict"
    if hasattr(estimator, "predict_proba"):
        return "predict_proba"
    if len(labels) == 2 and hasattr(estimator, "decision_function"):
        return "decision_function"
    raise ModelFault(
        f"{type(estimator).__name__} says which class it chose and gives no chances; a package answers with "
        "chances.",
        hint="wrap it: sklearn.calibration.CalibratedClassifierCV(model).fit(X, y)",
    )
