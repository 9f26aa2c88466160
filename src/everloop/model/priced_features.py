"""Features that are paid for in each prediction: one stays where it earns more than it costs.

A quick model is made with a priced feature and without it, on the same folds. Both decide as they earn
most on rows that they have not seen, and what the one earns more, row by row, is what the feature earns.
The dearest is judged first, each later one beside those that stayed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from everloop.core.errors import SpecFault
from everloop.measure.intervals import paired_interval
from everloop.model.decision import Choosing, calibration_that_pays, choose_decision
from everloop.model.quick_model import quick_scores
from everloop.model.scoring import calibrated
from everloop.model.trained import FeatureChoice
from everloop.runtime.decision import decisions_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.units import Bound
    from everloop.measure.worth import Worth
    from everloop.model.features import Features
    from everloop.model.trial import Material

    Floats = NDArray[np.float64]

PLACE = "goal.costs.features"


def features_that_pay(
    material: Material,
    costs: Mapping[str, float],
    worth: Callable[[pl.DataFrame], Worth | None] | None,
    required: Mapping[str, Bound],
) -> tuple[Material, tuple[FeatureChoice, ...]]:
    """Leaves out the priced features that earn no more than they cost.

    Args:
        material: The rows, their folds and the features so far.
        costs: Column or feature -> what it costs in each prediction; one that nothing reads costs nothing.
        worth: Gives what decisions are worth.
        required: What the goal and the problem require of decisions.

    Returns:
        The material without them, and a choice for each feature that was judged, of those that read a
        priced column alike.

    Raises:
        SpecFault: When no column or feature has the name, or decisions have no price.
    """
    found = None if worth is None or not costs else worth(material.table)
    for name in costs:
        if name not in material.table.columns and name not in material.features.kinds:
            known = ", ".join(list(material.features)[:12])
            raise SpecFault(
                f"{name!r} has a price and is no column or feature; there are {known}.", place=PLACE
            )
        if found is None:
            raise SpecFault(f"{name!r} has a price, and decisions have none.", place=PLACE)
    choices: list[FeatureChoice] = []
    base: Floats | None = None
    for name in sorted(costs, key=lambda one: (-costs[one], one)):
        readers = _readers(material.features, name)
        if not readers or len(readers) == len(material.features):
            continue
        base = _earned(material, worth, required) if base is None else base
        fewer = replace(
            material, features=material.features.only(n for n in material.features if n not in readers)
        )
        without = _earned(fewer, worth, required)
        gain = paired_interval(without, base)
        kept = gain.estimate > costs[name]
        told = (
            f"earns {gain.estimate:.4g} a decision ({gain.low:.4g} to {gain.high:.4g}) "
            f"and costs {costs[name]:.4g}"
        )
        choices += [
            FeatureChoice(one, kept, f"it {told}" if one == name else f"it reads {name}, which {told}")
            for one in readers
        ]
        if not kept:
            material, base = fewer, without
    return material, tuple(choices)


def _readers(features: Features, name: str) -> list[str]:
    """Names the features that are a column or need it, directly or through others."""
    return [one for one in features if name in features.only([one]).columns]


def _earned(
    material: Material, worth: Callable[[pl.DataFrame], Worth | None] | None, required: Mapping[str, Bound]
) -> Floats:
    """Gives what a quick model's decisions earn on rows that it has not seen, times their weight, (n,)."""
    rows, scores = quick_scores(material)
    table, actual, counts = material.table[rows], material.actual[rows], material.counts_of(rows)
    values = None if worth is None else worth(table)
    if values is None:
        raise SpecFault("decisions have no price", place=PLACE)
    if material.frame.task == "binary":
        scores = calibrated(scores, calibration_that_pays(scores, actual, counts=counts))
    chosen = choose_decision(Choosing(material.frame, scores, actual, values, required, counts=counts))
    decided = decisions_of(scores, table, material.frame.task, chosen.threshold, chosen.rule)
    return (values if counts is None else values.weighed(counts)).values(actual, decided)
