"""Observers are told what is new: nothing twice, nothing lost, the loop never stopped."""

import json
import os
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from importlib.metadata import EntryPoint

import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import ServerUnreachable, UsageFault
from everloop.integrations import Observer
from everloop.loop import observing
from everloop.loop.observing import Cursor, observe, require_observers
from everloop.loop.workspace import Workspace
from everloop.record import open_record
from everloop.record.rows import DecisionRow, DeploymentRow, RunRow, StepRow, VersionRow
from everloop.record.store import ArtifactStore
from everloop.spec import parse
from everloop.testing import MemoryRecord

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
FILE = """
name: flights
problem: {{target: late}}
integrations: {{{integrations}}}
"""


class Fake:
    """An outside system that remembers, and fails where it is told to."""

    def __init__(self):
        self.told, self.made, self.closed = [], [], 0
        self.fails_at, self.fault = None, None

    def __call__(self, address):
        self.made.append(address)
        return self

    def _take(self, kind, row, *more):
        if row.id == self.fails_at:
            raise self.fault
        self.told.append((kind, row.id, *more))

    def run_finished(self, run, steps):
        self._take("run", run, dict(steps))

    def version_registered(self, version, package):
        self._take("version", version, (package / "manifest.json").read_text())

    def decided(self, decision):
        self._take("decision", decision)

    def champion_changed(self, deployment, champion):
        self._take("champion", deployment, champion.id)

    def close(self):
        self.closed += 1

    @property
    def ids(self):
        return [told[1] for told in self.told]


@pytest.fixture
def fake(monkeypatch):
    made = Fake()
    install(monkeypatch, fake=made)
    return made


def install(monkeypatch, **fakes):
    class Point:
        def __init__(self, name, observer):
            self.name, self.observer = name, observer

        def load(self):
            return self.observer

    points = [Point(name, observer) for name, observer in fakes.items()]
    monkeypatch.setattr(observing, "entry_points", lambda group: points if group == observing.GROUP else [])


def workspace_of(tmp_path, integrations="fake: http://there", record=None):
    spec = parse(FILE.format(integrations=integrations), tmp_path)
    (tmp_path / ".everloop").mkdir(exist_ok=True)
    events = []
    made = Workspace(
        spec,
        record or MemoryRecord(),
        ArtifactStore(tmp_path / "artifacts"),
        SimulatedClock(NOON),
        events.append,
    )
    return made, events


def put_run(workspace, number, *, status="done", version=True, at=NOON, gate=True):
    record = workspace.record
    run = RunRow(f"run_{number}", "flights", at, status=status, finished_at=at)
    record.put(run)
    record.put(
        StepRow(
            f"step_{number}",
            "flights",
            at,
            run.id,
            "train",
            "model",
            "k",
            "done",
            1.0,
            {"result": {"n": number}},
        )
    )
    if not version:
        return
    with workspace.store.scratch() as folder:
        (folder / "package").mkdir()
        (folder / "package" / "manifest.json").write_text(f"v{number}")
        workspace.store.publish(f"package-{number}", folder)
    record.put(VersionRow(f"version_{number}", "flights", at, number, run.id, f"package-{number}"))
    if gate:
        facts = {"version": f"version_{number}"}
        record.put(DecisionRow(f"decision_{number}", "flights", at, "gate", "passed", "good", facts))


def deploy(workspace, generation, champion):
    record = workspace.record
    record.put(DeploymentRow(f"deployment_{generation}", "flights", NOON, generation, champion))


def test_the_fake_is_an_observer():
    assert isinstance(Fake(), Observer)


def test_without_integrations_nothing_is_looked_at(tmp_path):
    class Untouchable:
        def __getattr__(self, name):
            raise AssertionError(name)

    workspace, _ = workspace_of(tmp_path, integrations="", record=Untouchable())
    observe(workspace)


def test_everything_is_told_once_in_order(tmp_path, fake):
    workspace, events = workspace_of(tmp_path)
    put_run(workspace, 1)
    deploy(workspace, 1, "version_1")
    observe(workspace)
    assert fake.told == [
        ("run", "run_1", {"train": {"n": 1}}),
        ("version", "version_1", "v1"),
        ("decision", "decision_1"),
        ("champion", "deployment_1", "version_1"),
    ]
    observe(workspace)
    assert len(fake.told) == 4
    assert fake.made == ["http://there"]
    assert fake.closed == 1
    assert events == []


def test_what_comes_later_is_told_later_whatever_time_it_has(tmp_path, fake):
    """A rehearsal lives on the rows' time: the run after it may have the earlier time."""
    workspace, _ = workspace_of(tmp_path)
    put_run(workspace, 1)
    observe(workspace)
    put_run(workspace, 2, at=NOON - timedelta(days=400))
    observe(workspace)
    assert fake.ids == ["run_1", "version_1", "decision_1", "run_2", "version_2", "decision_2"]


