"""Holds what Everloop depends on against what is allowed.

    python requirements/audit.py

Every locked requirement is pinned with digests, every installed distribution has a licence that is
allowed, `docs/dependencies.md` names every dependency and no other. Where the package registry
answers, nothing that is locked was yanked (by uv) or has a known vulnerability (by pip-audit); where
it does not, that is said.
"""
# ruff: noqa: INP001, S603, T201

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
LOCKS = ("requirements/run.txt", "requirements/dev.txt")  # the last holds what the first does, and more
STARTED = time.perf_counter()
PAGE = "docs/dependencies.md"
EXCEPTIONS = "## Licences that need a word"
SECONDS = 18.0
"""How long all questions to the registry may take together."""

ALLOWED = frozenset(
    "0BSD Apache-2.0 BSD-2-Clause BSD-3-Clause CC0-1.0 ISC MIT MIT-0 MIT-CMU MPL-2.0 PSF-2.0 Zlib".split()
)
# What packages without an SPDX expression call a licence.
SPDX = {
    "Apache 2.0": "Apache-2.0",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "CC0": "CC0-1.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}


class NotAnswered(Exception):
    """The registry does not answer this question here."""


def main(root: Path = ROOT) -> int:
    """Makes every check and says what came of it."""
    flaws = 0
    for name, check in CHECKS.items():
        try:
            found = list(check(root))
        except NotAnswered as reason:
            print(f"skipped  {name}: {reason}")
            continue
        flaws += len(found)
        print(f"{'refused' if found else 'ok':8} {name}", *found, sep="\n           ")
    return 1 if flaws else 0


def unpinned(root: Path) -> Iterator[str]:
    """Finds locked requirements that are not one version with its digests."""
    for lock in LOCKS:
        for requirement in (root / lock).read_text().replace("\\\n", " ").splitlines():
            what = requirement.partition("#")[0].strip()
            if not what or what.startswith("--"):
                continue
            if not re.match(r"[\w.-]+(\[[\w,.-]+\])?==[\w.+!-]+(\s|$)", what):
                yield f"{lock}: {what.split()[0]} is not pinned to one version"
            if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", what):
                yield f"{lock}: {what} has no digest; run `make lock`"


def unlicensed(root: Path, installed: Sequence[Distribution] | None = None) -> Iterator[str]:
    """Finds installed distributions whose licence is neither allowed nor in the page's exceptions."""
    excepted = {name.lower(): licence for name, licence in _exceptions(root)}
    for one in distributions() if installed is None else installed:
        name, licence = one.metadata["Name"], licence_of(one)
        if name.lower() != "everloop" and excepted.get(name.lower()) != licence and not is_allowed(licence):
            yield f"{name} {one.version}: its licence is {licence!r}, which is not allowed; see {PAGE}"


def undocumented(root: Path) -> Iterator[str]:
    """Finds dependencies without a row of the page, and rows without a dependency."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    asked = [
        *project["project"]["dependencies"],
        *(one for some in project["project"]["optional-dependencies"].values() for one in some),
        *project["dependency-groups"]["dev"],
    ]
    names = {re.match(r"[\w.-]+", one)[0] for one in asked} - {"everloop"}  # type: ignore[index]
    rows = (root / PAGE).read_text().partition(EXCEPTIONS)[0]
    listed = set(re.findall(r"^\| ([\w.-]+) \|", rows, re.MULTILINE)) - {"package"}
    yield from (f"{name} has no row in {PAGE}" for name in sorted(names - listed))
    yield from (f"{name} has a row in {PAGE} and is no dependency" for name in sorted(listed - names))


def yanked(root: Path) -> Iterator[str]:
    """Finds locked versions that their authors took back, as uv says when it would install them."""
    asked = ("pip", "install", "--dry-run", "--reinstall", "--no-deps", "--python", sys.executable)
    done = _ask("uv", *asked, "-r", str(root / LOCKS[-1]))
    if done.returncode != 0:
        raise NotAnswered(_last_line(done.stderr))
    yield from (line for line in done.stderr.splitlines() if "is yanked" in line)


def vulnerable(root: Path) -> Iterator[str]:
    """Finds locked versions with a known vulnerability, as pip-audit is told by the registry."""
    lock = (root / LOCKS[-1]).read_text()
    first = re.match(r"(?:.*\\\n)*.*\n", lock)
    # A registry without that service is told by one package: all of them would take a quarter minute.
    _audited(first[0] if first else lock)
    yield from vulnerabilities(_audited(lock))


def vulnerabilities(report: dict[str, Any]) -> Iterator[str]:
    """Reads pip-audit's report."""
    for one in report["dependencies"]:
        for flaw in one.get("vulns", ()):
            mended = ", ".join(flaw["fix_versions"]) or "no version yet"
            yield f"{one['name']} {one['version']}: {flaw['id']}, mended by {mended}"


def _audited(lock: str) -> dict[str, Any]:
    asked = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json")
    done = _ask("pip-audit", *asked, "--timeout", "5", "--requirement", "/dev/stdin", given=lock)
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise NotAnswered(_last_line(done.stderr)) from None
    unknown = [one["skip_reason"] for one in report["dependencies"] if "skip_reason" in one]
    if len(unknown) == len(report["dependencies"]):
        raise NotAnswered(f"the registry has no service for it ({unknown[0]})")
    return report


def licence_of(one: Distribution) -> str:
    """Gives a distribution's licence as an SPDX expression, as far as its metadata tells."""
    stated = one.metadata.get("License-Expression")
    if stated:
        return stated
    classed = [
        line.rpartition(" :: ")[2]
        for line in one.metadata.get_all("Classifier") or ()
        if "License ::" in line
    ]
    named = [line for line in classed if line != "OSI Approved"]
    text = (one.metadata.get("License") or "").strip().partition("\n")[0]
    return " OR ".join(SPDX.get(name, name) for name in named or [text]) or "not stated"


def is_allowed(licence: str) -> bool:
    """Says whether an SPDX expression without parentheses leaves a choice that is allowed."""
    return any(ALLOWED.issuperset(choice.split(" AND ")) for choice in licence.split(" OR "))


def _exceptions(root: Path) -> list[tuple[str, str]]:
    rows = (root / PAGE).read_text().partition(EXCEPTIONS)[2]
    return re.findall(r"^\| ([\w.-]+) \| ([^|]+?) \| [^|]{20,} \|$", rows, re.MULTILINE)


def _ask(program: str, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    seconds = max(1.0, SECONDS - (time.perf_counter() - STARTED))
    try:
        return subprocess.run(
            [str(BIN / program), *arguments],
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotAnswered(f"{program} had no answer within {seconds:.0f} s") from None


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no answer"])[-1].strip()


CHECKS: dict[str, Callable[[Path], Iterator[str]]] = {
    "every locked requirement is pinned with its digests": unpinned,
    "every installed distribution has a licence that is allowed": unlicensed,
    f"{PAGE} names every dependency and no other": undocumented,
    "nothing that is locked was yanked": yanked,
    "nothing that is locked has a known vulnerability": vulnerable,
}

if __name__ == "__main__":
    sys.exit(main())
