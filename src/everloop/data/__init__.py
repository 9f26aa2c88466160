"""Phase 3: data from its sources to a dataset, with no leak.

Example:
    >>> import polars as pl
    >>> from everloop import data
    >>> table = pl.DataFrame({"age": [20, 30, None], "town": ["A", "A", "B"]})
    >>> found = data.profile(table)
    >>> found.rows, found["age"].missing
    (3, 1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.data.api import check, find_leaks, prepare, snapshot
    from everloop.data.difference import Difference, diff
    from everloop.data.leaks import LeakFinding, LeakFound, LeakReport
    from everloop.data.learning import learn
    from everloop.data.profiles import Association, ColumnProfile, Oddity, Profile
    from everloop.data.profiling import profile
    from everloop.data.snapshots import Snapshot

_HOME = {
    **dict.fromkeys(("check", "find_leaks", "prepare", "snapshot"), "api"),
    **dict.fromkeys(("Difference", "diff"), "difference"),
    **dict.fromkeys(("LeakFinding", "LeakFound", "LeakReport"), "leaks"),
    "learn": "learning",
    **dict.fromkeys(("Association", "ColumnProfile", "Oddity", "Profile"), "profiles"),
    "profile": "profiling",
    "Snapshot": "snapshots",
}

__all__ = [
    "Association",
    "ColumnProfile",
    "Difference",
    "LeakFinding",
    "LeakFound",
    "LeakReport",
    "Oddity",
    "Profile",
    "Snapshot",
    "check",
    "diff",
    "find_leaks",
    "learn",
    "prepare",
    "profile",
    "snapshot",
]

__getattr__ = lazy_names(__name__, _HOME)
