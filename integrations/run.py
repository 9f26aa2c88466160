"""Runs the suites that need an outside system, each group in an environment of its own.

    python integrations/run.py            all groups
    python integrations/run.py GROUP...   some of them
    python integrations/run.py --list     their names

A group is a folder here with `test_*.py` and `requirements.txt`; optionally `extras.txt` (extras of
Everloop, divided by commas; otherwise `all`), `apt.txt` (a line for each Debian package, followed
by programs or patterns of files of which any shows that it is there) and `pip.txt` (packages that
pip itself installs: uv would choose another build of them). Only Python's own library is used, so
that this runs before anything is installed.
"""
# ruff: noqa: INP001, S603, T201

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
ENVIRONMENTS = ROOT / ".venv-integrations"
STAMP = ".installed"


@dataclass(frozen=True)
class Outcome:
    """What came of a group."""

    group: str
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    statement: str = ""


class CannotRun(Exception):
    """What a group needs could not be installed."""


class NotHere(Exception):
    """A group needs something of the system that may not be installed here."""


def groups() -> list[str]:
    """Names the groups."""
    return sorted(path.parent.name for path in HERE.glob("*/requirements.txt"))


def missing_packages(group: str) -> list[str]:
    """Names the Debian packages of a group that are not there."""
    listed = HERE / group / "apt.txt"
    if not listed.exists():
        return []
    missing = []
    for line in listed.read_text().splitlines():
        words = line.partition("#")[0].split()
        if words and not any(_there(sign) for sign in words[1:]) and not _installed(words[0]):
            missing.append(words[0])
    return missing


def _there(sign: str) -> bool:
    """Tells whether there is such a program, or a file of such a pattern from the root."""
    if sign.startswith("/"):
        return any(Path("/").glob(sign[1:]))
    return shutil.which(sign) is not None


def _installed(package: str) -> bool:
    if not shutil.which("dpkg-query"):
        return False
    asked = ["dpkg-query", "--show", "--showformat=${Status}", package]
    return "install ok installed" in subprocess.run(asked, capture_output=True, text=True, check=False).stdout


def install_packages(group: str) -> None:
    """Installs what a group needs of the system, where we may.

    Raises:
        NotHere: When something is missing, and we are not root or there is no apt.
        CannotRun: When its installation failed.
    """
    missing = missing_packages(group)
    if not missing:
        return
    command = f"apt-get install --yes --no-install-recommends {' '.join(missing)}"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise NotHere(f"needs the system's {', '.join(missing)}: sudo {command}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update --quiet=2", command):
        if subprocess.run(step.split(), env=quiet, stdout=subprocess.DEVNULL, check=False).returncode:
            raise CannotRun(f"needs the system's {', '.join(missing)}, and this failed: {step}")


def environment(group: str) -> Path:
    """Makes or brings up to date a group's environment; gives its Python.

    Raises:
        CannotRun: When its packages cannot be installed.
    """
    folder = ENVIRONMENTS / group
    python = folder / "bin" / "python"
    extras = HERE / group / "extras.txt"
    extra = extras.read_text().strip() if extras.exists() else "all"
    plain = HERE / group / "pip.txt"
    parts = [HERE / group / "requirements.txt", ROOT / "pyproject.toml", *([plain] if plain.exists() else [])]
    wanted = _digest(extra.encode(), *parts)
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    install = ["pip", "install", "--quiet", "--python", str(python)]
    requirements = ["--editable", f"{ROOT}[{extra}]", "--requirement", str(HERE / group / "requirements.txt")]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [*pip, "uv"],
        [str(folder / "bin" / "uv"), *install, *requirements],
        *([[*pip, "--requirement", str(plain)]] if plain.exists() else []),
    ):
        if subprocess.run(step, cwd=ROOT, check=False).returncode:
            raise CannotRun(f"its environment could not be made: {' '.join(step)}")
    stamp.write_text(wanted)
    return python


def _digest(*parts: bytes | Path) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.read_bytes() if isinstance(part, Path) else part)
    return digest.hexdigest()


def run(group: str) -> Outcome:
    """Runs a group's tests in its environment."""
    try:
        install_packages(group)
        python = environment(group)
    except NotHere as error:
        return Outcome(group, skipped=1, statement=str(error))
    except CannotRun as error:
        return Outcome(group, failed=1, statement=str(error))
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [str(python), "-m", "pytest", str(HERE / group), "-rs", f"--junitxml={report}"]
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        return _counted(group, report, status)


def _counted(group: str, report: Path, status: int) -> Outcome:
    total = failed = skipped = 0
    if report.exists():
        for suite in ET.parse(report).iter("testsuite"):  # noqa: S314  (pytest's own report)
            total += int(suite.get("tests", 0))
            failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
            skipped += int(suite.get("skipped", 0))
    statement = ""
    if status and not failed:
        failed, statement = 1, f"pytest ended with status {status}"
    return Outcome(group, max(0, total - failed - skipped), failed, skipped, statement)


def main(arguments: list[str] | None = None) -> int:
    """Runs the groups that are asked for, or all; tells what came of each."""
    parser = argparse.ArgumentParser(description="Runs the suites that need an outside system.")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help="run these only")
    parser.add_argument("--list", action="store_true", help="name the groups and end")
    asked = parser.parse_args(arguments)
    known = groups()
    if asked.list:
        print("\n".join(known))
        return 0
    unknown = sorted(set(asked.groups) - set(known))
    if unknown:
        parser.error(f"there is no group {', '.join(unknown)}; there are {', '.join(known)}")
    outcomes = []
    for group in asked.groups or known:
        print(f"== {group}", flush=True)
        start = time.perf_counter()
        outcome = run(group)
        outcomes.append(outcome)
        told = f"{outcome.passed} passed, {outcome.failed} failed, {outcome.skipped} skipped"
        why = f": {outcome.statement}" if outcome.statement else ""
        print(f"== {group}: {told} in {time.perf_counter() - start:.0f} s{why}", flush=True)
    failed = sum(outcome.failed for outcome in outcomes)
    print(f"{sum(outcome.passed for outcome in outcomes)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
