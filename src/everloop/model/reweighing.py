"""Weights that make groups and classes independent, and the same model fitted without them.

Source:
    Kamiran and Calders, "Data preprocessing techniques for classification without discrimination",
    Knowledge and Information Systems 33 (2012), section 4.3.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.contained import Task, run_all
from everloop.model.estimator_file import estimator_of
from everloop.model.finishing import Finished, assembled, refitted
from everloop.model.learners.registry import BUILT_IN
from everloop.model.preparation import PreparationSettings
from everloop.model.running import SMALL
from everloop.model.searching import HANG_SECONDS
from everloop.model.trial import fit_fold
from everloop.table.groups import crossed_groups

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.finishing import Member
    from everloop.model.searching import Found
    from everloop.model.trial import Material
    from everloop.spec.frame import Frame


def independence_weights(groups: NDArray[np.object_], actual: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives weights under which the class of a row says nothing of its group, (n,).

    A row of group g and class c weighs P(g) P(c) / P(g, c): what is rarer than it would be by chance counts
    more. Each group and each class keeps its share of the weight; the mean is 1.

    Args:
        groups: The group of each row, (n,).
        actual: Class positions, (n,).

    Example:
        >>> independence_weights(np.array(["f", "f", "f", "m"]), np.array([0, 0, 1, 1])).tolist()
        [0.75, 0.75, 1.5, 0.5]
    """
    _, of_group = np.unique(groups.astype(str), return_inverse=True)
    _, of_class = np.unique(actual, return_inverse=True)
    joint = np.zeros((of_group.max() + 1, of_class.max() + 1))
    np.add.at(joint, (of_group, of_class), 1.0)
    expected = np.outer(joint.sum(axis=1), joint.sum(axis=0)) / len(actual)
    weights: NDArray[np.float64] = expected[of_group, of_class] / joint[of_group, of_class]
    return weights


def weights_for(table: pl.DataFrame, frame: Frame, actual: NDArray[np.int64]) -> NDArray[np.float64]:
    """Gives the weights of a table's rows by the groups of all sensitive columns together, (n,)."""
    return independence_weights(crossed_groups(table, frame.sensitive), actual)


def fit_unweighted(
    found: Found,
    done: Finished,
    material: Material,
    workers: int,
    by_age: NDArray[np.float64] | None = None,
) -> Finished | None:
    """Fits the same members with the same configurations on rows that do not weigh by their groups.

    Args:
        found: The search that led to the model.
        done: The model.
        material: What it was developed on, with weights.
        workers: How many fits side by side.
        by_age: What rows count by their age, where they do, (n,).

    Returns:
        The model without weights by group, with what it says of the rows that judged; None where one of
        its members could not be fitted, since a model of fewer is not the same one.
    """
    plain = replace(material, weights=by_age)
    folds = range(len(material.folds))
    tasks = [_task(found, plain, one, fold) for one in done.members for fold in folds]
    outcomes = run_all(tasks, workers)
    if any(outcome.error is not None for outcome in outcomes):
        return None
    values = {outcome.key: outcome.values for outcome in outcomes}
    said = {
        one.trial.number: np.concatenate([values[one.trial.number, fold]["scores"] for fold in folds])
        for one in done.members
    }
    members = [
        replace(one, estimator=estimator_of(values[one.trial.number, 0]["estimator"].tobytes()))
        for one in done.members
    ]
    if any(one.rows is None for one in done.members):
        chosen = [(one.trial, one.weight) for one in done.members]
        members, _ = refitted(found, plain, chosen, workers, limited=False)
        if len(members) < len(done.members):
            return None
    return assembled(lambda trial: said[trial.number], plain, members, ())


def _task(found: Found, material: Material, member: Member, fold: int) -> Task:
    trial = member.trial
    learner = found.learners[trial.learner]
    settings = PreparationSettings.of(learner.capabilities, seed=material.seed)
    encoded = found.matrices.get(fold, settings, trial.rows)

    def fit() -> dict[str, Any]:
        return fit_fold(learner, trial.configuration, material, encoded, keep=fold == 0)

    key = (trial.number, fold)
    return Task(key, fit, HANG_SECONDS, here=encoded.X.size <= SMALL and learner.name in BUILT_IN)
