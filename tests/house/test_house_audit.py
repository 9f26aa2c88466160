"""What we depend on is held against what is allowed, and what is not is refused."""

import importlib.util
import shutil
from email.message import Message
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "run.txt"


@pytest.fixture
def audit():
    spec = importlib.util.spec_from_file_location("audit", ROOT / "requirements" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copied(tmp_path, audit):
    """What the audit reads, to be spoilt."""
    for name in (*audit.LOCKS, audit.PAGE, "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def installed(name, **fields):
    metadata = Message()
    metadata["Name"] = name
    for field, values in fields.items():
        for value in [values] if isinstance(values, str) else values:
            metadata[field.replace("_", "-")] = value
    return SimpleNamespace(metadata=metadata, version="1.0")


def test_what_is_locked_installed_and_written_is_whole(audit):
    flaws = [*audit.unpinned(ROOT), *audit.unlicensed(ROOT), *audit.undocumented(ROOT)]
    assert flaws == []


@pytest.mark.parametrize(
    ("added", "told"),
    [
        ("left-pad==1.3.0\n", "left-pad==1.3.0 has no digest"),
        ("left-pad==1.3.0 \\\n    --hash=md5:d41d8cd98f00b204e9800998ecf8427e\n", "has no digest"),
        (f"left-pad>=1.3 \\\n    --hash=sha256:{'0' * 64}\n", "left-pad>=1.3 is not pinned"),
        (f"git+https://example.org/left-pad \\\n    --hash=sha256:{'0' * 64}\n", "is not pinned"),
    ],
)
def test_a_requirement_without_version_or_digest_is_refused(audit, copied, added, told):
    lock = copied / audit.LOCKS[0]
    lock.write_text(added + lock.read_text())
    (flaw,) = audit.unpinned(copied)
    assert told in flaw
    assert audit.LOCKS[0] in flaw


@pytest.mark.parametrize(
    "fields",
    [
        {"License_Expression": "AGPL-3.0-or-later"},
        {"License_Expression": "MIT AND GPL-2.0-only"},
        {"Classifier": "License :: OSI Approved :: GNU General Public License v3 (GPLv3)"},
        {"License": "Proprietary, all rights reserved"},
        {"Classifier": "License :: OSI Approved"},
        {},
    ],
)
def test_a_licence_that_is_not_allowed_is_refused(audit, fields):
    (flaw,) = audit.unlicensed(ROOT, [installed("left-pad", **fields)])
    assert flaw.startswith("left-pad 1.0: its licence is ")


@pytest.mark.parametrize(
    "fields",
    [
        {"License_Expression": "GPL-3.0-only OR MIT"},
        {"License_Expression": "BSD-3-Clause AND Zlib"},
        {"Classifier": ["License :: OSI Approved", "License :: OSI Approved :: MIT License"]},
        {"License": "Apache 2.0\n\nand its whole text"},
    ],
)
def test_a_licence_that_is_allowed_is_not(audit, fields):
    assert list(audit.unlicensed(ROOT, [installed("left-pad", **fields)])) == []


def test_an_exception_holds_for_its_package_and_its_licence_alone(audit):
    assert list(audit.unlicensed(ROOT, [installed("psycopg", License_Expression="LGPL-3.0-only")])) == []
    assert list(audit.unlicensed(ROOT, [installed("psycopg", License_Expression="GPL-3.0-only")]))
    assert list(audit.unlicensed(ROOT, [installed("left-pad", License_Expression="LGPL-3.0-only")]))


def test_a_dependency_without_a_row_and_a_row_without_a_dependency_are_refused(audit, copied):
    project = copied / "pyproject.toml"
    project.write_text(project.read_text().replace('"msgspec>=0.22"', '"left-pad>=1"'))
    assert set(audit.undocumented(copied)) == {
        f"left-pad has no row in {audit.PAGE}",
        f"msgspec has a row in {audit.PAGE} and is no dependency",
    }


def test_a_known_vulnerability_is_refused(audit):
    report = {
        "dependencies": [
            {"name": "sound", "version": "2.0", "vulns": []},
            {"name": "left-pad", "version": "1.0", "vulns": [{"id": "PYSEC-0-1", "fix_versions": ["1.1"]}]},
            {"name": "unknown", "skip_reason": "not found"},
        ]
    }
    assert list(audit.vulnerabilities(report)) == ["left-pad 1.0: PYSEC-0-1, mended by 1.1"]


def test_a_version_that_was_yanked_is_refused(audit, monkeypatch):
    said = "warning: `left-pad==1.0` is yanked (reason: broken)"
    answer = SimpleNamespace(returncode=0, stderr=f"Resolved 1 package in 1ms\n{said}\n")
    monkeypatch.setattr(audit, "_ask", lambda *_: answer)
    assert list(audit.yanked(ROOT)) == [said]


def test_a_registry_that_does_not_answer_is_said_and_no_flaw(audit, copied, monkeypatch, capsys):
    def silent(program, *_, **__):
        raise audit.NotAnswered(f"{program} had no answer")

    monkeypatch.setattr(audit, "_ask", silent)
    assert audit.main(copied) == 0
    out = capsys.readouterr().out
    assert "skipped  nothing that is locked was yanked: uv had no answer" in out
    lock = copied / audit.LOCKS[0]
    lock.write_text("left-pad==1.0\n" + lock.read_text())
    assert audit.main(copied) == 1
    assert "refused  every locked requirement" in capsys.readouterr().out
