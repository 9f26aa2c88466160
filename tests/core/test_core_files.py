import errno
import os
from pathlib import Path

import pytest

from everloop.core.errors import MissingExtra, OutsideFault, StorageFull
from everloop.core.extras import require
from everloop.core.files import publish_folder, scratch_folder, write_file


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "folder" / "file.json"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_leaves_the_old_content(tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    write_file(path, b"old")

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageFull, match=r"No room left on the disk while writing .*file\.json"):
        write_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_may_not_be_written_is_named(tmp_path, monkeypatch):
    def refused(descriptor):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "fsync", refused)
    with pytest.raises(OutsideFault, match="may not be written"):
        write_file(tmp_path / "file", b"")


def test_a_folder_is_published_once(tmp_path):
    for content in ("first", "second"):
        with scratch_folder(tmp_path) as work:
            (work / "sub").mkdir()
            (work / "sub" / "file").write_text(content)
            publish_folder(work, tmp_path / "final")
    assert (tmp_path / "final" / "sub" / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


def test_scratch_is_gone_after_an_error(tmp_path):
    def fail():
        with scratch_folder(tmp_path) as work:
            Path(work / "half").write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_its_extra():
    with pytest.raises(MissingExtra, match="'no_such_package'") as caught:
        require("no_such_package", extra="train")
    assert caught.value.hint == "pip install 'everloop[train]'"
