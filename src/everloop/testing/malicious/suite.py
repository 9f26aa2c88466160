"""What everything that takes in packages must do with harmful ones: `PackageLoaderSuite`.

A test module makes a class of it and gives the fixtures ``door`` and ``package``::

    class TestOurLoader(PackageLoaderSuite):
        @pytest.fixture
        def door(self):
            return "our.module:load"     # called with a folder and one that it may write to

        @pytest.fixture
        def package(self, tmp_path):
            return a_package_that_is_well(tmp_path / "package")
"""
# ruff: noqa: D102, S101
# (They are tests; their names say what they hold.)

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar

import pytest

from everloop.testing.malicious.files import FILE_ATTACKS
from everloop.testing.malicious.packages import PACKAGE_ATTACKS
from everloop.testing.malicious.payload import MARK_NAME
from everloop.testing.malicious.watching import Limits, fault_of, watch


class PackageLoaderSuite:
    """Every attack is refused by an error of ours that names the file, soon, and nothing was run or written.

    Attributes:
        limits: What a refusal may take.
    """

    limits: ClassVar[Limits] = Limits()

    @pytest.fixture
    def door(self) -> str:
        """Gives where the loader is: `module:function`."""
        raise NotImplementedError

    @pytest.fixture
    def package(self) -> Path:
        """Gives a package that is well, with one score a row and the columns amount and region."""
        raise NotImplementedError

    def test_what_is_well_is_loaded(self, door: str, package: Path, tmp_path: Path) -> None:
        assert watch(door, {"well": package}, tmp_path)["well"].message == "it was loaded"

    @pytest.mark.slow
    def test_every_attack_is_refused(
        self, door: str, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mark = tmp_path / "mark"
        monkeypatch.setenv(MARK_NAME, str(mark))
        paths = {}
        for number, (name, attack) in enumerate(PACKAGE_ATTACKS.items()):
            paths[name] = tmp_path / "attacks" / str(number) / "package"
            shutil.copytree(package, paths[name])
            attack.apply(paths[name])
        (tmp_path / "scratch").mkdir()
        verdicts = watch(door, paths, tmp_path / "scratch", self.limits)
        faults = [
            f"{name}: {fault}"
            for name, attack in PACKAGE_ATTACKS.items()
            if (fault := fault_of(verdicts.get(name), attack.named, self.limits))
        ]
        assert not faults, "\n".join(faults)
        assert not mark.exists()


class ModelFileSuite:
    """Every harmful model file is refused by an error of ours that names it; nothing was run or written.

    Attributes:
        limits: What a refusal may take.
    """

    limits: ClassVar[Limits] = Limits(seconds=40.0)

    @pytest.fixture
    def door(self) -> str:
        """Gives where the reader is: `module:function`."""
        raise NotImplementedError

    @pytest.mark.slow
    def test_every_attack_is_refused(
        self, door: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mark = tmp_path / "mark"
        monkeypatch.setenv(MARK_NAME, str(mark))
        paths = {}
        for number, (name, attack) in enumerate(FILE_ATTACKS.items()):
            paths[name] = attack.write(tmp_path / "attacks" / str(number))
        (tmp_path / "scratch").mkdir()
        verdicts = watch(door, paths, tmp_path / "scratch", self.limits)
        faults = [
            f"{name}: {fault}"
            for name, attack in FILE_ATTACKS.items()
            if (fault := fault_of(verdicts.get(name), attack.named(paths[name]), self.limits))
        ]
        assert not faults, "\n".join(faults)
        assert not mark.exists()
