"""What a choice came to, in the form in which training goes on with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from everloop.measure.intervals import Interval, mean_interval, paired_interval
from everloop.model.evaluation import Requirement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.model.evaluation import Evaluation
    from everloop.model.trained import Trained
    from everloop.model.unsupervised.trials import Tried


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen.

    Attributes:
        best: The best trial.
        trained: The model of all rows that was made by its configuration.
        judged_rows: As how many rows of one weight tell that it will be judged on.
    """

    best: Tried
    trained: Trained
    judged_rows: float


def share_interval(shares: Sequence[float]) -> Interval:
    """Gives the mean of some shares with its interval, kept between 0 and 1."""
    found = mean_interval(shares)
    return Interval(max(0.0, found.low), found.estimate, min(1.0, found.high))


def with_value(
    evaluation: Evaluation,
    earned: NDArray[np.float64],
    today: NDArray[np.float64],
    best: NDArray[np.float64],
    required: Mapping[str, Bound],
    *,
    counts: NDArray[np.float64] | None = None,
    **measured: Interval,
) -> Evaluation:
    """Adds the money to an evaluation, and holds it against what is required.

    Args:
        evaluation: What was measured so far.
        earned: What each decision was worth, (n,).
        today: What each would be worth without a model, (n,).
        best: What each would be worth to one who knew the outcome, (n,).
        required: All bounds.
        counts: What each row counts, (n,); None where all count alike.
        **measured: What else can be required.
    """
    value = mean_interval(earned, weights=counts)
    known = {**evaluation.metrics, "value_per_decision": value, **measured}
    return replace(
        evaluation,
        value=value,
        value_today=mean_interval(today, weights=counts),
        gain=paired_interval(today, earned, weights=counts),
        best_possible=float(np.average(best, weights=counts)) if len(best) else None,
        requirements=requirements_of(required, known),
    )


def requirements_of(
    required: Mapping[str, Bound], metrics: Mapping[str, Interval]
) -> tuple[Requirement, ...]:
    """Holds what was measured against what is required; what was not measured does not hold."""
    found = []
    for name, bound in required.items():
        number = metrics[name].estimate if name in metrics else float("nan")
        found.append(Requirement(name, str(bound), bound.limit, number, bool(bound.holds(number))))
    return tuple(found)
