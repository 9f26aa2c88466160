"""What every online store must do: `OnlineStoreSuite`.

A test module makes a class of it and gives the fixture ``address``, that of an empty store::

    class TestOurStore(OnlineStoreSuite):
        @pytest.fixture
        def address(self, tmp_path):
            return f"ours:{tmp_path}"
"""
# ruff: noqa: D102, S101
# (They are tests; their names say what they hold.)

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from everloop.core.errors import EverloopError
from everloop.runtime.features.stores import MOST_KEY_BYTES, OnlineStore, known_stores, open_store

_COUNTING = """
import sys
from everloop.runtime.features.stores import open_store
with open_store(sys.argv[1]) as store:
    for _ in range(int(sys.argv[2])):
        store.update([b"count"], lambda old: [str(int(old[0] or b"0") + 1).encode()])
"""
_KILLED = """
import os, sys
from everloop.runtime.features.stores import open_store
store = open_store(sys.argv[1])
store.update([b"kept"], lambda old: [b"yes"])
def die(old):
    os.kill(os.getpid(), 9)
store.update([b"kept", b"half"], die)
"""


class OnlineStoreSuite:
    """The behaviour that `OnlineStore` states, as tests."""

    @pytest.fixture
    def address(self) -> str:
        """Gives the address of an empty store."""
        raise NotImplementedError

    @pytest.fixture
    def store(self, address: str) -> Iterator[OnlineStore]:
        """Opens it."""
        with open_store(address) as opened:
            yield opened

    def test_is_a_store_of_a_known_kind(self, store: OnlineStore, address: str) -> None:
        assert isinstance(store, OnlineStore)
        assert store.capabilities.kind in known_stores()
        assert address.partition(":")[0] in known_stores()
        assert store.capabilities.shared_by in {"process", "machine", "network"}

    def test_what_was_written_is_read_in_the_order_of_the_keys(self, store: OnlineStore) -> None:
        store.update([b"a", b"b", b"c"], lambda _: [b"1", b"", b"\x00\xff" * 1000])
        assert store.read([b"c", b"none", b"a", b"b"]) == [b"\x00\xff" * 1000, None, b"1", b""]
        assert store.read([]) == []

    def test_a_change_sees_what_was_there(self, store: OnlineStore) -> None:
        seen: list[list[bytes | None]] = []

        def change(old: list[bytes | None]) -> list[bytes | None]:
            seen.append(list(old))
            return [b"new", None]

        store.update([b"a", b"b"], lambda _: [None, b"old"])
        store.update([b"a", b"b"], change)
        assert seen == [[None, b"old"]]
        assert store.read([b"a", b"b"]) == [b"new", None]

    def test_a_failed_change_changes_nothing(self, store: OnlineStore) -> None:
        def fail(_: list[bytes | None]) -> list[bytes | None]:
            raise LookupError("on purpose")

        store.update([b"a"], lambda _: [b"1"])
        with pytest.raises(LookupError, match="on purpose"):
            store.update([b"a", b"b"], fail)
        assert store.read([b"a", b"b"]) == [b"1", None]

    def test_keys_are_found_by_prefix_and_sorted(self, store: OnlineStore) -> None:
        odd = [b"p/*", b"p/?", b"p/[a]", b"p/\\", b"p/\xc3\xbc", b"p/1", b"p", b"q/1", b"o"]
        store.update(odd, lambda _: [b"x"] * len(odd))
        assert list(store.keys(b"p/")) == sorted(key for key in odd if key.startswith(b"p/"))
        assert list(store.keys(b"p/[")) == [b"p/[a]"]
        assert list(store.keys(b"nothing")) == []
        assert list(store.keys(b"")) == sorted(odd)

    def test_keys_may_be_long(self, store: OnlineStore) -> None:
        key = b"k" * MOST_KEY_BYTES
        store.update([key], lambda _: [b"1"])
        assert store.read([key, key[:-1]]) == [b"1", None]

    def test_many_keys_change_at_once(self, store: OnlineStore) -> None:
        keys = [b"n/%d" % number for number in range(3000)]
        store.update(keys, lambda _: [key[2:] for key in keys])
        assert store.read(keys) == [key[2:] for key in keys]
        assert len(list(store.keys(b"n/"))) == 3000

    def test_two_users_of_one_process_see_each_other(self, store: OnlineStore, address: str) -> None:
        if not store.capabilities.keeps:
            pytest.skip("it lives in one object alone")
        with open_store(address) as other:
            other.update([b"a"], lambda _: [b"1"])
        assert store.read([b"a"]) == [b"1"]
        store.close()
        with open_store(address) as other:
            assert other.read([b"a"]) == [b"1"]

    def test_threads_lose_no_change(self, store: OnlineStore) -> None:
        def count() -> None:
            for _ in range(25):
                store.update([b"count"], lambda old: [str(int(old[0] or b"0") + 1).encode()])

        threads = [threading.Thread(target=count) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.read([b"count"]) == [b"75"]

    def test_processes_lose_no_change(self, store: OnlineStore, address: str) -> None:
        if store.capabilities.shared_by == "process":
            pytest.skip("it is one process's alone")
        command = [sys.executable, "-c", _COUNTING, address, "40"]
        children = [subprocess.Popen(command) for _ in range(2)]  # noqa: S603  (our own interpreter)
        assert [child.wait(timeout=60) for child in children] == [0, 0]
        assert store.read([b"count"]) == [b"80"]

    def test_a_killed_process_leaves_what_it_committed(self, store: OnlineStore, address: str) -> None:
        if not store.capabilities.keeps:
            pytest.skip("it keeps nothing")
        command = [sys.executable, "-c", _KILLED, address]
        assert subprocess.run(command, check=False, timeout=60).returncode == -9  # noqa: S603
        assert store.read([b"kept", b"half"]) == [b"yes", None]
        store.update([b"half"], lambda _: [b"whole"])
        assert store.read([b"half"]) == [b"whole"]

    def test_closing_twice_is_fine(self, address: str) -> None:
        store = open_store(address)
        store.close()
        store.close()

    def test_an_unknown_address_is_refused(self) -> None:
        with pytest.raises(EverloopError, match="known are"):
            open_store("nosuch://user:password@host")
