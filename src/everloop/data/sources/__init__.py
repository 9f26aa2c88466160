"""Sources: where raw data comes from. One file for each kind.

Example:
    >>> from everloop.data.sources import installed_kinds
    >>> {"file", "sql", "table"} <= set(installed_kinds())
    True
"""

from everloop.data.sources.digest_memo import DigestMemo
from everloop.data.sources.protocol import (
    Capabilities,
    Increment,
    IncrementalSource,
    Reading,
    Source,
    SourcePart,
    Surroundings,
)
from everloop.data.sources.registry import ENTRY_POINTS, SOURCES, installed_kinds, open_source, source_class

__all__ = [
    "ENTRY_POINTS",
    "SOURCES",
    "Capabilities",
    "DigestMemo",
    "Increment",
    "IncrementalSource",
    "Reading",
    "Source",
    "SourcePart",
    "Surroundings",
    "installed_kinds",
    "open_source",
    "source_class",
]
