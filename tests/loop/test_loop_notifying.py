"""What receivers are told over time: each alert once, whatever happens to a receiver in between."""

import json
from datetime import timedelta

import pytest

from everloop.core.errors import OutsideFault
from everloop.core.ids import new_id
from everloop.loop.notifying import LONGEST_PAUSE, silence_of, tell
from everloop.monitor.alerts import registry
from everloop.record.rows import AlertRow


class Down:
    """A receiver that may be away."""

    grouped = True

    def __init__(self):
        self.away, self.messages, self.asked = False, [], 0

    def send(self, alerts):
        self.asked += 1
        if self.away:
            raise OutsideFault("nobody answers")
        self.messages.append([alert["message"] for alert in alerts])


@pytest.fixture
def receiver(monkeypatch):
    made = Down()
    monkeypatch.setitem(registry.RECEIVERS, "file", lambda target, folder, clock: made)
    return made


@pytest.fixture
def notices(workspace):
    heard = []
    object.__setattr__(workspace, "progress", lambda event: heard.append(event.message))
    return heard


def alert(workspace, message):
    now = workspace.clock.now()
    row = AlertRow(new_id("alert", now), workspace.name, now, kind="drift", message=message)
    workspace.record.add(row)


def keys_of(workspace):
    """Gives the key under which the one receiver's state is kept."""
    from everloop.core.digest import digest_value

    return [
        f"told:{digest_value(target.model_dump(mode='json'))}" for target in workspace.spec.monitor.alerts
    ]


def later(workspace, **span):
    workspace.clock.advance_to(workspace.clock.now() + timedelta(**span))
    tell(workspace, workspace.clock.now())


def test_each_alert_is_told_once(workspace, receiver):
    alert(workspace, "a")
    tell(workspace, workspace.clock.now())
    later(workspace, seconds=1)
    alert(workspace, "b")
    alert(workspace, "c")
    later(workspace, seconds=1)
    later(workspace, seconds=1)
    assert [sorted(message) for message in receiver.messages] == [["a"], ["b", "c"]]


def test_the_past_is_not_told_to_a_receiver_that_is_new(workspace, receiver):
    alert(workspace, "old")
    later(workspace, days=1)
    alert(workspace, "new")
    later(workspace, seconds=1)
    assert receiver.messages == [["new"]]


def test_of_a_long_past_only_what_is_recent_is_read(workspace, receiver, monkeypatch):
    tell(workspace, workspace.clock.now())
    for number in range(250):
        alert(workspace, f"old {number}")
    later(workspace, seconds=1)
    later(workspace, days=30)
    alert(workspace, "last")
    later(workspace, seconds=1)
    read, find = [], workspace.record.find
    monkeypatch.setattr(
        workspace.record, "find", lambda *kind, **how: read.append(found := find(*kind, **how)) or found
    )
    alert(workspace, "new")
    later(workspace, seconds=1)
    assert sum(map(len, receiver.messages)) == 252
    assert receiver.messages[-1] == ["new"]
    assert sum(map(len, read)) <= 100


def test_a_receiver_that_is_down_for_hours_misses_nothing(workspace, receiver, notices):
    receiver.away = True
    for number in range(3):
        alert(workspace, str(number))
        tell(workspace, workspace.clock.now())
        for _ in range(120):
            later(workspace, seconds=30)
    assert receiver.asked < 20
    assert len([line for line in notices if "did not arrive" in line]) == 1
    receiver.away = False
    later(workspace, seconds=LONGEST_PAUSE.total_seconds())
    assert receiver.messages == [["0", "1", "2"]]
    assert "alerts that waited have arrived: 3" in notices
    later(workspace, hours=5)
    assert len(receiver.messages) == 1


def test_years_of_alerts_are_told_once_in_a_state_that_stays_small(workspace, receiver):
    for number in range(60):
        alert(workspace, str(number))
        receiver.away = number % 7 == 3
        tell(workspace, workspace.clock.now())
        later(workspace, days=1)
    receiver.away = False
    later(workspace, days=9)
    assert sorted(int(text) for message in receiver.messages for text in message) == list(range(60))
    (kept,) = [workspace.record.state(workspace.name, key) for key in keys_of(workspace)]
    assert len(kept["told"]) <= 20


def test_alerts_wait_for_each_other_where_the_file_says_so(workspace, receiver):
    spec = workspace.spec
    target = spec.monitor.alerts[0].model_copy(update={"every": timedelta(hours=1)})
    monitor = spec.monitor.model_copy(update={"alerts": (target,)})
    object.__setattr__(workspace, "spec", spec.model_copy(update={"monitor": monitor}))
    alert(workspace, "a")
    tell(workspace, workspace.clock.now())
    alert(workspace, "b")
    later(workspace, minutes=20)
    alert(workspace, "c")
    later(workspace, minutes=20)
    assert receiver.messages == [["a"]]
    later(workspace, minutes=20)
    assert [sorted(message) for message in receiver.messages] == [["a"], ["b", "c"]]


def test_a_file_has_a_line_for_each(workspace, folder):
    alert(workspace, "a")
    tell(workspace, workspace.clock.now())
    (line,) = (folder / "alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["message"] == "a"


def test_what_is_silenced_is_on_record_and_told_to_nobody(workspace, receiver, folder):
    from everloop.spec import load

    now = workspace.clock.now()
    until = (now + timedelta(days=2)).isoformat()
    text = (folder / "everloop.yaml").read_text()
    silence = f"{{alert: drift, until: '{until}', reason: new page}}"
    (folder / "everloop.yaml").write_text(text.replace("monitor: {", f"monitor: {{silences: [{silence}], "))
    object.__setattr__(workspace, "spec", load(folder))

    def raised(kind):
        at = workspace.clock.now()
        facts = silence_of(workspace, kind, at)
        row = AlertRow(new_id("alert", at), workspace.name, at, kind=kind, message=kind, facts=facts)
        workspace.record.add(row)
        return row

    tell(workspace, now)
    first = raised("drift")
    raised("value")
    later(workspace, days=1)
    assert receiver.messages == [["value"]]
    assert first.said == "drift (silenced: new page)"
    later(workspace, days=2)
    raised("drift")
    later(workspace, seconds=1)
    assert receiver.messages == [["value"], ["drift"]]


def test_a_silence_ends_after_it_begins(folder):
    from everloop.core.errors import SpecFault
    from everloop.spec import load

    text = (folder / "everloop.yaml").read_text()
    wrong = "{alert: drift, since: 2024-02-01, until: 2024-01-01, reason: x}"
    (folder / "everloop.yaml").write_text(text.replace("monitor: {", f"monitor: {{silences: [{wrong}], "))
    with pytest.raises(SpecFault, match="`since` before `until`"):
        load(folder)
