"""Pure functions: arrays in, numbers out. Every formula names its source.

Example:
    >>> from everloop.measure import compute
    >>> compute("roc_auc", [0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
    0.75
"""

from everloop.measure.metrics import METRICS, compute

__all__ = ["METRICS", "compute"]
