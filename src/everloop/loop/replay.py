"""The lifecycle's own past, sent to a running server in the order in which it happened.

A rehearsal of the deployment: real requests, actuals that come as late as they came, and a loop that
lives on the rows' time. At each pause it is waited for, so that a year in minutes decides as a year would.
"""

from __future__ import annotations

import json
import math
import os
import socket
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.clock import SystemClock, parse_time
from everloop.core.errors import OutsideFault, UsageFault
from everloop.core.files import write_file
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.deploy.versions import require_version
from everloop.loop.event_clock import EventClock
from everloop.loop.hindsight import Hindsight, decision_by
from everloop.loop.history import History, history
from everloop.loop.sending import Sender
from everloop.runtime.log import LogReader

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.runtime.manifest import Manifest

HEARTBEAT = "up"
STATE_FILE = "replay.json"
_LOOK_SECONDS = 0.01
_MOST_FAULTS = 5


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """What is sent.

    Attributes:
        since: The first moment.
        until: The end, not in it.
        sample: The share of the rows.
        seed: Of the sample.
        pause: The span of time after which the loop is waited for.
        batch: How many rows go in one request.
    """

    since: datetime
    until: datetime
    sample: float = 1.0
    seed: int = 0
    pause: timedelta = timedelta(days=1)
    batch: int = 50

    def __post_init__(self) -> None:
        if self.until <= self.since:
            raise UsageFault(f"The replay ends ({self.until}) before it begins ({self.since}).")
        if self.pause <= timedelta() or self.batch < 1:
            raise UsageFault("A replay pauses after a time above 0 and sends at least 1 row in a request.")

    @property
    def identity(self) -> dict[str, Any]:
        """What must be the same for a replay to be continued."""
        return {name: to_jsonable(getattr(self, name)) for name in ("since", "until", "sample", "seed")}


@dataclass
class Tally:
    """What was sent in a month, or altogether.

    Attributes:
        predictions: Rows that were answered.
        known: Rows of them that had been answered before.
        actuals: Actuals that were fed back.
        refused: Rows that the server refused.
        value: What the decisions were worth in hindsight, where they have a price and an actual.
        valued: How many decisions that is.
    """

    predictions: int = 0
    known: int = 0
    actuals: int = 0
    refused: int = 0
    value: float = 0.0
    valued: int = 0

    def add(self, other: Tally) -> None:
        """Adds another's numbers."""
        for name, number in vars(other).items():
            setattr(self, name, getattr(self, name) + number)

    def line(self, currency: str) -> str:
        """Tells the numbers."""
        words = [f"{self.predictions:,} predictions, {self.actuals:,} actuals"]
        words += [f"{self.known:,} answered before"] if self.known else []
        words += [f"{self.refused:,} refused"] if self.refused else []
        if self.valued:
            words.append(f"a decision was worth {self.value / self.valued:.2f} {currency}".rstrip())
        return "; ".join(words)

    def to_dict(self) -> dict[str, Any]:
        """Gives the numbers as what JSON can carry."""
        return vars(self) | {"value_per_decision": self.value / self.valued if self.valued else None}


@dataclass(frozen=True)
class ReplayResult:
    """What a replay came to.

    Attributes:
        total: All of it.
        months: The same by month of the predictions.
        refusals: How often each reason for a refusal was given.
        begun: Where it began: later than asked for where an earlier replay was continued.
        waited: Whether there was a loop to wait for.
        currency: The money's name.
    """

    total: Tally
    months: dict[str, Tally]
    refusals: dict[str, int]
    begun: datetime
    waited: bool
    currency: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        return {
            "total": self.total.to_dict(),
            "months": {month: tally.to_dict() for month, tally in self.months.items()},
            "refusals": self.refusals,
            "begun": to_jsonable(self.begun),
            "waited_for_loop": self.waited,
            "currency": self.currency,
        }


def replay(workspace: Workspace, server: str, plan: ReplayPlan, *, restart: bool = False) -> ReplayResult:
    """Sends the lifecycle's rows and actuals to a server, in order.

    Rows keep their ids, and what the prediction log has already is not sent again: repeating a replay
    doubles nothing. One that was stopped continues after the last pause that it came to.

    Args:
        workspace: The lifecycle.
        server: The URL of its server, which lives on the rows' time.
        plan: What to send.
        restart: Begin anew.

    Raises:
        ServerUnreachable: When the server does not answer.
        UsageFault: When it is the wrong one, or lives on the system's clock.
        OutsideFault: When the loop that is waited for ended or fails again and again.
    """
    rows = history(workspace, plan.since, plan.until, sample=plan.sample, seed=plan.seed)
    state_path = workspace.state_folder / STATE_FILE
    begun = plan.since if restart else _continued(state_path, plan)
    with Sender(server, rows, SystemClock()) as sender:
        sender.require_event_clock(workspace.name)
        under_way = _Replay(workspace, rows, sender, plan, begun)
        start = begun
        while start < plan.until:
            end = min(start + plan.pause, plan.until)
            under_way.send(start, end)
            _note(state_path, plan, end)
            start = end
        return under_way.result()


def _continued(path: Path, plan: ReplayPlan) -> datetime:
    try:
        kept = json.loads(path.read_bytes())
        return parse_time(kept["boundary"]) if kept["plan"] == plan.identity else plan.since
    except (OSError, ValueError, KeyError, TypeError):
        return plan.since


