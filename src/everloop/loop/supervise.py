"""What `everloop up` does: serves, and lets the loop do what is due, until it is told to stop.

The loop's state is in the record and the server's answers are in the prediction log, so this process
and its server may be killed at any moment; the next `up` goes on where they were.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Any

from everloop.core.clock import SystemClock
from everloop.core.errors import EverloopError, NotFound, UsageFault
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.deploy.release import project
from everloop.loop.event_clock import EVENTS, SYSTEM, EventClock, claim_clock, on_its_clock
from everloop.loop.following import Following, followed_sources
from everloop.loop.loop import Loop, Tick
from everloop.loop.replay import HEARTBEAT
from everloop.loop.serving import Servers, clear_leftovers
from everloop.runtime.service.settings import ServerLimits, ServerSettings, Tls, TopicSettings

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.spec.deploy import LimitsSpec, LogSpec

# With the clock of events, the log is looked at so often; a tick follows when it has grown.
_EVENT_LOOK_SECONDS = 0.02
_LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Listening:
    """Where and how to serve; what is None is as the lifecycle file says."""

    host: str | None = None
    port: int | None = None
    workers: int | None = None
    durability: str | None = None
    grpc_port: int | None = None


class _Stop(KeyboardInterrupt):
    """The process was told to stop by a signal other than Ctrl-C; work under way ends as with Ctrl-C."""


def server_settings(workspace: Workspace, listening: Listening, clock: str) -> tuple[ServerSettings, int]:
    """Gives what a lifecycle's server is told, and how many workers there are.

    Raises:
        UsageFault: When the settings contradict each other.
    """
    serve = workspace.spec.deploy.serve
    workers = listening.workers or serve.workers
    if clock == EVENTS and workers > 1:
        raise UsageFault(
            "With the clock of events one worker serves: each would live on its own rows' time.",
            hint="--workers 1",
        )
    if clock == EVENTS and workspace.spec.deploy.log.to is not None:
        raise UsageFault(
            "With the clock of events the prediction log is on this machine, where its times are read.",
            hint="leave out deploy.log.to for the rehearsal",
        )
    grpc_port = serve.grpc_port if listening.grpc_port is None else listening.grpc_port
    if grpc_port == 0 and workers > 1:
        raise UsageFault(
            "Several workers share one port for gRPC.", hint="state it in deploy.serve.grpc_port"
        )
    settings = ServerSettings(
        routing=str(workspace.routing_path.resolve()),
        log=str(workspace.log_folder.resolve()),
        topic=log_topic(workspace.spec.deploy.log),
        private=dict(workspace.spec.deploy.log.private),
        log_key=str(workspace.log_key_path.resolve()),
        online=workspace.online_address,
        host=listening.host or serve.host,
        port=serve.port if listening.port is None else listening.port,
        durability=listening.durability or serve.durability,
        clock=clock,
        grpc_port=grpc_port,
        tls=_tls(workspace),
        trusted=workspace.trusted_keys,
        secrets=serve.tokens.references(),
        limits=server_limits(serve.limits),
    )
    return settings, workers


def log_topic(stated: LogSpec) -> TopicSettings | None:
    """Gives the topic that the prediction log is sent to, with references to secrets as they are stated."""
    if stated.to is None:
        return None
    options = {
        name: value if isinstance(value, str) else value.reference for name, value in stated.options.items()
    }
    return TopicSettings(stated.to, options, stated.outage, int(stated.outage_gb * 1e9))


def server_limits(stated: LimitsSpec) -> ServerLimits:
    """Gives what a server may be asked at once."""
    wait = None if stated.wait is None else stated.wait.total_seconds()
    return ServerLimits(version_requests=stated.requests, version_wait=wait)


def _tls(workspace: Workspace) -> Tls | None:
    stated = workspace.spec.deploy.serve.tls
    if stated is None:
        return None
    folder = workspace.spec.folder
    clients = None if stated.clients is None else str((folder / stated.clients).resolve())
    return Tls(str((folder / stated.certificate).resolve()), str((folder / stated.key).resolve()), clients)


def project_routing(workspace: Workspace) -> None:
    """Writes the routing file from the record.

    Raises:
        NotFound: When no version was released yet.
    """
    if project(workspace.record, workspace.store, workspace.name, workspace.routing_path) is None:
        raise NotFound(f"No version of {workspace.name} was released yet.", hint="everloop run")


def supervise(
    workspace: Workspace,
    *,
    clock: str = SYSTEM,
    tick_seconds: float = 1.0,
    listening: Listening | None = None,
) -> None:
    """Serves and ticks until SIGTERM or Ctrl-C.

    Args:
        workspace: The lifecycle.
        clock: `system`, or `events` for a rehearsal: time is that of the rows that are sent.
        tick_seconds: The pause between two ticks; with `events` a tick also follows new events.
        listening: Where to serve, if not as the file says.

    Raises:
        RecordBusy: When another `up` or server is at work on the lifecycle.
        NotFound: When no version was released yet.
        KeyboardInterrupt: After Ctrl-C, when all is stopped; SIGTERM returns.
    """
    settings, workers = server_settings(workspace, listening or Listening(), clock)
    with workspace.sole("up"):
        claim_clock(workspace, clock)
        project_routing(workspace)
        clear_leftovers(workspace.state_folder, [workspace.log_folder], workspace.progress)
        servers = Servers(settings, workers, workspace.state_folder, workspace.progress)
        following = Following(workspace, followed_sources(workspace))

        def end() -> None:
            following.stop()
            servers.stop()
            workspace.record.set_state(workspace.name, HEARTBEAT, {"state": "stopped"})
            _say(workspace, "deploy", "stopped")

        with until_stopped(end) as asked:
            url = servers.start()
            _say(workspace, "deploy", f"serving at {url}", url=url)
            if following.sources:
                following.start()
            _Supervision(on_its_clock(workspace), url, tick_seconds).run(asked)


@contextmanager
def until_stopped(end: Callable[[], None]) -> Iterator[threading.Event]:
    """Runs a block until a signal tells to stop, then brings it to its end, whatever is signalled meanwhile.

    SIGTERM and SIGHUP end the block well; Ctrl-C ends it and is raised again.

    Args:
        end: Called once when the block is left, in any way.

    Yields:
        What is set once it was asked to stop. A signal that comes while Python is in a finaliser raises
        where nobody hears it, so a block that goes on for ever looks at this too.
    """
    asked = threading.Event()

    def stop(*_: object) -> None:
        asked.set()
        raise _Stop

    try:
        with _handling(stop, signal.SIGTERM, signal.SIGHUP):
            yield asked
    except _Stop:
        pass
    finally:
        with _handling(lambda *_: None, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            end()


@dataclass
class _Supervision:
    """The loop under way."""

    workspace: Workspace
    url: str
    tick_seconds: float
    faults: int = 0
    fault: str | None = None

    def run(self, pause: threading.Event) -> None:
        """Ticks until it is asked to stop."""
        loop, begun = Loop(self.workspace), SystemClock().now()
        self._beat(begun, None)
        while not pause.is_set():
            lines = self._look()
            started = time.perf_counter()
            self._tick(loop)
            self._beat(begun, lines)
            self._rest(pause, started, lines)

    def _tick(self, loop: Loop) -> None:
        """Ticks once; what fails is told and tried again, since serving must go on."""
        try:
            tick = loop.tick()
        except EverloopError as error:
            self._failed(error.message + (f" ({error.hint})" if error.hint else ""))
        except Exception as error:  # noqa: BLE001  (the server answers on, and the next tick may succeed)
            self._failed(f"{type(error).__name__}: {error}")
        else:
            self.faults, self.fault = 0, None
            self._tell(tick)

    def _failed(self, message: str) -> None:
        self.faults += 1
        if message != self.fault:
            _say(self.workspace, "loop", f"a tick failed and is tried again: {message}", kind="notice")
        self.fault = message

    def _tell(self, tick: Tick) -> None:
        for happening in tick.happenings:
            line = f"{tick.at:%Y-%m-%d %H:%M} {happening.kind}: {happening.text}"
            _say(self.workspace, _PHASES.get(happening.kind, "monitor"), line, id=happening.id)

    def _look(self) -> int | None:
        """Gives how many lines of the log the next tick will surely see."""
        clock = self.workspace.clock
        if not isinstance(clock, EventClock):
            return None
        clock.now()
        return clock.lines

    def _rest(self, pause: threading.Event, started: float, lines: int | None) -> None:
        """Waits for the next tick: until time has passed, or until there are new events."""
        wanted = self.tick_seconds
        if self.faults:
            wanted = min(_LONGEST_PAUSE, max(wanted, 0.5) * 2.0 ** min(self.faults, 10))
        while not pause.is_set() and (left := started + wanted - time.perf_counter()) > 0:
            if lines is None or self.faults:
                pause.wait(left)
            elif self._look() != lines:
                return
            else:
                pause.wait(min(left, _EVENT_LOOK_SECONDS))

    def _beat(self, begun: datetime, lines: int | None) -> None:
        beat: dict[str, Any] = {
            "state": "running",
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "url": self.url,
            "since": to_jsonable(begun),
            "lines": 0 if lines is None and isinstance(self.workspace.clock, EventClock) else lines,
            "faults": self.faults,
            "fault": self.fault,
        }
        try:
            if self.workspace.record.state(self.workspace.name, HEARTBEAT) != beat:
                self.workspace.record.set_state(self.workspace.name, HEARTBEAT, beat)
        except EverloopError as error:
            self._failed(error.message)


_PHASES = {"run": "model", "rollout": "deploy"}


def _say(workspace: Workspace, phase: str, message: str, *, kind: str = "result", **facts: Any) -> None:
    workspace.progress(Event(phase, message, kind=kind, facts=facts))


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *numbers: int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
