"""Recommending items from implicit feedback: who had what, and when.

Example:
    >>> from everloop.model.recommending import Histories
    >>> import polars as pl
    >>> Histories.of(pl.DataFrame({"who": [1, 1, 2, 2], "what": ["a", "b", "a", "b"]}), "who", "what").items
    ('a', 'b')
"""

from everloop.model.recommending.histories import Histories, judged_lists
from everloop.model.recommending.train import evaluate_lists, train_recommender

__all__ = ["Histories", "evaluate_lists", "judged_lists", "train_recommender"]
