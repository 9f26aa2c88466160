"""Leaks: what would let a model know its answers beforehand.

Example:
    >>> from everloop.data.leaks import KINDS
    >>> list(KINDS)[:3]
    ['target copy', 'duplicates', 'groups']
"""

from __future__ import annotations

from everloop.data.leaks.finding import LeakFinding, LeakFound, block_leaks
from everloop.data.leaks.kinds import KINDS, LeakKind, leaks_of
from everloop.data.leaks.parts import Parts
from everloop.data.leaks.report import LeakReport

__all__ = ["KINDS", "LeakFinding", "LeakFound", "LeakKind", "LeakReport", "Parts", "block_leaks", "leaks_of"]
