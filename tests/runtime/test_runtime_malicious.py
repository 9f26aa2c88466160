"""Harmful packages and model files, and everything that takes them in: refused whole, soon, by name."""

from pathlib import Path

import pytest

from everloop.testing.malicious import ModelFileSuite, PackageLoaderSuite

DOORS = "everloop.testing.malicious.doors"
COMMANDS = Path(__file__).with_name("commands_as_doors.py")


class OurLoader(PackageLoaderSuite):
    @pytest.fixture
    def package(self, packages):
        return packages["binary"]


class TestLibrary(OurLoader):
    @pytest.fixture
    def door(self):
        return f"{DOORS}:library"


class TestServer(OurLoader):
    @pytest.fixture
    def door(self):
        return f"{DOORS}:server"


class TestPredict(OurLoader):
    @pytest.fixture
    def door(self):
        return f"{COMMANDS}:predict"


class TestExport(OurLoader):
    @pytest.fixture
    def door(self):
        return f"{COMMANDS}:export"


class TestPackageCommand(ModelFileSuite):
    @pytest.fixture
    def door(self):
        return f"{COMMANDS}:package_command"
