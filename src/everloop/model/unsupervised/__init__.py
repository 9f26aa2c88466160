"""Training where nothing is learned from a target: anomalies and clusters.

Example:
    >>> from everloop.model.unsupervised import CHOOSERS
    >>> sorted(CHOOSERS)
    ['anomaly', 'clustering']
"""

from everloop.model.unsupervised.train import CHOOSERS, evaluate_rows, train_unsupervised

__all__ = ["CHOOSERS", "evaluate_rows", "train_unsupervised"]
