"""Extremely randomised trees."""

from __future__ import annotations

from typing import ClassVar

from everloop.model.learners.forest import Forest
from everloop.model.learners.learner import Capabilities


class ExtraTrees(Forest):
    """Extremely randomised trees (Geurts et al. 2006), by scikit-learn."""

    name: ClassVar[str] = "extra_trees"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_missing=True, computes_in_float32=True, cost=5.0, large=True
    )
    resamples: ClassVar[bool] = False
    kinds: ClassVar[tuple[str, str]] = ("ExtraTreesClassifier", "ExtraTreesRegressor")
