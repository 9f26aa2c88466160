"""The frame that runs the suites of outside systems."""

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "integrations_run", Path(__file__).parents[2] / "integrations" / "run.py"
)
frame = importlib.util.module_from_spec(_SPEC)
sys.modules["integrations_run"] = frame  # its dataclasses look their module up
_SPEC.loader.exec_module(frame)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(frame, "HERE", tmp_path)
    monkeypatch.setattr(frame, "ROOT", tmp_path)
    monkeypatch.setattr(frame, "environment", lambda group: Path(sys.executable))
    return tmp_path


def group(place, name, tests, apt=""):
    folder = place / name
    folder.mkdir()
    (folder / "requirements.txt").write_text("pytest\n")
    (folder / f"test_{name}_group.py").write_text(tests)
    if apt:
        (folder / "apt.txt").write_text(apt)


def test_every_group_can_be_told(capsys):
    assert frame.main(["--list"]) == 0
    assert "postgresql" in capsys.readouterr().out.split()


def test_an_unknown_group_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        frame.main(["nosuch"])
    assert caught.value.code == 2
    assert "there is no group nosuch; there are " in capsys.readouterr().err


def test_the_totals_and_the_status(place, capfd):
    group(place, "good", "import pytest\ndef test_a(): pass\ndef test_b(): pytest.skip('not here')\n")
    assert frame.main([]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 passed, 0 failed"
    group(
        place,
        "bad",
        "import pytest\n@pytest.fixture\ndef x(): 1 / 0\ndef test_a(x): pass\ndef test_b(): assert 0\n",
    )
    assert frame.main([]) == 1
    told = capfd.readouterr().out.splitlines()
    assert told[-1] == "1 passed, 2 failed"
    assert any(line.startswith("== good: 1 passed, 0 failed, 1 skipped") for line in told)
    assert frame.main(["good"]) == 0


@pytest.mark.parametrize("tests", ["", "this is no Python"])
def test_a_group_without_tests_or_that_cannot_be_read_fails(place, tests, capfd):
    group(place, "empty", tests)
    assert frame.main([]) == 1
    assert capfd.readouterr().out.splitlines()[-1] == "0 passed, 1 failed"


@pytest.mark.parametrize("user", [0, 1000])
def test_what_may_not_be_installed_here_is_said_and_skipped(place, monkeypatch, capfd, user):
    group(
        place,
        "needy",
        "def test_a(): assert 0\n",
        apt="no-such-package /no/such/file no-such-program  # why\n",
    )
    monkeypatch.setattr(frame.os, "geteuid", lambda: user)
    monkeypatch.setattr(frame.shutil, "which", lambda name: None)
    assert frame.main([]) == 0
    told = capfd.readouterr().out.splitlines()
    assert "== needy: 0 passed, 0 failed, 1 skipped" in told[-2]
    assert "needs the system's no-such-package: sudo apt-get install" in told[-2]


def test_an_environment_that_cannot_be_made_is_a_failure(place, monkeypatch, capfd):
    def fail(group):
        raise frame.CannotRun("its environment could not be made: uv")

    monkeypatch.setattr(frame, "environment", fail)
    group(place, "good", "def test_a(): pass\n")
    assert frame.main([]) == 1
    assert "could not be made" in capfd.readouterr().out


def test_a_package_is_there_by_a_program_or_a_file(place):
    group(place, "a", "", apt="no-such-package no-such-program /usr/bin/en[v]\n")
    group(place, "b", "", apt="no-such-package env\n\n# a remark\n")
    assert frame.missing_packages("a") == frame.missing_packages("b") == []
