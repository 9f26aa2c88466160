"""Outside systems are told what is new in the record: nothing twice, nothing lost, the loop never stopped.

They are found by the entry points of the group ``everloop.integrations``, so no room imports them;
`everloop.integrations.Observer` is what they promise. What each was told is a cursor in the record's
state, under ``observed:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from everloop.core.clock import parse_time
from everloop.core.errors import EverloopError, RecordBusy, UsageFault
from everloop.core.nearness import near_names
from everloop.core.progress import Event
from everloop.core.values import to_jsonable
from everloop.deploy.release import PACKAGE_FOLDER
from everloop.record.rows import DecisionRow, DeploymentRow, RunRow, StepRow, VersionRow
from everloop.spec import Secret

if TYPE_CHECKING:
    from everloop.loop.workspace import Workspace
    from everloop.spec import LifecycleSpec

GROUP = "everloop.integrations"
# A step of a run that has something to tell; a failed one has not.
_TOLD_STEPS = ("done", "cached")


@dataclass(frozen=True)
class Cursor:
    """What an observer was told.

    Runs and decisions are kept by id, since with a clock that follows the requests a later one can have
    an earlier time; versions and deployments are numbered.

    Attributes:
        runs: Ids.
        decisions: Ids.
        version: The highest number.
        generation: The latest deployment's.
        failed_at: When it last failed; None where its last turn went well.
    """

    runs: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    version: int = 0
    generation: int = 0
    failed_at: datetime | None = None

    @classmethod
    def of(cls, state: dict[str, Any] | None) -> Cursor:
        """Reads what the record keeps."""
        if not state:
            return cls()
        failed = state["failed_at"]
        return cls(
            tuple(state["runs"]),
            tuple(state["decisions"]),
            state["version"],
            state["generation"],
            parse_time(failed) if failed else None,
        )


@dataclass(frozen=True)
class _News:
    """One thing to tell: how, what to call it in a notice, and the cursor once it was told."""

    name: str
    tell: Callable[[Any], None]
    told: Callable[[Cursor], Cursor]


def observe(workspace: Workspace, *, pause: timedelta = timedelta(0)) -> None:
    """Tells the outside systems that the lifecycle file names what is new since they were last told.

    What fails is a notice and is begun again at the next call. Without `integrations` nothing is looked at.

    Args:
        workspace: The lifecycle.
        pause: Leave an observer alone that failed less than this ago, so that a loop that calls often
            does not wait for a server that is down each time.

    Raises:
        UsageFault: When no integration of such a name is installed.
    """
    if not workspace.spec.integrations:
        return
    points = require_observers(workspace.spec)
    for name, address in workspace.spec.integrations.items():
        try:
            with workspace.sole(f"observed-{name}"):
                _Turn(workspace, name, address, points[name]).take(pause)
        except RecordBusy:
            continue  # Another process is telling it.


def require_observers(spec: LifecycleSpec) -> dict[str, EntryPoint]:
    """Gives the entry points of the integrations that a lifecycle file names; nothing is loaded.

    Raises:
        UsageFault: When one of them is not installed; what is installed is named.
    """
    if not spec.integrations:
        return {}
    installed = {point.name: point for point in entry_points(group=GROUP)}
    for name in spec.integrations:
        if name not in installed:
            known = sorted(installed)
            near = near_names(name, known)
            raise UsageFault(
                f"No integration {name!r} is installed; installed are {', '.join(known) or 'none'}.",
                hint=f"did you mean {near[0]!r}?" if near else "leave it out, or install what offers it",
                place=f"integrations.{name}",
            )
    return {name: installed[name] for name in spec.integrations}


class _Turn:
    """One observer's turn: all that is new, in order, until something fails."""

    def __init__(self, workspace: Workspace, name: str, address: Secret | str, point: EntryPoint) -> None:
        self.workspace, self.name, self.address, self.point = workspace, name, address, point
        self.key = f"observed:{name}"
        self.generation = workspace.record.generation(workspace.name, self.key)
        self.cursor = Cursor.of(workspace.record.state(workspace.name, self.key))

    def take(self, pause: timedelta) -> None:
        """Tells what is new."""
        now, failed = self.workspace.clock.now(), self.cursor.failed_at
        if failed is not None and timedelta(0) <= now - failed < pause:
            return
        news = list(news_since(self.workspace, self.cursor))
        if not news:
            return
        revealed = ""
        try:
            revealed = self.address.reveal() if isinstance(self.address, Secret) else self.address
            with closing(self.point.load()(revealed)) as observer:
                for item in news:
                    item.tell(observer)
                    self._keep(replace(item.told(self.cursor), failed_at=None))
        except RecordBusy:
            raise
        except Exception as error:  # noqa: BLE001  (others' code, and the loop must go on)
            self._keep(replace(self.cursor, failed_at=now))
            self._notice(error, revealed)

    def _keep(self, cursor: Cursor) -> None:
        record, name = self.workspace.record, self.workspace.name
        self.generation = record.set_state(name, self.key, to_jsonable(cursor), expect=self.generation)
        self.cursor = cursor

    def _notice(self, error: Exception, address: str) -> None:
        waiting = len(list(news_since(self.workspace, self.cursor)))
        told = error.message if isinstance(error, EverloopError) else f"{type(error).__name__}: {error}"
        text = f"{self.name} was not told {waiting} things, which wait: {_masked(told, address)}"
        hint = error.hint if isinstance(error, EverloopError) else None
        facts = {"integration": self.name, "waiting": waiting, "hint": hint}
        self.workspace.progress(Event("integrations", text, kind="notice", facts=facts))


