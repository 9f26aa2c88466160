"""`serve`, `up` and `replay` through the front door: real processes, real HTTP, killed on purpose."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import httpx
import polars as pl
import pytest

from everloop.loop.serving import read_ready, ready_path
from everloop.record.rows import (
    AlertRow,
    DecisionRow,
    DeploymentRow,
    RolloutRow,
    RunRow,
    VersionRow,
    WindowRow,
)
from everloop.runtime.log import read_log

AS_OF = "2024-07-01"


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "everloop.cli", *words]


def call(folder: Path, *words: str, status: int = 0) -> str:
    done = subprocess.run(
        command(*words), cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout if status == 0 else done.stderr


def eventually(check: Callable[[], object], seconds: float = 30.0) -> None:
    end = time.perf_counter() + seconds
    while not check():
        assert time.perf_counter() < end, "it did not come about in time"
        time.sleep(0.05)


class Running:
    """A verb that runs until it is told to stop."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.output = folder / "output.txt"
        with self.output.open("ab") as file:
            self.process = subprocess.Popen(command(*words), cwd=folder, stdout=file, stderr=file)

    @property
    def ready(self) -> dict[str, object] | None:
        about = read_ready(ready_path(self.folder / ".everloop"))
        if about is None or not answers(str(about["url"])):
            assert self.process.poll() is None, self.output.read_text()
            return None
        return about

    def url(self) -> str:
        eventually(lambda: self.ready, 120.0)
        assert self.ready is not None
        return str(self.ready["url"])

    def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def finished(write_lifecycle: Callable[[Path], None], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A lifecycle that has run, and a copy of it to bring it back from."""
    folder = tmp_path_factory.mktemp("finished")
    home, kept = folder / "home", folder / "kept"
    home.mkdir()
    write_lifecycle(home)
    call(home, "run", "--as-of", AS_OF)
    shutil.copytree(home, kept)
    return [home, kept]


@pytest.fixture
def trained(finished: list[Path]) -> Path:
    """Where it ran, as it was when it had: what it stored names its place."""
    home, kept = finished
    shutil.rmtree(home)
    shutil.copytree(kept, home)
    return home


@pytest.fixture
def start(trained: Path) -> Iterator[Callable[..., Running]]:
    begun: list[Running] = []

    def begin(*words: str) -> Running:
        begun.append(Running(trained, *words))
        return begun[-1]

    yield begin
    for running in begun:
        running.stop()
    for pid in (read_ready(trained / ".everloop" / "servers.json") or {}).get("pids", []):
        os.kill(pid, signal.SIGKILL)


def record_of(folder: Path):
    from everloop.record import open_record

    return open_record(f"sqlite:///{folder / '.everloop' / 'record.db'}")


@pytest.mark.slow
def test_a_rehearsal_retrains_rolls_out_and_may_be_repeated(trained: Path, start) -> None:
    running = start("up", "--clock", "events")
    url = running.url()
    words = ("replay", "--since", AS_OF, "--until", "2024-10-20", "--pause", "2d", "--json")
    first = json.loads(call(trained, *words))
    total = first["total"]
    assert first["waited_for_loop"]
    assert total["refused"] == 0
    with record_of(trained) as record:
        windows = record.find(WindowRow)
        assert len(windows) >= 3
        assert "retrain" in [one.answer for one in record.find(DecisionRow)]
        assert "promoted" in [one.state for one in record.find(RolloutRow)]
        assert len(record.find(VersionRow)) >= 2
    log = read_log(trained / ".everloop" / "log")
    assert log.predictions.height == total["predictions"]
    assert log.actuals.height == total["actuals"]
    again = json.loads(call(trained, *words, "--restart", "--server", url))
    assert again["total"]["known"] == again["total"]["predictions"] == total["predictions"]
    repeated = read_log(trained / ".everloop" / "log")
    assert repeated.predictions.equals(log.predictions)
    assert repeated.actuals.height == log.actuals.height
    # Where nothing is left, a third one has nothing to send.
    assert json.loads(call(trained, *words))["total"]["predictions"] == 0
    assert "has served on the clock 'events'" in call(trained, "serve", status=2)
    assert running.stop() == 0
    assert not answers(url)


@pytest.mark.slow
def test_a_killed_server_comes_back_and_a_killed_up_is_continued(trained: Path, start) -> None:
    running = start("up", "--clock", "events")
    url = running.url()
    assert running.ready is not None
    first = int(str(running.ready["pid"]))
    os.kill(first, signal.SIGKILL)
    eventually(lambda: (about := running.ready) and about["pid"] != first)
    assert running.url() == url
    assert "was ended by signal 9" in running.output.read_text()
    assert "Another process is at work" in call(trained, "up", status=3)

    second = int(str(running.ready["pid"]))
    running.stop(signal.SIGKILL)
    assert answers(url), "the server outlives the loop"
    after = start("up", "--clock", "events")
    eventually(lambda: f"stopping the server {second}" in after.output.read_text())
    eventually(lambda: (about := after.ready) and about["pid"] != second)
    assert after.stop(signal.SIGINT) == 130
    assert after.output.read_text().count("Traceback") == 0
    assert not answers(url)


UNTIL = "2024-10-01"
KILLS = 6
SEED = 6


def replay(folder: Path) -> subprocess.Popen:
    words = command("replay", "--since", AS_OF, "--until", UNTIL, "--pause", "5d")
    return subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def server_of(running: Running) -> int:
    while (about := running.ready) is None:
        time.sleep(0.05)
    return int(str(about["pid"]))


def kill_server(running: Running, start) -> Running:
    with suppress(ProcessLookupError):
        os.kill(server_of(running), signal.SIGKILL)
    return running


def kill_loop(running: Running, start) -> Running:
    running.stop(signal.SIGKILL)
    return start("up", "--clock", "events")


def kill_both(running: Running, start) -> Running:
    kill_server(running, start)
    return kill_loop(running, start)


PARTS: tuple[Callable[..., Running], ...] = (kill_server, kill_loop, kill_both)


@pytest.mark.slow
def test_whatever_is_killed_it_goes_on_and_nothing_is_lost_or_done_twice(trained: Path, start) -> None:
    chance = random.Random(SEED)
    running = start("up", "--clock", "events")
    running.url()
    sending = replay(trained)
    try:
        for number in range(KILLS):
            time.sleep(chance.uniform(0.2, 3.0))
            running = PARTS[number % len(PARTS)](running, start)
            running.url()
            if sending.poll() is not None:
                sending = replay(trained)
        # A client whose server was killed ends; the same replay again goes on where it was.
        for _ in range(10):
            if sending.wait(240) == 0:
                break
            sending = replay(trained)
        assert sending.returncode == 0, running.output.read_text()
    finally:
        if sending.poll() is None:
            sending.kill()
            sending.wait()
        running.stop()
    check_log(trained)
    check_record(trained)
    assert running.output.read_text().count("Traceback") == 0


def check_log(folder: Path) -> None:
    """Every row was answered once, and every actual that had come is there once."""
    log = read_log(folder / ".everloop" / "log")
    raw = pl.read_csv(folder / "rows.csv", try_parse_dates=True)["asked_at"]
    asked = raw.to_frame().filter(
        pl.col("asked_at").dt.strftime("%Y-%m-%d").is_between(pl.lit(AS_OF), pl.lit(UNTIL), closed="left")
    )
    answered = log.predictions.filter(pl.col("arm") != "shadow")
    assert answered.height == asked.height
    assert answered["id"].n_unique() == answered.height
    assert log.actuals["id"].n_unique() == log.actuals.height
    assert set(log.actuals["id"]) <= set(answered["id"])
    known = answered["time"].dt.strftime("%Y-%m-%d") < "2024-09-28"
    assert set(answered.filter(known)["id"]) <= set(log.actuals["id"])


def check_record(folder: Path) -> None:
    """Windows follow each other, each judged and decided on once; no run or rollout is left half done."""
    with record_of(folder) as record:
        windows = sorted(record.find(WindowRow), key=lambda row: row.since)
        assert len(windows) >= 2
        assert all(before.until <= after.since for before, after in pairwise(windows))
        decisions = record.find(DecisionRow, kind="retrain")
        asked = Counter(row.facts["window"] for row in decisions if row.answer in ("retrain", "nothing"))
        assert max(asked.values()) == 1
        alerts = Counter(
            (alert.kind, link.cause) for alert in record.find(AlertRow) for link in record.causes(alert.id)
        )
        assert max(alerts.values(), default=1) == 1
        assert [row.status for row in record.find(RunRow) if row.status not in ("done", "interrupted")] == []
        open_ones = [row for row in record.find(RolloutRow) if row.state in ("running", "waiting", "paused")]
        assert len(open_ones) <= 1
        generations = [row.generation for row in record.find(DeploymentRow)]
        assert len(set(generations)) == len(generations)


def test_serve_becomes_a_server_without_what_trains_or_records(trained: Path, start) -> None:
    running = start("serve", "--port", "0")
    url = running.url()
    assert running.ready is not None
    assert running.ready["pid"] == running.process.pid
    row = {"asked_at": "2024-07-02T00:00:00Z", "visits": 1.0, "price": 0.0, "season": 0.0}
    answer = httpx.post(f"{url}/predict", json=row, trust_env=False).json()
    assert answer["version"] == 1
    assert answer["prediction"] in ("yes", "no")
    maps = Path(f"/proc/{running.process.pid}/maps").read_text()
    assert not any(name in maps for name in ("sklearn", "sqlalchemy", "polars", "duckdb", "lightgbm"))
    told = call(trained, "replay", "--since", AS_OF, "--until", "2024-07-02", "--server", url, status=2)
    assert "lives on the system's clock" in told
    assert running.stop() == 0


@pytest.mark.slow
def test_two_lifecycles_are_served_by_one_server_each_with_its_own_log(trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "rows.csv").write_bytes((trained / "rows.csv").read_bytes())
    file = (trained / "everloop.yaml").read_text()
    (other / "everloop.yaml").write_text(file.replace("name: shop", "name: market"))
    call(other, "run", "--as-of", AS_OF)
    running = Running(trained, "serve", "--file", str(trained), "--file", str(other / "everloop.yaml"))
    try:
        url = running.url()
        row = {"asked_at": "2024-07-02T00:00:00Z", "visits": 1.0, "price": 0.0, "season": 0.0}
        for name in ("shop", "market", "market"):
            answer = httpx.post(f"{url}/models/{name}/predict", json=row, trust_env=False)
            assert answer.json()["version"] == 1
        refused = httpx.post(f"{url}/predict", json=row, trust_env=False)
        assert (refused.status_code, "'market', 'shop'" in refused.text) == (400, True)
        assert "serves already" in call(other, "up", status=3)
    finally:
        assert running.stop() == 0
    assert [read_log(one / ".everloop" / "log").predictions.height for one in (trained, other)] == [1, 2]


def test_one_package_is_served_without_a_lifecycle_by_several_workers(trained: Path, tmp_path: Path) -> None:
    package = json.loads((trained / ".everloop" / "routing.json").read_bytes())["champion"]["package"]
    alone = tmp_path / "alone"
    alone.mkdir()
    running = Running(alone, "serve", "--package", package, "--port", "0", "--workers", "2")
    try:
        url = running.url()
        row = {"asked_at": "2024-07-02T00:00:00Z", "visits": 1.0, "price": 0.0, "season": 0.0}
        assert httpx.post(f"{url}/predict", json=row, trust_env=False).status_code == 200
        eventually((alone / ".everloop" / "server-1.ready.json").exists)
    finally:
        assert running.stop() == 0
    assert not answers(url)


def test_what_cannot_be_served_or_sent_is_said(lifecycle: Path) -> None:
    assert "No version of shop was released yet." in call(lifecycle, "up", status=2)
    assert "No version of shop was released yet." in call(lifecycle, "serve", status=2)
    words = ("replay", "--since", AS_OF, "--until", "2024-07-03", "--server", "http://127.0.0.1:9")
    told = call(lifecycle, *words, status=3)
    assert "No server answers at http://127.0.0.1:9" in told
    assert "hint: everloop up --clock events" in told
    assert "ends" in call(lifecycle, "replay", "--since", AS_OF, "--until", AS_OF, status=2)
