"""Serving one row a request: requests a second, latency, start and memory, beside other servers of one model.

The model: 200 boosted trees over 15 numeric and 5 categorical columns with missing values. One worker on one
core, the load (`wrk`) on another; ours with prediction log, contract check, metrics and a 10 % canary on. All
servers answer the same rows; before anything is measured their scores are compared. Rounds go in turns.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, Options, Report
from benchmarks.serving_model import make_deployment, table
from benchmarks.serving_servers import OURS, PEERS, Running, started
from benchmarks.timing import REST_SECONDS
from benchmarks.wrk_load import ABSENT, Load, is_installed, load, write_script
from everloop.core.clock import SystemClock

CONNECTIONS = (1, 16, 64)
TIMES = {1: 25, 16: 60, 64: 60}
"""How many times a peer's requests a second ours is to answer, by connections."""

ECHO = "echo, raw ASGI"


def run(options: Options) -> Report:
    """Starts each server once, compares their answers, and loads them in turns."""
    if not is_installed():
        return Report((), (ABSENT,))
    rounds, seconds = (1, 2) if options.quick else (3, 2)
    with contextlib.ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        training = table(2_000 if options.quick else 20_000)
        training.write_json(folder / "training.json")
        make_deployment(training, folder)
        rows = training.drop("y").head(200).to_dicts()
        servers = _start(opened, folder, install=options.peers)
        notes = list(_compared(servers, rows[:50]))
        loads = _loads(servers, rows, folder, rounds, seconds)
        figures = [*_figures(servers, loads), *_sizes(servers)]
        notes += _batching(servers, loads)
    missing = [name for name in PEERS if name not in servers]
    if missing:
        notes.append(f"not measured: {', '.join(missing)}; add --peers")
    return Report(tuple(figures), tuple(notes))


def _start(opened: contextlib.ExitStack, folder: Path, *, install: bool) -> dict[str, Running]:
    servers = {}
    for name in PEERS:
        server = opened.enter_context(started(name, folder, install=install))
        if server is not None:
            servers[name] = server
    return servers


def _compared(servers: Mapping[str, Running], rows: list[dict[str, Any]]) -> Iterator[str]:
    """Has every server answer the same rows before anything is measured.

    Raises:
        RuntimeError: When one answers otherwise.
    """
    expected = [servers[OURS].score(row) for row in rows]
    for name, server in servers.items():
        if server.form.score is None:
            continue
        worst = max(abs(server.score(row) - score) for row, score in zip(rows, expected, strict=True))
        if worst > 1e-9:
            raise RuntimeError(f"{name} answers otherwise than {OURS}: a difference of {worst}")
        yield f"{name}: the same scores on {len(rows)} rows, largest difference {worst:.1e}"


def _loads(
    servers: Mapping[str, Running], rows: list[dict[str, Any]], folder: Path, rounds: int, seconds: int
) -> dict[tuple[str, int], list[Load]]:
    scripts = {}
    for name, server in servers.items():
        bodies = [server.form.body(row) for row in rows]
        scripts[name] = write_script(folder / server.slug, server.form.path, bodies)
        load(server.url, scripts[name], 4, 1)
        print(f"   {name} is warm", flush=True)
    found: dict[tuple[str, int], list[Load]] = {}
    for turn in range(rounds):
        names = list(servers)[turn % len(servers) :] + list(servers)[: turn % len(servers)]
        for connections in CONNECTIONS:
            for name in names:
                SystemClock().sleep(REST_SECONDS)
                answered = load(servers[name].url, scripts[name], connections, seconds)
                found.setdefault((name, connections), []).append(answered)
    return found


def _figures(servers: Mapping[str, Running], loads: Mapping[tuple[str, int], list[Load]]) -> Iterator[Figure]:
    for connections in CONNECTIONS:
        ours = [load.rate for load in loads[OURS, connections]]
        rate = {"value": statistics.median(ours), "low": min(ours), "high": max(ours), "unit": "requests/s"}
        what = f"{connections} connection{'s' * (connections > 1)}"
        for name in servers:
            if name == OURS:
                continue
            other = statistics.median(load.rate for load in loads[name, connections])
            times = 0.5 if name == ECHO else TIMES[connections]
            yield Figure(f"{what}", **rate, beside=name, other=other, goal=f">= {times * other:.0f}")
        yield _tail(f"{what}: p99", loads[OURS, connections], times=3)
        yield _tail(f"{what}: p99 of the echo", loads[ECHO, connections])
        failed = sum(load.failed for load in loads[OURS, connections])
        yield Figure(f"{what}: answers that are none", failed, "", goal="<= 0")


def _batching(servers: Mapping[str, Running], loads: Mapping[tuple[str, int], list[Load]]) -> Iterator[str]:
    """Says of peers that gather rows of many requests what the goal would leave for an answer of ours."""
    gathering = [name for name in servers if name.endswith("batching")]
    if not gathering:
        return
    yield (
        "MLServer and BentoML were tried both as they come and with their own batching: up to 32 rows a "
        "batch, gathered for at most 5 ms by MLServer (`max_batch_time`) and as BentoML itself adapts "
        "(`batchable`, `max_latency_ms` of 1 s). Batching makes one connection slower, and many faster "
        "several times over"
    )

    def rate(name: str, connections: int) -> float:
        return statistics.median(load.rate for load in loads[name, connections])

    for connections in CONNECTIONS:
        ours, echo, times = rate(OURS, connections), rate(ECHO, connections), TIMES[connections]
        for name in gathering:
            wanted = times * rate(name, connections)
            if ours >= wanted:
                continue
            left = 1e6 / wanted - 1e6 / echo
            yield (
                f"{name}, {connections} connections: {ours / wanted * times:.1f} times, not {times}. "
                f"{times} times would be {wanted:,.0f} a second, where the bare echo on this server answers "
                f"{echo:,.0f}: "
                + (
                    f"{left:.1f} µs for all that an answer is, trees, contract, routing, log and metrics"
                    if left > 0
                    else "out of reach for whatever it serves"
                )
            )


def _tail(what: str, loads: list[Load], times: float | None = None) -> Figure:
    """Gives the slowest requests of a server beside its usual ones; an echo's are the machine's own."""
    median = statistics.median(load.median for load in loads)
    tails = [load.p99 for load in loads]
    goal = "" if times is None else f"<= {times * median:.4f}"
    return Figure(what, statistics.median(tails), "ms", min(tails), max(tails), "its median", median, goal)


def _sizes(servers: Mapping[str, Running]) -> Iterator[Figure]:
    ours = servers[OURS]
    yield Figure("start to ready", ours.ready_seconds, "s", goal="< 0.8")
    yield Figure("memory when ready", ours.ready_bytes / 2**20, "MB", goal="< 90")
    yield Figure("memory after the load", ours.bytes_now() / 2**20, "MB", goal="< 90")
    for name, server in servers.items():
        if name not in (OURS, ECHO):
            yield Figure(f"{name}: start to ready", server.ready_seconds, "s")
            yield Figure(f"{name}: memory after the load", server.bytes_now() / 2**20, "MB")