def test_a_version_waits_for_the_end_of_its_run(tmp_path, fake):
    workspace, _ = workspace_of(tmp_path)
    put_run(workspace, 1)
    put_run(workspace, 2, status="running")
    deploy(workspace, 1, "version_1")
    deploy(workspace, 2, "version_2")
    observe(workspace)
    assert fake.ids == ["run_1", "version_1", "decision_1", "deployment_1"]
    put_run(workspace, 2, status="interrupted")
    observe(workspace)
    assert fake.ids[4:] == ["run_2", "version_2", "decision_2", "deployment_2"]


def test_only_a_change_of_champion_is_told(tmp_path, fake):
    workspace, _ = workspace_of(tmp_path)
    put_run(workspace, 1)
    put_run(workspace, 2)
    for generation, champion in enumerate(["version_1", "version_1", "version_2"], start=1):
        deploy(workspace, generation, champion)
    observe(workspace)
    deploy(workspace, 4, "version_2")
    observe(workspace)
    assert [told[1:] for told in fake.told if told[0] == "champion"] == [
        ("deployment_1", "version_1"),
        ("deployment_3", "version_2"),
    ]


@pytest.mark.parametrize("fails_at", ["run_1", "version_1", "run_2", "decision_2", "deployment_1"])
@pytest.mark.parametrize("fault", [ServerUnreachable("It is down."), RuntimeError("bug"), KeyError("x")])
def test_what_fails_is_a_notice_and_is_caught_up(tmp_path, fake, fails_at, fault):
    workspace, events = workspace_of(tmp_path)
    put_run(workspace, 1)
    put_run(workspace, 2)
    deploy(workspace, 1, "version_2")
    fake.fails_at, fake.fault = fails_at, fault
    observe(workspace)
    assert fails_at not in fake.ids
    assert [event.kind for event in events] == ["notice"]
    assert f"fake was not told {7 - len(fake.told)} things, which wait" in events[0].message
    assert fake.closed == 1
    fake.fails_at = None
    observe(workspace)
    assert len(fake.ids) == len(set(fake.ids)) == 7
    assert len(events) == 1


def test_one_that_is_down_holds_no_other_up(tmp_path, monkeypatch):
    down, up = Fake(), Fake()
    down.fails_at, down.fault = "run_1", ServerUnreachable("It is down.")
    install(monkeypatch, down=down, up=up)
    workspace, events = workspace_of(tmp_path, integrations="down: http://a, up: http://b")
    put_run(workspace, 1)
    observe(workspace)
    assert up.ids == ["run_1", "version_1", "decision_1"]
    assert len(events) == 1


def test_one_that_failed_is_left_alone_for_a_pause(tmp_path, fake):
    workspace, events = workspace_of(tmp_path)
    put_run(workspace, 1)
    fake.fails_at, fake.fault = "run_1", ServerUnreachable("It is down.")
    minute = timedelta(minutes=1)
    for seconds, attempts in ((0, 1), (30, 1), (29, 1), (1, 2)):
        workspace.clock.sleep(seconds)
        observe(workspace, pause=minute)
        assert len(fake.made) == attempts
    fake.fails_at = None
    observe(workspace)
    assert fake.ids == ["run_1", "version_1", "decision_1"]
    put_run(workspace, 2)
    observe(workspace, pause=minute)
    assert "run_2" in fake.ids
    assert len(events) == 2


def test_an_unknown_name_is_refused_with_what_is_installed(tmp_path, fake):
    workspace, _ = workspace_of(tmp_path, integrations="fkae: http://there")
    with pytest.raises(UsageFault, match="No integration 'fkae' is installed; installed are fake") as caught:
        observe(workspace)
    assert caught.value.hint == "did you mean 'fake'?"
    assert caught.value.place == "integrations.fkae"


def test_ours_are_installed():
    spec = parse(FILE.format(integrations="mlflow: http://127.0.0.1:5000"))
    assert isinstance(require_observers(spec)["mlflow"], EntryPoint)


def test_a_part_that_cannot_be_loaded_is_a_notice(tmp_path, monkeypatch):
    point = EntryPoint("broken", "no_such_module:Thing", observing.GROUP)
    monkeypatch.setattr(observing, "entry_points", lambda group: [point])
    workspace, events = workspace_of(tmp_path, integrations="broken: http://there")
    put_run(workspace, 1)
    observe(workspace)
    assert "ModuleNotFoundError" in events[0].message


