"""Phase 2: what is to be learned, from which columns, judged how, and whether the labels suffice.

Example:
    >>> import polars as pl
    >>> from everloop import problem
    >>> table = pl.DataFrame({"age": [20, 30, 40, 50], "churned": ["no", "no", "no", "yes"]})
    >>> found = problem.frame(table, target="churned")
    >>> found.task, found.positive, found.reasons["positive"]
    ('binary', 'yes', "'yes' reads as the event")
"""

from everloop.problem.api import frame, quick_look, sufficiency
from everloop.table.quick_look import QuickLook
from everloop.table.sufficiency import Sufficiency

__all__ = ["QuickLook", "Sufficiency", "frame", "quick_look", "sufficiency"]
