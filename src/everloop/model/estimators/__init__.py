"""Fitted estimators of our own, for what no library has in a form that compiles: arrays, and how to score.

Example:
    >>> import numpy as np
    >>> from everloop.model.estimators import TailDetector
    >>> rows = np.arange(101.0)[:, None]
    >>> -TailDetector().fit(rows).score_samples(np.array([[50.0], [100.0]])).round(2)
    array([0.68, 4.62])
"""

from everloop.model.estimators.cluster_centres import ClusterCentres
from everloop.model.estimators.cluster_exemplars import ClusterExemplars
from everloop.model.estimators.item_scores import ItemFactors, PopularItems, SimilarItems, solved
from everloop.model.estimators.tail_detector import TailDetector
from everloop.model.estimators.top_items import TopItems

__all__ = [
    "ClusterCentres",
    "ClusterExemplars",
    "ItemFactors",
    "PopularItems",
    "SimilarItems",
    "TailDetector",
    "TopItems",
    "solved",
]
