"""Where in a store what is kept, and in which columns."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from everloop.runtime.features.stores import MOST_KEY_BYTES
from everloop.table.expression.tree import Call, ColumnRef, Node
from everloop.table.feature_joined import JoinedFeature

_BETWEEN = b"\x1f"


class Place(NamedTuple):
    """A source and the column by which its rows are kept apart."""

    source: str
    by: str


def history_prefix(place: Place) -> bytes:
    """Gives what the keys of all histories of a place begin with."""
    return _BETWEEN.join((b"history", place.source.encode(), place.by.encode(), b""))


def history_key(place: Place, entity: str) -> bytes:
    """Gives the key of one entity's history; a name that is too long is told by its digest."""
    key = history_prefix(place) + entity.encode("utf-8", "surrogatepass")
    if len(key) <= MOST_KEY_BYTES:
        return key
    digest = hashlib.sha256(key).hexdigest().encode()
    return (history_prefix(place) + key[-100:])[: MOST_KEY_BYTES - len(digest) - 1] + b"\x1e" + digest


DEFINITIONS_KEY = b"definitions"
"""The key of what the store was filled for."""


def position_key(source: str) -> bytes:
    """Gives the key of how far a source has been followed."""
    return b"position" + _BETWEEN + source.encode()


def by_place(features: Iterable[JoinedFeature]) -> dict[Place, list[JoinedFeature]]:
    """Groups features by the history that they look at."""
    groups: dict[Place, list[JoinedFeature]] = {}
    for feature in features:
        groups.setdefault(Place(feature.source, feature.by), []).append(feature)
    return groups


def column_types(features: Iterable[JoinedFeature]) -> dict[str, str]:
    """Names the source's columns that features read, with the type that they are read as."""
    found: dict[str, str] = {}
    for feature in features:
        if feature.value is not None:
            _collect(feature.value.tree, found)
    return found


def _collect(node: Node, found: dict[str, str]) -> None:
    if isinstance(node, ColumnRef):
        found[node.name] = node.type
    elif isinstance(node, Call):
        for argument in node.arguments:
            _collect(argument, found)
