"""The servers of the serving benchmark: how each is started, asked, and read."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import SCRIPTS, python_of
from everloop.loop.serving import command_of, environment
from everloop.runtime.server import ServerSettings

OURS, SWITCHED = "everloop", "everloop, switched"
_START_SECONDS = 120.0
_LEAST_PORT, _MOST_PORT = 20_000, 30_000


@dataclass(frozen=True)
class Form:
    """How a server is asked.

    Attributes:
        path: Where.
        body: A row as what JSON can carry.
        score: The score in what comes back; None where there is none.
    """

    path: str
    body: Callable[[dict[str, Any]], Any]
    score: Callable[[Any], float] | None


@dataclass(frozen=True)
class Kind:
    """A server: its form, its environment (None is ours), its script and what the script is told."""

    form: Form
    environment: str | None
    script: str
    words: tuple[str, ...] = ()


def _tensors(row: dict[str, Any]) -> dict[str, Any]:
    inputs = [
        {"name": name, "shape": [1, 1], "datatype": "FP64", "data": [value]}
        if name.startswith("n")
        else {
            "name": name,
            "shape": [1, 1],
            "datatype": "BYTES",
            "data": [value],
            "parameters": {"content_type": "str"},
        }
        for name, value in row.items()
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs}


_PLAIN = Form("/predict", dict, lambda answer: float(answer["score"]))
_MLFLOW = Form(
    "/invocations",
    lambda row: {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
    lambda answer: float(answer["predictions"][0][1]),
)
_MLSERVER = Form("/v2/models/model/infer", _tensors, lambda answer: float(answer["outputs"][0]["data"][0]))
_BENTOML = Form("/predict", lambda row: {"rows": [row]}, lambda answer: float(answer[0]))

PEERS = {
    OURS: Kind(_PLAIN, None, ""),
    "echo, raw ASGI": Kind(Form("/predict", dict, None), None, "serving_echo.py"),
    "FastAPI by hand": Kind(_PLAIN, "serving-fastapi", "serving_fastapi.py"),
    "MLflow": Kind(_MLFLOW, "serving-mlflow", "serving_mlflow.py"),
    "MLServer": Kind(_MLSERVER, "serving-mlserver", "serving_mlserver.py", ("0",)),
    "MLServer, batching": Kind(_MLSERVER, "serving-mlserver", "serving_mlserver.py", ("32",)),
    "BentoML": Kind(_BENTOML, "serving-bentoml", "serving_bentoml.py", ("0",)),
    "BentoML, batching": Kind(_BENTOML, "serving-bentoml", "serving_bentoml.py", ("32",)),
}

_VARIANTS = {SWITCHED: Kind(_PLAIN, None, "serving_switched.py")}
"""Ours, whose parts can be left out: beside itself alone, not beside others."""


@dataclass
class Running:
    """A server that answers."""

    kind: Kind
    process: subprocess.Popen[bytes]
    url: str
    slug: str
    ready_seconds: float = 0.0
    ready_bytes: int = 0

    @property
    def form(self) -> Form:
        """How it is asked."""
        return self.kind.form

    def ask(self, row: dict[str, Any]) -> Any:
        """Gives what it answers to a row."""
        request = urllib.request.Request(
            self.url + self.form.path,
            json.dumps(self.form.body(row)).encode(),
            {"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def score(self, row: dict[str, Any]) -> float:
        """Gives its score of a row."""
        return 0.0 if self.form.score is None else self.form.score(self.ask(row))

    def bytes_now(self) -> int:
        """Gives the memory that it and its children hold."""
        return sum(_resident(pid) for pid in _family(self.process.pid))


@contextmanager
def started(name: str, folder: Path, *, install: bool) -> Iterator[Running | None]:
    """Starts a server on the first core and ends it; None where its environment was not asked for.

    Args:
        name: Which.
        folder: What it serves.
        install: Whether its environment may be made.
    """
    kind = (PEERS | _VARIANTS)[name]
    python = (
        Path(sys.executable) if kind.environment is None else python_of(kind.environment, install=install)
    )
    if python is None:
        yield None
        return
    port = _free_port()
    slug = name.replace(" ", "-").replace(",", "")
    words = [
        str(python),
        str(SCRIPTS / kind.script),
        *([] if kind.script == "serving_echo.py" else [str(folder)]),
        str(port),
        *kind.words,
    ]
    if name == OURS:
        path = folder / "settings.json"
        settings = ServerSettings(routing=str(folder / "routing.json"), log=str(folder / "log"), port=port)
        settings.save(path)
        words = command_of(path)
    said = folder / f"{slug}-{port}.out"
    with said.open("wb") as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            _on_first_core(words),
            stdout=output,
            stderr=output,
            env=environment(),
            start_new_session=True,
        )
        running = Running(kind, process, f"http://127.0.0.1:{port}", slug)
        try:
            _await(running, port, said)
            running.ready_seconds = time.perf_counter() - start
            running.ready_bytes = running.bytes_now()
            yield running
        finally:
            for pid in reversed(_family(process.pid)):
                _end(pid)
            process.wait()


def _on_first_core(words: list[str]) -> list[str]:
    return ["taskset", "-c", "0", *words] if shutil.which("taskset") else words


def _await(running: Running, port: int, output: Path) -> None:
    """Waits until a row is answered, so that nobody is called ready who is not."""
    row: dict[str, Any] = {f"n{place}": 1.0 for place in range(15)} | {
        f"c{place}": "value 0" for place in range(5)
    }
    end = time.perf_counter() + _START_SECONDS
    while time.perf_counter() < end and running.process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                pass
            running.ask(row)
        except OSError:
            time.sleep(0.005)
        else:
            return
    raise RuntimeError(f"{running.slug} did not start:\n{output.read_text(errors='replace')[-2000:]}")


def _free_port() -> int:
    """Gives a port that is free, and two more behind it, which MLServer listens at too."""
    for port in range(_LEAST_PORT + os.getpid() % 5_000, _MOST_PORT, 5):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise RuntimeError("no port is free")


def _family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in _family(int(child)))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _end(pid: int) -> None:
    try:
        os.kill(pid, 15)
    except ProcessLookupError:
        return
