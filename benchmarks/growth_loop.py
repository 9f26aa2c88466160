"""What grows with traffic, with a lifecycle's past and with how many are served; see `benchmarks.growth`."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from benchmarks.growth_cost import Cost, processor
from benchmarks.growth_tables import package_of, table
from benchmarks.stressed_server import StressedServer
from benchmarks.timing import peak_memory
from everloop.cli.status import read_status
from everloop.core.clock import SimulatedClock
from everloop.deploy.guards import look_at
from everloop.deploy.release import release
from everloop.deploy.versions import open_rollout
from everloop.loop.looking import RolloutLog, look_of
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.monitor import ReferenceRules, count_window, reference
from everloop.record.rows import AlertRow, DecisionRow, RolloutRow, RunRow, StepRow, WindowRow
from everloop.runtime.log import ActualLine, LogLimits, LogReader, PredictionLine, PredictionLog, seal
from everloop.runtime.routing import Arm, Routing, write_routing
from everloop.runtime.service.settings import ServerSettings
from everloop.spec import load

if TYPE_CHECKING:
    from everloop.record.rows import Row

START = datetime(2024, 3, 1, tzinfo=UTC)
MIB = 2**20
LIFECYCLE = """\
name: grown
problem: {target: y, time: asked_at}
data: {sources: {rows: {file: rows.parquet}}}
model: {learners: [linear], budget: {trials: 1}, select_features: false}
deploy: {strategy: canary, steps: [50%, 100%], hold: {requests: 1000000}}
monitor: {window: 1d, alerts: [{file: alerts.jsonl}]}
"""
COLUMNS = 5
_WINDOW = (WindowRow, AlertRow, DecisionRow)
"""What a window leaves in the record."""

_QUERY = (
    "import sys; from everloop.runtime.log import query_log; "
    "print(query_log(sys.argv[1], 'select arm, avg(score), count(actual) from joined group by arm').rows())"
)


def write_log(log: Path, lines: int, begin: datetime, *, arms: bool = False) -> None:
    """Answers of a day with their actuals, every second one by a challenger where there is one."""
    rows = table(min(lines, 2_000), COLUMNS, 5).drop("y").to_dicts()
    step = timedelta(days=1) / lines
    with PredictionLog(log, limits=LogLimits(segment_bytes=MIB)) as written:
        for number in range(lines):
            second = arms and number % 2 == 1
            row = rows[number % len(rows)] | {"asked_at": (begin + number * step).isoformat()}
            at = int((begin + number * step).timestamp() * 1e6)
            score = 0.01 + 0.98 * ((number * 7919) % 1000) / 1000
            arm, answer = "challenger" if second else "champion", "yes" if score > 0.5 else "no"
            written.append(
                PredictionLine(
                    f"p{number}", at, 1 + second, arm, row, score, answer, 90, 0.5 if arms else 1.0
                )
            )
            written.append(ActualLine(f"p{number}", "yes" if number % 3 else "no", at))
    seal(log)


def _logged(folder: Path, lines: int) -> Callable[[], float]:
    places = itertools.count()
    return processor(lambda: write_log(folder / f"log{next(places)}", lines, START))


def _read(folder: Path, lines: int) -> Callable[[], float]:
    write_log(folder / "log", lines, START)

    def once() -> None:
        with LogReader(folder / "log").span() as span:
            if sum(part.height for part in span.lines()) != lines:
                raise RuntimeError("lines are missing")

    return processor(once)


def _queried(folder: Path, lines: int) -> Callable[[], float]:
    write_log(folder / "log", lines, START)
    command = [sys.executable, "-c", _QUERY, folder / "log"]
    return lambda: peak_memory(command)[0] / MIB


def _opened(folder: Path) -> Workspace:
    """A lifecycle with a champion, whose file and rows are in the folder."""
    count = 2_000
    times = pl.Series([START - timedelta(days=30) + n * timedelta(minutes=20) for n in range(count)])
    table(count, COLUMNS).with_columns(asked_at=times).write_parquet(folder / "rows.parquet")
    (folder / "everloop.yaml").write_text(LIFECYCLE)
    workspace = Workspace.open(load(folder), clock=SimulatedClock(START))
    run_once(workspace, as_of=START)
    return workspace


def _rolled_out(folder: Path, requests: int) -> Callable[[], float]:
    workspace = _opened(folder)
    (folder / "everloop.yaml").write_text(LIFECYCLE.replace("trials: 1", "trials: 2"))
    with Workspace.open(load(folder), clock=workspace.clock) as changed:
        version = run_once(changed, as_of=START).version
    rollout = open_rollout(workspace.record, workspace.name)
    if rollout is None and version is not None:
        release(workspace.record, version, workspace.spec.deploy, START)
        rollout = open_rollout(workspace.record, workspace.name)
    write_log(workspace.log_folder, requests, START, arms=True)
    now = START + timedelta(days=2)

    def once() -> None:
        with LogReader(workspace.log_folder).span(START, now, known_until=now) as span:
            look_at(workspace.spec.deploy, look_of(workspace, rollout, RolloutLog.since(span, START), now))

    return processor(once)


def _lived(folder: Path, kinds: Sequence[type[Row]], count: int) -> Workspace:
    """A lifecycle that has judged a window, and whose past holds so many rows of some kinds."""
    workspace = _opened(folder)
    write_log(workspace.log_folder, 500, START)
    write_log(workspace.log_folder, 500, START + timedelta(days=1))
    workspace.clock.advance_to(START + timedelta(days=1, hours=12))
    Loop(workspace).tick(act=False)
    with workspace.record.transaction():
        for kind in kinds:
            for row in _copies(workspace, kind, count):
                workspace.record.add(row)
    return workspace


def _copies(workspace: Workspace, kind: type[Row], count: int) -> Iterator[Row]:
    """The first row of a kind again and again, each an hour before the last."""
    for row in workspace.record.find(kind, lifecycle=workspace.name, limit=1) or [_made(workspace, kind)]:
        for number in range(count):
            past = (number + 30 * 24) * timedelta(hours=1)
            moved: dict[str, Any] = {"id": f"{row.id}-{number}", "at": row.at - past}
            moved |= {
                name: getattr(row, name) - past
                for name in ("since", "until", "updated_at", "finished_at")
                if getattr(row, name, None) is not None
            }
            yield replace(row, **moved, **({"status": "settled"} if kind is WindowRow else {}))


def _made(workspace: Workspace, kind: type[Row]) -> Row:
    if kind is RolloutRow:
        facts = {"step_since": START.isoformat()}
        return RolloutRow(
            "rollout_x", workspace.name, START, state="rolled_back", facts=facts, updated_at=START
        )
    return AlertRow("alert_x", workspace.name, START, None, "drift", "warning", "moved", {"columns": ["c0"]})


def _ticked(*kinds: type[Row]) -> Callable[[Path, int], Callable[[], float]]:
    def ready(folder: Path, count: int) -> Callable[[], float]:
        loop = Loop(_lived(folder, kinds, count))
        return processor(lambda: [loop.tick(act=True) for _ in range(5)])

    return ready


def _told(*kinds: type[Row]) -> Callable[[Path, int], Callable[[], float]]:
    def ready(folder: Path, count: int) -> Callable[[], float]:
        workspace = _lived(folder, kinds, count)
        return processor(lambda: [read_status(workspace) for _ in range(5)])

    return ready


def _merged(_: Path, windows: int) -> Callable[[], float]:
    kept = reference(table(20_000, COLUMNS, 1).drop("y"), rules=ReferenceRules(window_rows=2_000))
    states = [count_window(table(500, COLUMNS, seed).drop("y"), kept) for seed in range(20)]
    several = [states[place % len(states)] for place in range(windows)]
    return processor(lambda: several[0].merge(*several[1:]))


def _served(folder: Path, lifecycles: int) -> Callable[[], float]:
    package_of(folder, COLUMNS)
    for number in range(lifecycles):
        served = Arm(1, str(folder / "package"))
        write_routing(folder / f"routing-{number}.json", Routing(f"lifecycle-{number}", 1, served))
    first, *others = (
        {"routing": str(folder / f"routing-{number}.json"), "log": str(folder / f"log-{number}")}
        for number in range(lifecycles)
    )

    def once() -> float:
        beside = tuple(ServerSettings(**one) for one in others)
        with StressedServer(folder, **first, beside=beside) as server:
            return server.bytes_now() / MIB

    return once


COSTS = (
    Cost("written to the log, with its actual, and sealed", "requests", 10_000, _logged),
    Cost("read from the log, with its actual", "requests", 10_000, _read),
    Cost("the log asked in SQL: peak", "requests", 50_000, _queried, law="flat", unit="MiB"),
    Cost("a look at a rollout", "requests", 4_000, _rolled_out),
    Cost("served by one process: memory", "lifecycles", 1, _served, unit="MiB"),
    Cost("states merged", "windows", 250, _merged),
    Cost("5 quiet ticks", "windows in the record", 250, _ticked(*_WINDOW), law="flat"),
    Cost("5 quiet ticks", "rollouts in the record", 250, _ticked(RolloutRow), law="flat"),
    Cost("everloop status, 5 times", "windows in the record", 250, _told(*_WINDOW), law="flat"),
    Cost("everloop status, 5 times", "runs in the record", 250, _told(RunRow, StepRow), law="flat"),
)
