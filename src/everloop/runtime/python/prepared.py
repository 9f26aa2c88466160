"""A search's own model that was not compiled: the plan prepares a row, its members' libraries answer.

`pipeline.skops` holds the fitted estimators and, as numbers alone, all that is done with what they say:

- ``members``: of each its ``estimator``, the ``slots`` of the encoded vector that it reads, its ``weight``;
  ``factors`` by which its chances are put right, or the ``scale`` that its numbers were learned on;
- ``calibration``: slope and intercept of a sigmoid over the chance of the positive class, or None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.core.tasks import score_width
from everloop.measure.calibration import Sigmoid
from everloop.runtime.plan import Plan, compile_rows
from everloop.runtime.python.asked import AskedModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Matrix = NDArray[np.float64]

BACK: dict[str, Callable[[Any], Any]] = {"log": np.exp, "root": np.square}
"""What undoes each scale that a target may be learned on."""


class PreparedModel(AskedModel):
    """See the module.

    Args:
        kept: What the file holds.
        plan: The preparation.
        task: A key of `ANSWERS`.
        classes: How many classes there are.

    Raises:
        PackageRefused: When the file holds something else.
    """

    def __init__(self, kept: Any, plan: Plan, task: str, classes: int) -> None:
        super().__init__(score_width(task, classes))
        self._plan, self._classes, self._binary = plan, classes, task == "binary"
        self.encode = compile_rows(plan)
        try:
            self._answer = ANSWERS[task]
            self._members = [_checked(one, plan.width) for one in kept["members"]]
            stated = kept["calibration"]
            self._calibration = None if stated is None else Sigmoid(*map(float, stated))
        except (KeyError, TypeError, ValueError) as error:
            raise PackageRefused(
                f"pipeline.skops holds no model that a search for a task of the kind {task} came to."
            ) from error

    def encode_table(self, frame: Any) -> NDArray[Any]:
        """Gives the rows of a table as what `scores` takes."""
        from everloop.runtime.plan_table import encode_table

        return encode_table(self._plan, frame)

    def as_read(self, values: NDArray[Any]) -> Any:
        """Gives encoded rows as they are."""
        return values

    def said(self, table: Any) -> Matrix:
        """Asks every member with its own slots and adds up what they say."""
        found: Matrix = np.zeros((len(table), 1))
        for one in self._members:
            found = found + one["weight"] * self._answer(one, table[:, one["slots"]], self._classes)
        if self._binary:
            found = found[:, 1:]
        if found.shape != (len(table), self.outputs):
            raise PackageRefused(f"The model gives {found.shape[1]} numbers a row; expected {self.outputs}.")
        return found if self._calibration is None else self._calibration.apply(found[:, 0])[:, np.newaxis]


def _checked(member: Any, width: int) -> dict[str, Any]:
    """Gives a member whose slots are of the plan's vector."""
    slots = np.asarray(member["slots"])
    if slots.dtype.kind != "i" or slots.ndim != 1 or ((slots < 0) | (slots >= width)).any():
        raise ValueError("slots outside of the vector")
    return {**member, "slots": slots, "weight": float(member["weight"])}


def _chances(member: Mapping[str, Any], X: Matrix, classes: int) -> Matrix:
    """Gives the chance of each class, (n, classes); 0 of one that the estimator never saw."""
    estimator, factors = member["estimator"], member.get("factors")
    parts = np.asarray(estimator.predict_proba(X), dtype=np.float64)
    if factors is not None:
        parts = parts * factors
        parts = parts / parts.sum(axis=1, keepdims=True)
    found = np.zeros((len(X), classes))
    found[:, np.asarray(estimator.classes_, dtype=np.int64)] = parts
    return found


def _number(member: Mapping[str, Any], X: Matrix, _classes: int) -> Matrix:
    """Gives the number, (n, 1), on the target's own scale."""
    said = np.asarray(member["estimator"].predict(X), dtype=np.float64).reshape(len(X), 1)
    scale = member.get("scale")
    if scale is None:
        return said
    bent = np.clip(said, scale["low"], scale["high"]) * scale["spread"] + scale["centre"]
    numbers: Matrix = BACK[scale["name"]](bent) - scale["shift"]
    return numbers


def _unusual(member: Mapping[str, Any], X: Matrix, _classes: int) -> Matrix:
    """Gives how unusual each row is, (n, 1)."""
    return -np.asarray(member["estimator"].score_samples(X), dtype=np.float64).reshape(len(X), 1)


def _clusters(member: Mapping[str, Any], X: Matrix, _classes: int) -> Matrix:
    """Gives the chance of each cluster, (n, clusters)."""
    return np.asarray(member["estimator"].predict_proba(X), dtype=np.float64)


ANSWERS: dict[str, Callable[[Mapping[str, Any], Any, int], Any]] = {
    "binary": _chances,
    "multiclass": _chances,
    "regression": _number,
    "anomaly": _unusual,
    "clustering": _clusters,
}
"""A task -> what a member says of rows that are encoded: of two classes both chances."""
