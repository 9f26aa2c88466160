"""What is outside fails: a disk without room, a record that another holds, Ctrl-C in the midst of a run."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from everloop.record import open_record

RUN = [sys.executable, "-m", "everloop.cli", "run"]


@pytest.mark.slow
def test_a_run_on_a_full_disk_says_so_and_goes_on_with_room(
    small_disk: Callable[[str], Path], home: Path, cli
) -> None:
    disk = small_disk("64k")
    for name in ("everloop.yaml", "rows.csv"):
        shutil.copy(home / name, disk / name)
    for room in ("64k", "320k", "640k"):
        subprocess.run(["mount", "-o", f"remount,size={room}", str(disk)], check=True)
        said = cli("run", "--file", disk)
        assert said.status == 3, said.out + said.err
        assert "room" in said.err
        assert "Traceback" not in said.err
    subprocess.run(["mount", "-o", "remount,size=256m", str(disk)], check=True)
    said = cli("run", "--file", disk)
    assert said.status == 0, said.err
    assert "v1 champion" in said.out


HOLDING = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1], isolation_level=None) as held:
    held.execute("begin exclusive")
    print("held", flush=True)
    sys.stdin.read()
    held.execute("rollback")
"""


@pytest.mark.slow
def test_a_record_that_another_process_holds_is_told_with_the_next_step(
    home: Path, cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(open_record.__kwdefaults__, "wait", 0.5)
    assert cli("run", "--until", "problem").status == 0
    holding = [sys.executable, "-c", HOLDING, str(home / ".everloop" / "record.db")]
    with subprocess.Popen(holding, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        said = cli("run")
        other.communicate()
    assert said.status == 3
    assert "record" in said.err
    assert "hint:" in said.err
    assert "Traceback" not in said.err
    assert cli("run").status == 0


@pytest.mark.slow
def test_ctrl_c_ends_a_run_at_once_and_the_next_goes_on(home: Path, cli) -> None:
    process = subprocess.Popen(RUN, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(2):  # snapshot and contract have told their results
        process.stdout.readline()
    process.send_signal(signal.SIGINT)
    begin = time.perf_counter()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert time.perf_counter() - begin < 30
    assert "Traceback" not in err
    said = cli("run", "--json")
    assert said.status == 0
    assert len(said.facts["executed"]) < len(said.facts["steps"])
