"""Rows that count less the older they are, so that a training follows a world that changes."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from everloop.core.errors import DataFault, ModelFault

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner

HISTORY, WEIGHT = "monitor.retrain.history", "problem.weight"
"""The keys of the file that weigh rows."""

INSTEAD = {HISTORY: "history: {last: 180d}", WEIGHT: "leave problem.weight out"}


def age_weights(table: pl.DataFrame, time: str | None, half_life: timedelta) -> NDArray[np.float64]:
    """Gives weights that halve with every half-life of age, with the mean 1, (n,).

    Args:
        table: The rows.
        time: The column of their times; the latest has age 0, a row without a time counts as the oldest.
        half_life: The age at which a row counts half as much as the latest.

    Raises:
        DataFault: When the rows have no time.

    Example:
        >>> import polars as pl
        >>> from datetime import datetime
        >>> days = pl.DataFrame({"at": [datetime(2024, 1, day) for day in (1, 11, 21)]})
        >>> (7 / 3 * age_weights(days, "at", timedelta(days=10))).round(6).tolist()
        [1.0, 2.0, 4.0]
    """
    if time is None or time not in table.columns:
        raise DataFault(
            "Rows are to count less the older they are, but they have no time.",
            hint="problem: {time: COLUMN}",
            place="monitor.retrain.history",
        )
    moments = table[time].dt.epoch("us").cast(float).to_numpy()
    ages = np.nanmax(moments) - moments
    ages = np.where(np.isnan(ages), np.nanmax(ages), ages)
    # From the youngest on, so that nothing underflows to a row that counts nothing.
    weights = np.exp2(-np.minimum(ages / (half_life / timedelta(microseconds=1)), 60.0))
    scaled: NDArray[np.float64] = weights / weights.mean()
    return scaled


def weighable(learners: tuple[Learner, ...], place: str) -> tuple[Learner, ...]:
    """Gives the learners that can weigh rows.

    Args:
        learners: What is asked for.
        place: The key of the file that weighs rows, `HISTORY` or `WEIGHT`.

    Raises:
        ModelFault: When none can.
    """
    able = tuple(one for one in learners if one.capabilities.takes_weights)
    if not able:
        raise ModelFault(
            f"{place} weighs rows, which {', '.join(one.name for one in learners)} cannot.",
            hint=f"name others in model.learners, or {INSTEAD[place]}",
            place=place,
        )
    return able