def news_since(workspace: Workspace, cursor: Cursor) -> Iterator[_News]:
    """Gives what an observer was not told yet, in the order to tell it in.

    What belongs to a run that has not ended waits for its end.
    """
    record, name = workspace.record, workspace.name
    runs = record.find(RunRow, lifecycle=name)
    known = set(cursor.runs)
    for run in runs:
        if run.status != "running" and run.id not in known:
            yield _News(run.id, partial(_tell_run, workspace, run), partial(_run_told, run.id))
    versions = {row.id: row for row in record.find(VersionRow, lifecycle=name, order="number")}
    under_way = {run.id for run in runs if run.status == "running"}
    ripe = _ripe(list(versions.values()), cursor, under_way)
    for version in versions.values():
        if version.id in ripe and version.number > cursor.version:
            told = partial(_version_told, version.number)
            yield _News(version.id, partial(_tell_version, workspace, version), told)
    known = set(cursor.decisions)
    for decision in record.find(DecisionRow, lifecycle=name):
        about = decision.facts.get("version")
        if decision.id not in known and (about not in versions or about in ripe):
            yield _News(decision.id, partial(_tell_decision, decision), partial(_decision_told, decision.id))
    yield from _champions(workspace, cursor, versions, ripe)


def _ripe(versions: list[VersionRow], cursor: Cursor, under_way: set[str]) -> set[str]:
    """The versions that may be told, or were: all before the first whose run has not ended."""
    ripe = set()
    for version in versions:
        if version.number > cursor.version and version.run in under_way:
            break
        ripe.add(version.id)
    return ripe


def _champions(
    workspace: Workspace, cursor: Cursor, versions: dict[str, VersionRow], ripe: set[str]
) -> Iterator[_News]:
    before = None
    for row in workspace.record.find(DeploymentRow, lifecycle=workspace.name, order="generation"):
        changed, before = row.champion != before, row.champion
        if row.generation <= cursor.generation or row.champion is None or not changed:
            continue
        if row.champion not in ripe:
            return
        tell = partial(_tell_champion, row, versions[row.champion])
        yield _News(row.id, tell, partial(_deployment_told, row.generation))


def _tell_run(workspace: Workspace, run: RunRow, observer: Any) -> None:
    rows = workspace.record.find(StepRow, run=run.id, status=_TOLD_STEPS)
    observer.run_finished(run, {row.name: row.facts.get("result", {}) for row in rows})


def _tell_version(workspace: Workspace, version: VersionRow, observer: Any) -> None:
    observer.version_registered(version, workspace.store.open(version.package) / PACKAGE_FOLDER)


def _tell_decision(decision: DecisionRow, observer: Any) -> None:
    observer.decided(decision)


def _tell_champion(deployment: DeploymentRow, champion: VersionRow, observer: Any) -> None:
    observer.champion_changed(deployment, champion)


def _run_told(identity: str, cursor: Cursor) -> Cursor:
    return replace(cursor, runs=(*cursor.runs, identity))


def _version_told(number: int, cursor: Cursor) -> Cursor:
    return replace(cursor, version=number)


def _decision_told(identity: str, cursor: Cursor) -> Cursor:
    return replace(cursor, decisions=(*cursor.decisions, identity))


def _deployment_told(generation: int, cursor: Cursor) -> Cursor:
    return replace(cursor, generation=generation)


def _masked(text: str, address: str) -> str:
    """Takes out of a text what an address may hold that is secret, whoever wrote it there."""
    if "://" not in address:
        return text.replace(address, "***") if address else text
    parts = urlsplit(address)
    secrets = [parts.password or "", parts.username or "", parts.path, parts.query]
    secrets += [value for _, value in parse_qsl(parts.query)]
    secrets += [unquote(secret) for secret in secrets]
    for secret in sorted(set(secrets), key=len, reverse=True):
        if len(secret) > 2:
            text = text.replace(secret, "***")
    return text
