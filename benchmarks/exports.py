"""What an exported version takes: the size of its own install, and its cold start on a platform like Lambda.

The serving benchmark's model. What is installed is what `install.sh` of the Docker context installs from the
package registry: an image's size over its base. A cold start is what a platform pays that starts a process
for an event: the whole process of Lambda's handler, from its start to its first answer and its end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import Figure, Options, Report
from benchmarks.peers import python_of
from benchmarks.serving_model import make_deployment, table
from benchmarks.timing import interleave, process
from everloop.deploy.targets import Release, export, open_target
from everloop.runtime.manifest import read_manifest

BARE = "the same Python, importing numpy and onnxruntime"
PEERS = {"MLflow": "serving-mlflow", "MLServer": "serving-mlserver", "BentoML": "serving-bentoml"}
"""Environments that serve the same model, and hold its training library as each of them needs it."""

_ANSWER = """
import json, sys
sys.path.insert(0, {folder!r})
import handler
assert "score" in handler.handler(json.loads({event!r}), None)
"""


def run(options: Options) -> Report:
    """Exports, installs, measures sizes, and starts processes in turns."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        training = table(2_000)
        training.write_json(folder / "training.json")
        make_deployment(training, folder)
        release = Release(folder / "v1", read_manifest(folder / "v1"))
        for name in ("docker", "lambda"):
            export(release, open_target(name), folder / name)
        subprocess.run(
            ["sh", "install.sh", str(folder / "venv")],
            cwd=folder / "docker",
            check=True,
            env={**os.environ, "PYTHON": sys.executable},
        )
        (event,) = training.drop("y").head(1).to_dicts()
        script = _ANSWER.format(folder=str(folder / "lambda"), event=json.dumps(event))
        words = ["env", "-i", "OMP_NUM_THREADS=1", f"EVERLOOP_LOG={folder}/log", folder / "venv/bin/python"]
        works = {
            "cold": process([*words, "-c", script]),
            BARE: process([*words, "-c", "import numpy, onnxruntime"]),
        }
        took = interleave(works, 3 if options.quick else options.rounds)
        installed, carried = _megabytes(folder / "venv"), _megabytes(folder / "docker")
    cold = Figure(
        "cold start: a process, its handler, one answer",
        **took["cold"].scaled(1),
        unit="s",
        beside=BARE,
        other=took[BARE].median,
        goal="< 1.5",
    )
    sizes = [
        Figure("installed", installed, "MB", beside=f"{name}'s environment", other=other, goal="< 120")
        for name, other in _peers(options).items()
    ]
    sizes = sizes or [Figure("installed", installed, "MB", goal="< 120")]
    return Report((*sizes, Figure("code and package beside it", carried, "MB"), cold))


def _peers(options: Options) -> dict[str, float]:
    pythons = {name: python_of(peer, install=options.peers) for name, peer in PEERS.items()}
    return {name: _megabytes(found.parents[1]) for name, found in pythons.items() if found is not None}


def _megabytes(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6
