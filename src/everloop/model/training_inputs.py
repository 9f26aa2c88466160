"""What a training is given: its rows, what is asked of it, and what decisions are worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from everloop.core.tasks import LISTED_ITEMS
from everloop.model.budget import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import timedelta

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.acting import Acting
    from everloop.measure.list_worth import ListWorth
    from everloop.measure.worth import Worth
    from everloop.table.dataset import Dataset
    from everloop.table.feature import FeatureDefinition


@dataclass(frozen=True, slots=True)
class TrainingSettings:
    """What a training is asked for.

    Attributes:
        learners: Names; empty means all that ship.
        budget: How long to search.
        by: How folds are divided: ``time``, ``group``, ``stratified``, ``random``.
        group: The column for ``group``.
        twins: Whether equal rows are kept in one fold, as a split keeps them in one part.
        select: Whether columns that do not help are left out.
        required: What the goal and the problem require.
        fairness: Bounds on differences between sensitive groups.
        mitigate: How those bounds are reached; see `mitigation`.
        segments: The column whose values may get a threshold of their own.
        seed: What all chance is drawn from.
        threads: How many fits run side by side; part of the result, so never taken from the machine.
        max_latency: A model that answers one row slower is made smaller.
        max_size: So is one whose compiled form has more bytes.
        feature_costs: What a column or feature costs in each prediction that reads it.
        tuner: Whose workers fit the folds of trials; see `workers.workers_of`.
        half_life: The age at which a row counts half as much as the latest; None counts all alike.
        listed: How many items a recommender lists, where there are as many.
        shown: Whether anybody looks at the evaluation; see `evaluating.evaluate`.
    """

    learners: tuple[str, ...] = ()
    budget: Budget = field(default_factory=lambda: Budget(seconds=60.0))
    by: str = "stratified"
    group: str | None = None
    twins: bool = True
    select: bool = True
    required: Mapping[str, Bound] = field(default_factory=dict)
    fairness: Mapping[str, Bound] = field(default_factory=dict)
    mitigate: str | None = None
    segments: str | None = None
    seed: int = 0
    threads: int = 2
    max_latency: timedelta | None = None
    max_size: int | None = None
    feature_costs: Mapping[str, float] = field(default_factory=dict)
    tuner: str = "optuna"
    half_life: timedelta | None = None
    listed: int = LISTED_ITEMS
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Parts:
    """The rows, by what they are for.

    Attributes:
        train: Rows to learn from.
        validation: Rows to judge trials on, where the split made such a part.
        test: Rows that nothing is decided on.
        definitions: What is computed from the columns of a row; the model computes it itself.
        replaced: From a column to its clean twin, which the model reads in its place.
    """

    train: pl.DataFrame
    validation: pl.DataFrame | None = None
    test: pl.DataFrame | None = None
    definitions: tuple[FeatureDefinition, ...] = ()
    replaced: Mapping[str, str] = field(default_factory=dict)


def parts_of(dataset: Dataset) -> Parts:
    """Gives a dataset's parts; one that it does not have, or that is empty, is None."""
    validation, test = (
        dataset.table(name) if dataset.counts.get(name) else None for name in ("validation", "test")
    )
    return Parts(dataset.train, validation, test, tuple(dataset.features), replaced=dataset.plan.clean_names)


@dataclass(frozen=True, slots=True)
class Stakes:
    """What decisions are worth, as functions of rows.

    Attributes:
        worth: Gives the money of each decision.
        today: Gives what is decided without a model, (n,).
        lists: Of a recommendation: gives what lists are worth on later events.
        acting: Of a clustering: gives the money of acting on each row, and what is acted on today.
    """

    worth: Callable[[pl.DataFrame], Worth | None] | None = None
    today: Callable[[pl.DataFrame], NDArray[Any]] | None = None
    lists: Callable[[pl.DataFrame], ListWorth | None] | None = None
    acting: Callable[[pl.DataFrame], Acting | None] | None = None
