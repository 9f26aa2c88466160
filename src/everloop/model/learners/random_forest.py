"""Random forests."""

from __future__ import annotations

from typing import ClassVar

from everloop.model.learners.forest import Forest
from everloop.model.learners.learner import Capabilities


class RandomForest(Forest):
    """A random forest (Breiman 2001), by scikit-learn."""

    name: ClassVar[str] = "random_forest"
    capabilities: ClassVar[Capabilities] = Capabilities(
        takes_missing=True, computes_in_float32=True, cost=8.0, large=True
    )
    resamples: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, str]] = ("RandomForestClassifier", "RandomForestRegressor")
