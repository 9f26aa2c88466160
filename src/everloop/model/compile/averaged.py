"""scikit-learn's bagging and soft voting as a `ScoreForm`: each member's own form, then their mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import ScoreForm
from everloop.model.compile.weighted import WeightedForm, WeightedMember, WeightedPart


def bagging_form(estimator: Any) -> ScoreForm:
    """Reads a bagging of estimators that compile."""
    members = estimator.estimators_
    if any(not hasattr(one, "predict_proba") for one in members) and hasattr(estimator, "classes_"):
        raise ModelFault("A bagging of classifiers without chances counts votes, which has no compiled form.")
    return _mean(estimator, members, estimator.estimators_features_, np.ones(len(members)))


def voting_form(estimator: Any) -> ScoreForm:
    """Reads a voting of estimators that compile; of classifiers, by their chances."""
    if getattr(estimator, "voting", "soft") != "soft":
        raise ModelFault("A voting by majority has no chances to compile.", hint="fit it with voting='soft'")
    members = estimator.estimators_
    weights = estimator._weights_not_none  # noqa: SLF001  (which weights are of members that were dropped)
    columns = [range(estimator.n_features_in_)] * len(members)
    return _mean(estimator, members, columns, np.ones(len(members)) if weights is None else np.array(weights))


def _mean(estimator: Any, members: Any, columns: Any, weights: Any) -> ScoreForm:
    from everloop.model.compile.registry import classes_of, score_form

    classes = len(getattr(estimator, "classes_", ()))
    several = classes if classes > 2 else 0
    share = np.asarray(weights, dtype=np.float64) / np.sum(weights)
    made = tuple(
        WeightedMember(
            score_form(one),
            np.asarray(slots, dtype=np.int64),
            float(weight),
            (0,) if (seen := classes_of(one)) is None else tuple(int(label) for label in seen),
        )
        for one, slots, weight in zip(members, columns, share, strict=True)
    )
    if classes and any(len(one.seen) < 2 for one in made):
        raise ModelFault("A member that saw one class alone has no compiled form.")
    return WeightedForm(
        width=int(estimator.n_features_in_),
        outputs=several or 1,
        link="identity",
        part=WeightedPart(made, several),
        members=made,
    )
