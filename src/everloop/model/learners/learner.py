"""What a learner is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

Task: TypeAlias = str
"""``binary``, ``multiclass`` or ``regression``, as in the frame."""

ALL_TASKS: tuple[Task, ...] = ("binary", "multiclass", "regression")


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
    """

    tasks: tuple[Task, ...] = ALL_TASKS
    takes_missing: bool = False
    wants_scaling: bool = False
    computes_in_float32: bool = False
    cost: float = 1.0
    most_rows: int | None = None


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


@runtime_checkable
class Learner(Protocol):
    """One algorithm family with its search space.

    A learner holds no state: `fit` gives a new estimator and keeps nothing, so one learner may be
    used from several threads. The same arguments give an estimator with the same predictions, bit
    for bit, whatever ran before. Inputs are never modified.

    The estimator has ``predict(X)`` and, where the task has classes, ``predict_proba(X)`` and
    ``classes_``; it predicts the same whatever the number of threads; and it survives
    `estimator_file.save_estimator` and `load_estimator` with the same predictions.

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
            X: Encoded rows, (n, width) doubles, dense; NaN only where ``takes_missing``.
            y: Class indices (integers from 0) or numbers, (n,). Some classes may be absent, but
                there are at least two.
            task: One of ``capabilities.tasks``.
            configuration: Values by parameter name; what is left out takes the default.
            weights: One for each row, or None.
            seed: What chance is drawn from.
            threads: How many threads it may use.

        Returns:
            The fitted estimator.
        """
        ...
