"""The online store in a real Redis: its suite, a server that goes away, passwords, no memory."""
# ruff: noqa: D103, INP001, PT012, S101

import itertools

import pytest

from everloop.core.errors import OnlineStoreUnreachable, StorageFull, UsageFault
from everloop.runtime.features.stores import open_store
from everloop.testing.online_store_suite import OnlineStoreSuite
from everloop.testing.redis import RedisServer

_PREFIXES = itertools.count()


@pytest.fixture(scope="module")
def server():
    with RedisServer() as started:
        yield started


class TestRedisStore(OnlineStoreSuite):
    """All that any online store must do."""

    @pytest.fixture
    def address(self, server):
        """Gives a prefix of its own, whose signs Redis's patterns would take for theirs."""
        return f"{server.url()}?prefix=[a-z]*{next(_PREFIXES)}"


def test_lifecycles_with_other_prefixes_or_databases_are_apart(server):
    addresses = [server.url(1), f"{server.url(1)}?prefix=other", server.url(2)]
    for place, address in enumerate(addresses):
        with open_store(address) as store:
            store.update([b"a"], lambda _, place=place: [str(place).encode()])
    for place, address in enumerate(addresses):
        with open_store(address) as store:
            assert store.read([b"a"]) == [str(place).encode()]
            assert list(store.keys(b"")) == [b"a"]


def test_a_server_that_went_away_is_said_and_found_again():
    with RedisServer() as server, open_store(server.url()) as store:
        store.update([b"a"], lambda _: [b"1"])
        server.stop()
        with pytest.raises(OnlineStoreUnreachable, match="does not answer") as caught:
            store.read([b"a"])
        assert caught.value.retryable
        with pytest.raises(OnlineStoreUnreachable):
            open_store(server.url())
        server.start()
        assert store.read([b"a"]) == [None]


def test_a_password_is_used_and_never_shown():
    with RedisServer("--requirepass", "hunter2-right") as server:
        with open_store(server.url().replace("//", "//:hunter2-right@")) as store:
            store.update([b"a"], lambda _: [b"1"])
            assert "hunter2" not in repr(store)
        for password in ("", ":hunter2-wrong@"):
            with pytest.raises(OnlineStoreUnreachable) as caught:
                open_store(server.url().replace("//", f"//{password}"))
            shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
            assert "hunter2" not in shown


def test_a_server_without_memory_is_full():
    with RedisServer("--maxmemory", "2mb", "--maxmemory-policy", "noeviction") as server:
        store = open_store(server.url())
        with store, pytest.raises(StorageFull, match="no memory"):
            for number in range(100):
                store.update([b"big/%d" % number], lambda _: [b"x" * 100_000])


def test_an_address_that_is_none_is_refused():
    with pytest.raises(UsageFault, match="none that"):
        open_store("redis://localhost:port/0")
