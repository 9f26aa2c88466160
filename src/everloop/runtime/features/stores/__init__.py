"""Online stores: where histories of entities live. One file for each kind.

Example:
    >>> from everloop.runtime.features.stores import open_store
    >>> with open_store("memory:") as store:
    ...     store.update([b"a"], lambda old: [b"1"])
    ...     store.read([b"a", b"b"])
    [b'1', None]
"""

from everloop.runtime.features.stores.registry import ENTRY_POINTS, STORES, known_stores, open_store
from everloop.runtime.features.stores.store import MOST_KEY_BYTES, Capabilities, Change, OnlineStore

__all__ = [
    "ENTRY_POINTS",
    "MOST_KEY_BYTES",
    "STORES",
    "Capabilities",
    "Change",
    "OnlineStore",
    "known_stores",
    "open_store",
]
