"""The embedded stores pass the suite of all online stores, and say what is wrong."""

import pytest

from everloop.core.errors import EverloopError, OnlineStoreUnreachable, StorageFull
from everloop.runtime.features.stores import lmdb as embedded
from everloop.runtime.features.stores import open_store
from everloop.testing.online_store_suite import OnlineStoreSuite


class TestMemoryStore(OnlineStoreSuite):
    @pytest.fixture
    def address(self):
        return "memory:"


class TestLmdbStore(OnlineStoreSuite):
    @pytest.fixture
    def address(self, tmp_path):
        return f"lmdb:{tmp_path / 'online'}"


def test_a_folder_without_room_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded, "MAP_BYTES", 2**16)
    with open_store(f"lmdb:{tmp_path / 'small'}") as store:
        store.update([b"a"], lambda _: [b"1"])
        with pytest.raises(StorageFull, match="no room"):
            store.update([b"big"], lambda _: [b"x" * 2**20])
        assert store.read([b"a", b"big"]) == [b"1", None]


def test_what_is_no_store_is_said(tmp_path):
    (tmp_path / "data.mdb").write_bytes(b"this is text, not a database " * 1000)
    with pytest.raises(OnlineStoreUnreachable, match="cannot be opened") as caught:
        open_store(f"lmdb:{tmp_path}")
    assert "materialize" in caught.value.hint


@pytest.mark.parametrize("address", ["nosuch://me:hunter2@host", "hunter2", "env:hunter2"])
def test_an_unknown_kind_is_named_without_what_may_be_secret(address):
    with pytest.raises(EverloopError) as caught:
        open_store(address)
    assert "hunter2" not in f"{caught.value} {caught.value.hint}"
    assert "redis" in str(caught.value)