def test_secrets_stay_secret(tmp_path, fake, monkeypatch):
    monkeypatch.setenv("PLACE", "https://me%40here:p%20ss-word@there.example/hidden-path?key=deep-secret")
    workspace, events = workspace_of(tmp_path, integrations="fake: env:PLACE")
    put_run(workspace, 1)
    told = "no: https://me%40here:p%20ss-word@there.example/hidden-path p ss-word deep-secret me@here"
    fake.fails_at, fake.fault = "run_1", RuntimeError(told)
    observe(workspace)
    everything = json.dumps([event.message for event in events]) + json.dumps(
        workspace.record.state("flights", "observed:fake")
    )
    for secret in ("p%20ss-word", "p ss-word", "hidden-path", "deep-secret", "me%40here", "me@here"):
        assert secret not in everything
    assert fake.made[0].startswith("https://me")


def test_a_secret_that_is_not_set_is_a_notice(tmp_path, fake, monkeypatch):
    monkeypatch.delenv("PLACE", raising=False)
    workspace, events = workspace_of(tmp_path, integrations="fake: env:PLACE")
    put_run(workspace, 1)
    observe(workspace)
    assert "The environment variable PLACE is not set." in events[0].message
    assert events[0].facts["hint"] == "export PLACE=..."


def test_two_processes_do_not_tell_the_same_observer_at_once(tmp_path, fake):
    workspace, _ = workspace_of(tmp_path)
    put_run(workspace, 1)
    with workspace.sole("observed-fake"):
        observe(workspace)
    assert fake.told == []
    observe(workspace)
    assert len(fake.told) == 3


def test_one_that_was_overtaken_stops_quietly(tmp_path, fake, monkeypatch):
    """Another machine with the same record writes the cursor between reading and writing it here."""
    workspace, events = workspace_of(tmp_path)
    put_run(workspace, 1)
    ahead = {"runs": ["run_1"], "decisions": [], "version": 0, "generation": 0, "failed_at": None}
    take = Fake.run_finished

    def overtaken(self, run, steps):
        take(self, run, steps)
        workspace.record.set_state("flights", "observed:fake", ahead)

    monkeypatch.setattr(Fake, "run_finished", overtaken)
    observe(workspace)
    assert (fake.ids, events) == (["run_1"], [])
    observe(workspace)
    assert fake.ids == ["run_1", "version_1", "decision_1"]


def test_a_cursor_survives_the_record(tmp_path, fake):
    workspace, _ = workspace_of(tmp_path, record=open_record(f"sqlite:///{tmp_path}/record.db"))
    put_run(workspace, 1)
    deploy(workspace, 1, "version_1")
    observe(workspace)
    cursor = Cursor.of(workspace.record.state("flights", "observed:fake"))
    assert cursor == Cursor(("run_1",), ("decision_1",), 1, 1)
    assert Cursor.of(None) == Cursor()
    workspace.close()


KILLED = """
import os, sys
sys.path.insert(0, {tests!r})
from test_loop_observing import Fake, open_record, workspace_of
from everloop.loop import observing
from pathlib import Path

place, at, during = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "during"

class Dying(Fake):
    def _take(self, kind, row, *more):
        if row.id == at and not during:
            os._exit(9)
        with (place / "told.txt").open("a") as file:
            file.write(row.id + "\\n")
        if row.id == at:
            os._exit(9)

class Point:
    name = "fake"
    load = staticmethod(lambda: lambda address: Dying())

observing.entry_points = lambda group: [Point]
workspace, _ = workspace_of(place, record=open_record(f"sqlite:///{{place}}/record.db"))
observing.observe(workspace)
"""


@pytest.mark.parametrize("at", ["run_1", "version_2", "deployment_1"])
@pytest.mark.parametrize("when", ["before", "during"])
def test_a_killed_process_is_caught_up(tmp_path, at, when):
    """Killed before a call: told once. Killed in it: told once more, and nothing else is."""
    workspace, _ = workspace_of(tmp_path, record=open_record(f"sqlite:///{tmp_path}/record.db"))
    put_run(workspace, 1)
    put_run(workspace, 2)
    deploy(workspace, 1, "version_2")
    workspace.close()
    script = textwrap.dedent(KILLED.format(tests=os.path.dirname(__file__)))  # noqa: PTH120
    statuses = [
        subprocess.run([sys.executable, "-c", script, str(tmp_path), dies_at, when], check=False).returncode
        for dies_at in (at, "nowhere")
    ]
    assert statuses == [9, 0]
    told = (tmp_path / "told.txt").read_text().split()
    assert len(set(told)) == 7
    assert sorted(told) == sorted([*set(told), *([at] if when == "during" else [])])
