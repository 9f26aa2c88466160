"""A model that answers by its own library: `pipeline.skops`, audited, asked by one thread."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault, ModelFault, PackageRefused
from everloop.core.extras import require
from everloop.core.tasks import score_width
from everloop.runtime.python.reading import estimator_of
from everloop.runtime.python.requirements import require_installed
from everloop.runtime.python.rows import RawRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.runtime.manifest import Manifest
    from everloop.runtime.plan import Plan

    Matrix = NDArray[np.float64]

ESTIMATOR_NAME = "pipeline.skops"


class PythonModel:
    """What `PythonModel.read` gives, or a fitted estimator itself. Safe to share between threads.

    Args:
        estimator: A classifier with `predict_proba` or, of two classes, `decision_function`; or a regressor.
        plan: Which raw columns it reads.
        task: `binary`, `multiclass` or `regression`.
        classes: How many classes there are.

    Raises:
        PackageRefused: When the estimator does not do what the task is.
    """

    def __init__(self, estimator: Any, plan: Plan, task: str, classes: int) -> None:
        self.outputs = score_width(task, classes)
        self._binary = task == "binary"
        self._estimator = estimator
        self._lock = threading.Lock()
        self._threads = require("threadpoolctl", extra="train").ThreadpoolController()
        self.rows = RawRows(plan.inputs, named=reads_names(estimator))
        labels = getattr(estimator, "classes_", None)
        known = 0 if labels is None else len(labels)
        if task not in ("binary", "multiclass", "regression") or known != classes:
            raise PackageRefused(f"The estimator tells {known} classes apart; the package says {classes}.")
        self._method = answering_method(estimator)

    @staticmethod
    def read(content: bytes, plan: Plan, manifest: Manifest) -> PythonModel:
        """Reads a package's estimator, whose digest was checked.

        Raises:
            MissingExtra: When a library is not installed.
            PackageRefused: When another version of it is, a type is not trusted, or it is another model.
        """
        require_installed(manifest.requirements)
        try:
            estimator = estimator_of(content, ESTIMATOR_NAME)
            return PythonModel(estimator, plan, manifest.task, len(manifest.classes))
        except ModelFault as fault:
            raise PackageRefused(fault.message, hint=fault.hint) from None

    def encode(self, rows: Iterable[Mapping[str, Any]]) -> NDArray[Any]:
        """Gives raw rows as what `scores` takes: (rows, columns)."""
        return self.rows.of_rows(rows)

    def encode_table(self, frame: Any) -> NDArray[Any]:
        """Gives the rows of a Polars frame as what `scores` takes."""
        return self.rows.of_table(frame)

    def scores(self, values: NDArray[Any]) -> Matrix:
        """Scores rows, as `Graph.scores` does.

        Args:
            values: What `encode` gave.

        Returns:
            (rows, outputs) doubles.

        Raises:
            DataFault: When the model itself refuses a row, or has no number for it.
        """
        if not len(values):
            return np.zeros((0, self.outputs))
        try:
            return self.scores_of(self.rows.as_read(values))
        except DataFault:
            raise
        except Exception as error:
            raise DataFault(
                f"The model refuses the row: its library raised {type(error).__name__}."
            ) from error

    def scores_of(self, table: Any) -> Matrix:
        """Scores a table in the estimator's own form, (rows, outputs).

        Raises:
            DataFault: When an answer is no finite number.
            PackageRefused: When the answers have another shape than the package says.
        """
        # What it would warn of, a client cannot change; the filters are one for all threads. A row is less
        # work than to wake a second processor for it.
        with self._lock, warnings.catch_warnings(), self._threads.limit(limits=1):
            warnings.simplefilter("ignore")
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
        if not np.isfinite(said).all():
            raise DataFault("The model has no finite answer to the row.")
        return np.ascontiguousarray(said)


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
