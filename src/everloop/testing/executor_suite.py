"""What every executor must do: `ExecutorSuite`.

A test module makes a class of it and gives the fixture ``executor``::

    class TestOurExecutor(ExecutorSuite):
        @pytest.fixture
        def executor(self):
            return OurExecutor()
"""
# ruff: noqa: S101
# (They are tests.)

from __future__ import annotations

import errno
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from everloop.core.errors import SourceUnreachable, StorageFull
from everloop.engine import Executor


def write_sum(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> Mapping[str, Any]:
    """Writes what its inputs and settings come to."""
    total = sum(int((path / "total").read_text()) for path in inputs.values()) + sum(settings["numbers"])
    (folder / "deep").mkdir()
    (folder / "deep" / "total").write_text(str(total))
    return {"total": total}


def write_nothing(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> None:
    """Writes and returns nothing."""


def be_unreachable(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> None:  # noqa: ARG001
    """Fails in a way that may pass."""
    raise SourceUnreachable("The source is down.", hint="wait")


def fill_the_disk(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> None:  # noqa: ARG001
    """Fails as a library does on a full disk."""
    if settings["text_only"]:
        raise OSError("No space left on device (os error 28)")
    raise OSError(errno.ENOSPC, "No space left on device")


def lose_a_file(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> None:  # noqa: ARG001
    """Fails otherwise."""
    (folder / "missing").read_text()


class ExecutorSuite:
    """The promises of `Executor`; a subclass gives the fixture `executor`."""

    def test_it_is_an_executor(self, executor: Executor) -> None:
        """With a name of its own."""
        assert isinstance(executor, Executor)
        assert executor.name

    def test_files_and_facts_come_back(self, executor: Executor, tmp_path: Path) -> None:
        """The function reads its inputs and settings, and writes into the folder."""
        before, folder = tmp_path / "before", tmp_path / "folder"
        before.mkdir()
        folder.mkdir()
        (before / "total").write_text("5")
        facts = executor.execute(write_sum, folder, {"numbers": [1, 2]}, {"before": before})
        assert facts == {"total": 8}
        assert (folder / "deep" / "total").read_text() == "8"
        assert (before / "total").read_text() == "5"

    def test_nothing_is_fine_too(self, executor: Executor, tmp_path: Path) -> None:
        """No file, no fact."""
        assert not executor.execute(write_nothing, tmp_path, {}, {})

    def test_our_errors_keep_their_type(self, executor: Executor, tmp_path: Path) -> None:
        """With message and hint: the type says whether a retry helps."""
        with pytest.raises(SourceUnreachable, match=r"The source is down\.") as caught:
            executor.execute(be_unreachable, tmp_path, {}, {})
        assert caught.value.hint == "wait"

    @pytest.mark.parametrize("text_only", [False, True])
    def test_a_full_disk_is_told_as_such(self, executor: Executor, tmp_path: Path, text_only: bool) -> None:
        """Also where a library kept the text of the error alone."""
        with pytest.raises(StorageFull):
            executor.execute(fill_the_disk, tmp_path, {"text_only": text_only}, {})

    def test_other_errors_pass(self, executor: Executor, tmp_path: Path) -> None:
        """As they are."""
        with pytest.raises(FileNotFoundError, match="missing"):
            executor.execute(lose_a_file, tmp_path, {}, {})
