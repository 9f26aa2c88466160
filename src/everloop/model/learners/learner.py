"""What a learner is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

from everloop.core.errors import DataFault, ModelFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Task: TypeAlias = str
"""A key of `core.tasks.TASKS`, as in the frame."""

SUPERVISED: tuple[Task, ...] = ("binary", "multiclass", "regression")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a learner can do and what it wants, as data.

    Attributes:
        tasks: The tasks it knows.
        takes_missing: Whether it reads NaN; otherwise the preparation fills it.
        wants_scaling: Whether numbers should be centred and scaled.
        computes_in_float32: Whether it casts its input to float32; the preparation then rounds to
            float32 first, so that what serves and what was trained cut at the same numbers.
        cost: Rough seconds of its first configuration on 100,000 rows x 25 columns and one core:
            the cheapest learner is tried first.
        most_rows: More training rows than this are never given to it; None means any number.
        takes_weights: Whether rows may have weights; otherwise `fit` refuses them.
        unweighted: Why it takes none, where that should be told.
        class_by_class: Whether each of several classes has trees of its own, and takes their time.
        reads_grids: Whether it learns from images and sounds alone: its configuration gets ``grids``, the
            first slot, rows, columns and channels of each.
        large: Whether its estimators are large files, which are not kept of every trial.
        loads: A module that is loaded beforehand, of a library that must not have computed before a fork:
            fits are then made in children alone.
    """

    tasks: tuple[Task, ...] = SUPERVISED
    takes_missing: bool = False
    wants_scaling: bool = False
    computes_in_float32: bool = False
    cost: float = 1.0
    most_rows: int | None = None
    takes_weights: bool = True
    unweighted: str = ""
    class_by_class: bool = False
    reads_grids: bool = False
    large: bool = False
    loads: str = ""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One dimension of a search space.

    Attributes:
        name: The key in the configuration.
        kind: ``integer`` and ``number`` have bounds, ``choice`` has choices.
        low: The least value.
        high: The greatest value, included.
        log: Whether it is searched on a logarithmic scale.
        choices: The values of a choice.
    """

    name: str
    kind: Literal["integer", "number", "choice"]
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str | float | int | bool | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """What a fit is watched by.

    Attributes:
        X: Rows that judge it, encoded as those that it learns from.
        y: Their actuals, of classes that are learned.
        seconds: After so many it ends with what it has.
        weights: One for each of them, as for the rows that are learned from, or None.
        most_rounds: It never goes beyond.
        patience: It ends after so many rounds without a gain, and goes back to its best.
    """

    X: NDArray[np.float64]
    y: NDArray[Any]
    seconds: float = float("inf")
    weights: NDArray[np.float64] | None = None
    most_rounds: int = 2_000
    patience: int = 50


@runtime_checkable
class StopsEarly(Protocol):
    """A learner that adds round after round, and knows when to stop; its configurations name no rounds.

    A learner whose rounds never do harm (trees of a forest) stops at what it was asked for, or when its time
    is over.
    """

    def fit_watched(  # noqa: PLR0913  (what `fit` takes, and what watches)
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],
        watch: Watch,
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> tuple[Any, int]:
        """Fits as `Learner.fit` does, for as long as rows that it does not learn from gain.

        Returns:
            The estimator at its best round, and how many rounds that are: given as ``rounds`` to `fit`
            they make the same model of the same rows.
        """
        ...


@runtime_checkable
class Learner(Protocol):
    """One algorithm family with its search space.

    A learner holds no state: `fit` gives a new estimator and keeps nothing, so one learner may be
    used from several threads. The same arguments give an estimator with the same predictions, bit
    for bit, whatever ran before. Inputs are never modified.

    The estimator has ``predict(X)`` and, where the task has classes, ``predict_proba(X)`` and
    ``classes_``; for clustering ``predict_proba(X)`` alone, the largest cluster first; for anomaly
    ``score_samples(X)``, less for a more unusual row. It predicts the same whatever the number of
    threads; and it survives `estimator_file.save_estimator` and `load_estimator` with the same
    predictions.

    Attributes:
        name: The word for it in ``model.learners``.
        capabilities: What it can do.
        space: The dimensions that the search may vary; each has a place in every configuration, or
            a default within the learner.
        portfolio: Strong configurations, tried before anything is searched, the cheapest first.
    """

    name: str
    capabilities: Capabilities
    space: tuple[Parameter, ...]
    portfolio: tuple[Mapping[str, Any], ...]

    def fit(
        self,
        X: NDArray[np.float64],
        y: NDArray[Any],
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: NDArray[np.float64] | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits an estimator.

        Args:
            X: Encoded rows, (n, width) doubles, or floats where they were rounded to floats; dense; NaN
                only where ``takes_missing``.
            y: Class indices (integers from 0) or numbers, (n,). Some classes may be absent, but
                there are at least two. Of anomaly and clustering nothing that may be read.
            task: One of ``capabilities.tasks``.
            configuration: Values by parameter name; what is left out takes the default.
            weights: One for each row, or None. For anomaly and clustering a row of a whole weight is as
                many rows, beside each other, and one of 0 is none.
            seed: What chance is drawn from.
            threads: How many threads it may use.

        Returns:
            The fitted estimator.
        """
        ...


def refuse_weights(name: str, weights: NDArray[np.float64] | None) -> None:
    """Refuses weights, for a learner that has no use for them.

    Raises:
        ModelFault: When there are any.
    """
    if weights is not None:
        raise ModelFault(f"The learner {name} takes every row for the same; it was given weights.")


def require_different_rows(X: NDArray[np.float64], clusters: int) -> None:
    """Refuses to look for more clusters than there are different rows.

    Raises:
        DataFault: When there are fewer.
    """
    import numpy as np

    different = len(np.unique(X, axis=0))
    if different < clusters:
        raise DataFault(f"There are {different} different rows, too few for {clusters} clusters.")
