"""The kinds of online stores, by the scheme of their address."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Any, cast

from everloop.core.errors import UsageFault
from everloop.core.nearness import near_names
from everloop.runtime.features.stores.store import OnlineStore

ENTRY_POINTS = "everloop.online_stores"

STORES: dict[str, str] = {
    "lmdb": "everloop.runtime.features.stores.lmdb:LmdbStore",
    "memory": "everloop.runtime.features.stores.memory:MemoryStore",
    "redis": "everloop.runtime.features.stores.redis:RedisStore",
    "rediss": "everloop.runtime.features.stores.redis:RedisStore",
}


def known_stores() -> tuple[str, ...]:
    """Lists the schemes of addresses that can be opened here."""
    return tuple(sorted({*STORES, *_plugins()}))


def open_store(address: str) -> OnlineStore:
    """Opens an online store.

    Args:
        address: ``lmdb:FOLDER``, ``redis://HOST:PORT/DATABASE``, ``memory:``, or one that an installed
            package offers under the entry point group ``everloop.online_stores``.

    Raises:
        UsageFault: When no kind has the scheme; those that are known are named.
        OnlineStoreUnreachable: When it does not answer.
    """
    scheme = address.partition(":")[0]
    made: Any
    if scheme in STORES:
        module, name = STORES[scheme].split(":")
        made = getattr(import_module(module), name)
    else:
        plugin = _plugins().get(scheme)
        if plugin is None:
            raise _unknown(address, scheme)
        made = plugin.load()
    return cast("OnlineStore", made(address))


def _unknown(address: str, scheme: str) -> UsageFault:
    known = known_stores()
    # What has no scheme may be anything, a password included.
    told = f"begins with {scheme!r}" if ":" in address else "has no scheme"
    near = near_names(scheme, known)
    return UsageFault(
        f"The online store's address {told}; known are {', '.join(known)}.",
        hint=f"did you mean {near[0]}:?" if near else "redis://localhost:6379/0",
        place="data.online",
    )


def _plugins() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
