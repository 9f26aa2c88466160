"""What rows count in learning, and which learners can weigh them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.ageing import HISTORY, WEIGHT, age_weights, weighable
from everloop.model.mitigation import REWEIGHING
from everloop.model.reweighing import weights_for
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner
    from everloop.model.training_inputs import TrainingSettings
    from everloop.spec.frame import Frame


def learners_that_weigh(
    learners: tuple[Learner, ...], frame: Frame, settings: TrainingSettings
) -> tuple[Learner, ...]:
    """Gives the learners that can weigh rows, where the problem or their age weighs them."""
    for stated, key in ((settings.half_life, HISTORY), (frame.weight, WEIGHT)):
        learners = weighable(learners, key) if stated else learners
    return learners


def unweighed_notes(asked: tuple[Learner, ...], able: tuple[Learner, ...]) -> tuple[str, ...]:
    """Says of each learner that is left out since it cannot weigh rows why it cannot."""
    left_out = [one for one in asked if one not in able]
    reasons = [one.capabilities.unweighted or "it takes no weights" for one in left_out]
    return tuple(
        f"{one.name} was not tried, for rows are weighed: {reason}."
        for one, reason in zip(left_out, reasons, strict=True)
    )


def learning_weights(
    table: pl.DataFrame, frame: Frame, actual: NDArray[Any], settings: TrainingSettings
) -> NDArray[np.float64] | None:
    """Gives what each row counts, (n,): by the problem, its group where those are treated alike, its age."""
    found = (
        row_counts(table, frame),
        weights_for(table, frame, actual) if settings.mitigate == REWEIGHING else None,
        age_weights(table, frame.time, settings.half_life) if settings.half_life is not None else None,
    )
    given = [one for one in found if one is not None]
    return np.prod(given, axis=0) if given else None
