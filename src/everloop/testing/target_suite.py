"""What every target must do: `TargetSuite`.

A test module makes a class of it and gives the fixtures ``target`` and ``release``::

    class TestOurPlace(TargetSuite):
        @pytest.fixture
        def target(self):
            return OurPlace()
"""
# ruff: noqa: D102, S101
# (They are tests; their names say what they hold.)

from __future__ import annotations

import hashlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import pytest

from everloop.core.errors import UsageFault
from everloop.deploy.targets import Release, Target, export, known_targets, open_target
from everloop.deploy.targets.exporting import MARK

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Content

TRAINING = {
    "scikit-learn",
    "lightgbm",
    "xgboost",
    "catboost",
    "torch",
    "tensorflow",
    "pandas",
    "polars",
    "pyarrow",
}
SECRETS = ("PRIVATE KEY", "password")


def content_of(content: Content) -> bytes:
    """Gives a file's bytes."""
    return content if isinstance(content, bytes) else content.read_bytes()


class TargetSuite:
    """The behaviour that `Target` states, as tests."""

    @pytest.fixture
    def target(self) -> Target:
        """Gives the target."""
        raise NotImplementedError

    @pytest.fixture
    def release(self) -> Release:
        """Gives a release whose package serves by its graph."""
        raise NotImplementedError

    def test_is_a_known_target(self, target: Target) -> None:
        assert isinstance(target, Target)
        assert target.name in known_targets()
        assert type(open_target(target.name)) is type(target)
        assert target.capabilities.summary
        assert target.capabilities.platform

    def test_the_same_release_gives_the_same_files(self, target: Target, release: Release) -> None:
        first, again = target.files(release), target.files(release)
        assert {name: content_of(content) for name, content in first.items()} == {
            name: content_of(content) for name, content in again.items()
        }

    def test_paths_stay_in_the_folder(self, target: Target, release: Release) -> None:
        for name in target.files(release):
            path = PurePosixPath(name)
            assert not path.is_absolute()
            assert ".." not in path.parts
            assert path.name != MARK

    def test_the_package_is_carried_as_it_is(self, target: Target, release: Release) -> None:
        if not target.capabilities.serves:
            return
        carried = {
            PurePosixPath(name).name: hashlib.sha256(content_of(content)).hexdigest()
            for name, content in target.files(release).items()
            if "package" in PurePosixPath(name).parts
        }
        for name, digest in release.manifest.files.items():
            assert carried[name] == digest
        assert "manifest.json" in carried

    def test_nothing_that_trains_is_carried(self, target: Target, release: Release) -> None:
        for name, content in target.files(release).items():
            if name.endswith("requirements.txt"):
                asked = {line.partition("==")[0] for line in content_of(content).decode().split()}
                assert not asked & TRAINING
            path = PurePosixPath(name).parts
            rooms = path[path.index("everloop") + 1 : -1] if "everloop" in path else ()
            assert not {"model", "data", "loop", "record"} & set(rooms)

    def test_no_file_holds_a_secret(self, target: Target, release: Release) -> None:
        for name, content in target.files(release).items():
            if isinstance(content, bytes):
                assert not any(word in content.decode("utf-8", "replace") for word in SECRETS), name

    def test_what_comes_next_is_told(self, target: Target, release: Release) -> None:
        commands = target.commands(release)
        assert commands
        assert all(command and "\n" not in command for command in commands)

    def test_an_export_is_written_whole_and_may_be_written_again(
        self, target: Target, release: Release, tmp_path: Path
    ) -> None:
        folder = tmp_path / "out"
        for _ in range(2):
            written = export(release, target, folder)
            present = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
            assert present == {*written.files, MARK}
        assert {path.name for path in tmp_path.iterdir()} == {"out"}

    def test_what_was_not_exported_is_not_lost(
        self, target: Target, release: Release, tmp_path: Path
    ) -> None:
        (tmp_path / "mine.txt").write_text("mine")
        with pytest.raises(UsageFault, match="lost"):
            export(release, target, tmp_path)
        assert (tmp_path / "mine.txt").read_text() == "mine"
