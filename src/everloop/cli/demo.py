"""`everloop demo`: the product's own verbs in a row, on real flights."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from everloop.cli.output import Answer, pairs
from everloop.cli.reading import opened

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace

EXAMPLE = "flights"
SINCE = "2013-05-01"
UNTIL, QUICK_UNTIL = "2013-08-01", "2013-06-15"
SAMPLE, QUICK_SAMPLE = "20%", "10%"
REPORT = "report.html"
START_SECONDS = 90.0
STOP_SECONDS = 30.0
NEXT = (
    "everloop status",
    "everloop why DECISION",
    f"everloop backtest --since {SINCE} --until {UNTIL} --sample 5% --policy monthly --policy pays",
)


def command(
    context: typer.Context,
    folder: Annotated[Path, typer.Option(metavar="DIR", help="Where to make the lifecycle.")] = Path("demo"),
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer months and fewer flights, for a first look.")
    ] = False,
) -> Answer:
    """Watches a model on a year of real flights, from its goal to its re-release; every step can be typed.

    Makes a lifecycle from the flights example, trains on the first months, serves it over HTTP on
    loopback, sends it the months that followed, and lets the loop judge, retrain and roll out. A demo
    that was stopped continues.

    Example:
        everloop demo
        everloop demo --folder /tmp/flights --quick
    """
    # Under --json the answer alone is on standard output.
    out = sys.stderr if context.obj.as_json else sys.stdout
    steps = _Steps(folder, out)
    begun = time.perf_counter()
    _begin(steps, folder)
    steps.call("check")
    if not _serves(folder):
        steps.call("run", "--as-of", SINCE, "--clock", "as-of")
    until, sample = (QUICK_UNTIL, QUICK_SAMPLE) if quick else (UNTIL, SAMPLE)
    with steps.beside("up", "--clock", "events", "--port", "0"):
        steps.call("replay", "--since", SINCE, "--until", until, "--sample", sample)
    steps.call("status")
    steps.call("report", "--output", REPORT)
    return _screen(folder, time.perf_counter() - begun)


class _Steps:
    """Calls verbs as a person would, in processes of their own, and shows what they say."""

    def __init__(self, folder: Path, out: TextIO) -> None:
        self._folder, self._out = folder, out

    def call(self, *words: str, cwd: Path | None = None) -> None:
        """Calls a verb; where it fails the demo ends with its status."""
        process = self._start(words, cwd or self._folder)
        try:
            status = process.wait()
        except BaseException:
            _stop(process)
            raise
        if status:
            raise typer.Exit(status)

    @contextmanager
    def beside(self, *words: str) -> Iterator[None]:
        """Runs a verb while the block runs, and stops it afterwards in every case."""
        process = self._start(words, self._folder)
        try:
            self._await_loop(process)
            yield
        finally:
            _stop(process)

    def _start(self, words: Sequence[str], cwd: Path) -> subprocess.Popen[str]:
        where = "" if cwd == self._folder else f"   # in {cwd}"
        self._say(f"\n$ everloop {shlex.join(words)}{where}")
        process = subprocess.Popen(  # noqa: S603  (our own interpreter and module)
            [sys.executable, "-m", "everloop.cli", *words],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        threading.Thread(target=self._forward, args=(process,), daemon=True).start()
        return process

    def _forward(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            self._say(line.rstrip("\n"))

    def _say(self, line: str) -> None:
        self._out.write(f"{line}\n")
        self._out.flush()

    def _await_loop(self, process: subprocess.Popen[str]) -> None:
        from everloop.core.errors import OutsideFault
        from everloop.loop.replay import heartbeat

        end = time.perf_counter() + START_SECONDS
        with opened(self._folder) as workspace:
            while time.perf_counter() < end:
                beat = heartbeat(workspace)
                if beat is not None and beat["pid"] == process.pid:
                    return
                if process.poll() is not None:
                    raise typer.Exit(process.returncode or 1)
                time.sleep(0.1)
        raise OutsideFault(f"The server was not ready within {START_SECONDS:.0f} s.", hint="everloop doctor")


def _stop(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _begin(steps: _Steps, folder: Path) -> None:
    """Makes the lifecycle, or takes the one that an earlier demo made."""
    from everloop.core.errors import UsageFault
    from everloop.spec import load

    if (folder / "everloop.yaml").exists():
        name = load(folder).name
        if name != "flight-delay":
            raise UsageFault(
                f"{folder} holds the lifecycle {name!r}, which is not the demo's.",
                hint="everloop demo --folder another-folder",
            )
        return
    if folder.exists() and any(folder.iterdir()):
        raise UsageFault(f"{folder} is not empty.", hint="everloop demo --folder another-folder")
    steps.call("new", EXAMPLE, "--example", EXAMPLE, "--folder", str(folder), cwd=Path.cwd())


def _serves(folder: Path) -> bool:
    from everloop.deploy.versions import champion

    with opened(folder) as workspace:
        return champion(workspace.record, workspace.name) is not None


def _screen(folder: Path, seconds: float) -> Answer:
    """Shows each phase with its line of result, what was made, and what to try next."""
    from everloop.loop.summary import summarise

    with opened(folder) as workspace:
        summary = summarise(workspace)
        made = _made(workspace)
    decision = summary.retrain or "DECISION"
    following = [command.replace("DECISION", decision) for command in NEXT]
    lines = [*summary.lines, *(("made", str(path)) for path in made)]
    lines += [("next", f"cd {folder}"), *(("", command) for command in following)]
    facts = summary.to_dict() | {"made": [str(path) for path in made], "next": following, "seconds": seconds}
    return Answer(facts, f"\nThe whole loop in {seconds:.0f} s\n\n{pairs(lines)}")


def _made(workspace: Workspace) -> list[Path]:
    paths = [
        workspace.folder / "everloop.yaml",
        workspace.contract_path,
        workspace.state_folder / "record.db",
        workspace.log_folder,
        workspace.folder / REPORT,
    ]
    return [path for path in paths if path.exists()]