def _note(path: Path, plan: ReplayPlan, boundary: datetime) -> None:
    write_file(path, json.dumps({"plan": plan.identity, "boundary": to_jsonable(boundary)}).encode())


@dataclass
class _Replay:
    """A replay under way."""

    workspace: Workspace
    rows: History
    sender: Sender
    plan: ReplayPlan
    begun: datetime
    months: dict[str, Tally] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    waited: bool = False
    told: str = ""

    def __post_init__(self) -> None:
        with LogReader(self.workspace.log_folder).span() as span:
            parts = [part.select("id", "version", "prediction") for part in span.facts()]
        self._logged: dict[str, tuple[int, str]] = {
            identity: (version, said) for part in parts for identity, version, said in part.iter_rows()
        }
        self._manifests: dict[int, Manifest] = {}
        self._ids: list[str] = self.rows.facts["id"].to_list()
        self._times: list[datetime] = self.rows.facts["time"].to_list()
        self._refused: set[int] = set()
        self._values = Hindsight.of(self.workspace, self.rows)
        self._loop = LoopWatch(self.workspace)

    def send(self, start: datetime, end: datetime) -> None:
        """Sends one span, then waits until the loop has seen it."""
        for request in self.rows.requests(start, end, self.plan.batch):
            if request.kind == "predict":
                self._predict(request.places)
            else:
                self._feed_back(request.places)
        self.sender.settle()
        self.waited = self._loop.wait() or self.waited
        if f"{end:%Y-%m}" != f"{start:%Y-%m}" or end == self.plan.until:
            self._tell(f"{start:%Y-%m}")

    def result(self) -> ReplayResult:
        """Adds up."""
        total = Tally()
        for tally in self.months.values():
            total.add(tally)
        return ReplayResult(total, self.months, self.refusals, self.begun, self.waited, self._values.currency)

    def _predict(self, places: list[int]) -> None:
        known = {
            place: self._logged[self._ids[place]] for place in places if self._ids[place] in self._logged
        }
        fresh = [place for place in places if place not in known]
        answered = self.sender.predict(fresh)
        for place, reason in answered.refused.items():
            self._refused.add(place)
            self._month(place).refused += 1
            rule = reason.partition(".")[2] or reason
            self.refusals[rule] = self.refusals.get(rule, 0) + 1
        given = known | answered.predictions
        values = self._values.values(list(given), [self._decision(*one) for one in given.values()])
        for place, worth in zip(given, values.tolist(), strict=True):
            tally = self._month(place)
            tally.predictions += 1
            tally.known += place in known
            if not math.isnan(worth):
                tally.value += worth
                tally.valued += 1

    def _decision(self, number: int, prediction: Any) -> Any:
        """Gives what a version decides by its answer."""
        if number not in self._manifests:
            version = require_version(self.workspace.record, self.workspace.name, number)
            self._manifests[number] = self.workspace.served(version).package.manifest
        return decision_by(self._manifests[number], prediction)

    def _feed_back(self, places: list[int]) -> None:
        sent = [place for place in places if place not in self._refused]
        if not sent:
            return
        self.sender.feedback(sent)
        for place in sent:
            self._month(place).actuals += 1

    def _month(self, place: int) -> Tally:
        return self.months.setdefault(f"{self._times[place]:%Y-%m}", Tally())

    def _tell(self, month: str) -> None:
        tally = self.months.get(month)
        if tally is not None:
            line = f"{month}: {tally.line(self._values.currency)}"
            self.workspace.progress(Event("replay", line, kind="result", facts=tally.to_dict()))


class LoopWatch:
    """Sees how far the loop of a running `everloop up` has come.

    Args:
        workspace: The lifecycle, on the same machine.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._log = EventClock(workspace.log_folder)
        self._clock = SystemClock()

    def wait(self) -> bool:
        """Waits until the loop has seen every line that is in the prediction log now.

        Returns:
            Whether there is a loop; without one there is nothing to wait for.

        Raises:
            OutsideFault: When it ends meanwhile, or fails again and again.
        """
        self._log.now()
        wanted, alive = self._log.lines, False
        while True:
            beat = heartbeat(self._workspace)
            if beat is None:
                if alive:
                    raise OutsideFault(
                        "The loop that was waited for has ended.",
                        hint="everloop up --clock events; then the same replay again: it continues",
                    )
                return False
            alive = True
            if beat["lines"] is None or beat["lines"] >= wanted:
                return True
            if beat["faults"] >= _MOST_FAULTS:
                raise OutsideFault(
                    f"The loop fails again and again: {beat['fault']}", hint="look at what `everloop up` says"
                )
            self._clock.sleep(_LOOK_SECONDS)


def heartbeat(workspace: Workspace) -> dict[str, Any] | None:
    """Gives what a running `everloop up` last said of itself; None where none runs on this machine."""
    beat: dict[str, Any] | None = workspace.record.state(workspace.name, HEARTBEAT)
    if not beat or beat.get("state") != "running" or beat.get("host") != socket.gethostname():
        return None
    return beat if _is_alive(int(beat["pid"])) else None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # A killed process that nobody has waited for still has its id.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True
