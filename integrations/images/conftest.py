"""A builder of images that wants no daemon, and a base image that is made here: no registry is asked."""
# ruff: noqa: INP001, S101, S603, S607

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from integrations.released import release

from everloop.deploy.targets.docker import PYTHON

__all__ = ["builder", "release"]

BASE = f"docker.io/library/python:{PYTHON}-slim"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
INCLUDED = "python3,python3-venv,ca-certificates"
# What belongs to the machine's network is of the base, as it is in a company's own base image.
PIP = "[global]\n" + "".join(
    f"{key} = {value}\n"
    for key, value in (
        ("cert", CERTIFICATES if CERTIFICATES.exists() else None),
        ("index-url", os.environ.get("PIP_INDEX_URL")),
    )
    if value
)


class Builder:
    """Buildah, with a store of its own; containers are folders that a root is changed to."""

    def __init__(self, store):
        self._options = ["--storage-driver", "vfs", "--root", str(store / "images")]
        self._options += ["--runroot", str(store / "run")]

    def words(self, *words):
        """Gives a command."""
        return ["buildah", *self._options, *map(str, words)]

    def __call__(self, *words, seconds=600):
        """Runs a command; gives what it prints."""
        command = self.words(*words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def build(self, folder, name):
        """Builds a context whose base is here already."""
        format_ = ("--format", "docker")  # the other format has no health check
        return self("bud", *format_, "--isolation", "chroot", "--pull-never", "--tag", name, folder)


@pytest.fixture(scope="session")
def builder():
    """A builder that has the base image, which is made once and kept."""
    release = dict(
        line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line
    )
    suite = release.get("VERSION_CODENAME", "stable").strip('"')
    wanted = hashlib.sha256(f"{suite} {INCLUDED} {BASE} {PIP}".encode()).hexdigest()[:12]
    store = Path(sys.prefix) / f"images-{wanted}"
    made = Builder(store)
    if not (store / "made").exists():
        shutil.rmtree(store, ignore_errors=True)
        _make_base(made, store, suite)
        (store / "made").touch()
    return made


def _make_base(builder, store, suite):
    context = store / "context"
    root = context / "root"
    context.mkdir(parents=True)
    command = ["mmdebstrap", "--variant=minbase", f"--include={INCLUDED}", suite, str(root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    version = subprocess.run(
        ["chroot", str(root), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if version != PYTHON:
        pytest.skip(f"{suite} has Python {version}, and what is exported here wants {PYTHON}")
    (root / "etc" / "pip.conf").write_text(PIP)
    if CERTIFICATES.exists():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    (context / "Dockerfile").write_text("FROM scratch\nCOPY root /\n")
    builder("bud", "--isolation", "chroot", "--tag", BASE, context, seconds=600)
    shutil.rmtree(context)
