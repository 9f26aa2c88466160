"""MQTT topics as sources, by a real mosquitto: the suites of sources, wildcards, sessions, refusals."""
# ruff: noqa: ARG002, D102, D103, INP001, RUF012, S101, S106, SLF001

import json
import threading
from datetime import UTC, datetime
from itertools import count

import paho.mqtt.client as paho
import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.values import to_jsonable
from everloop.data.sources import Surroundings, open_source, source_class
from everloop.spec import MqttSource
from everloop.testing.mqtt import MqttBroker
from everloop.testing.source_suite import SourceSuite, example_table

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
NAMES = count()


@pytest.fixture(scope="module")
def broker():
    with MqttBroker("max_queued_messages 0", "max_inflight_messages 0") as started:
        yield started


class Sender:
    """A client that sends, and waits until the broker has it."""

    def __init__(self, port):
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, topic, messages, retain=False):
        sent = [self.client.publish(topic, message, qos=1, retain=retain) for message in messages]
        for one in sent:
            one.wait_for_publish(20)


def send(broker, topic, messages, retain=False):
    with Sender(broker.port) as sender:
        sender.send(topic, messages, retain)


def as_json(table):
    return [json.dumps(to_jsonable(row)).encode() for row in table.to_dicts()]


class TestRetainedMessages(SourceSuite):
    """A table as retained messages, a topic for each row: what every reading finds again."""

    kind = "mqtt"
    loose = {"at": "JSON has no times"}
    waits = True

    @pytest.fixture(autouse=True)
    def _broker(self, broker):
        self.broker, self.root, self.rows_there = broker, f"suite/{next(NAMES)}", 0
        yield
        if broker._process is None:
            broker.start()

    def offer(self, table, folder):
        with Sender(self.broker.port) as sender:
            for number in range(self.rows_there):
                sender.client.publish(f"{self.root}/{number}", b"", qos=1, retain=True)
            sent = [
                sender.client.publish(f"{self.root}/{number}", message, qos=1, retain=True)
                for number, message in enumerate(as_json(table))
            ]
            for one in sent:
                one.wait_for_publish(60)
        self.rows_there = table.height
        limit = {"messages": max(1, table.height), "time": "60s" if table.height else "1s"}
        return MqttSource(mqtt=f"{self.root}/+", host="127.0.0.1", port=self.broker.port, limit=limit)

    def withdraw(self, folder):
        self.broker.stop()

    def restore(self, folder):
        self.broker.start()
        self.offer(example_table(), folder)

    def test_many_rows_come_once_each(self, tmp_path):
        # A topic for each row: two thousand are many for a broker that keeps them all.
        found = self.rows(self.open(example_table(2000), tmp_path), tmp_path / "scratch")
        assert found["id"].sort().to_list() == list(range(2000))


def spec_of(broker, topic, **more):
    return MqttSource(**{"mqtt": topic, "host": "127.0.0.1", "port": broker.port, **more})


def opened(spec, tmp_path, **around):
    clock = SimulatedClock(NOON)
    return open_source("mqtt", spec, Surroundings(folder=tmp_path, clock=clock, **around))


def table_of(reading):
    return pl.concat([pl.read_parquet(file) for file in reading.files])


def test_wildcards_give_the_topic_as_a_column(broker, tmp_path):
    for site, kind in (("north", "temp"), ("south", "temp"), ("south", "wind")):
        send(broker, f"site/{site}/{kind}", [b'{"value": 1.5}'], retain=True)
    envelope = {"topic": "topic", "came": "received", "old": "retained"}
    limit = {"messages": 2, "time": "20s"}
    spec = spec_of(broker, "site/+/temp", limit=limit, envelope=envelope)
    table = table_of(opened(spec, tmp_path).read(tmp_path / "scratch")).sort("topic")
    assert table.columns == ["value", "topic", "came", "old"]
    assert table["topic"].to_list() == ["site/north/temp", "site/south/temp"]
    assert table["came"].to_list() == [NOON, NOON]
    assert table["old"].to_list() == [True, True]
    everything = spec_of(broker, "site/#", limit={"messages": 3, "time": "20s"})
    assert table_of(opened(everything, tmp_path).read(tmp_path / "all")).height == 3


def test_a_reading_ends_after_its_time(broker, tmp_path):
    send(broker, "timed/a", [b'{"n": 1}'], retain=True)
    spec = spec_of(broker, "timed/a", limit={"time": "1s"})
    assert table_of(opened(spec, tmp_path).read(tmp_path / "scratch"))["n"].to_list() == [1]
    nothing = opened(spec_of(broker, "nothing/here", limit={"time": "1s"}), tmp_path)
    with pytest.raises(SourceUnreadable, match="no row and no column yet"):
        nothing.read(tmp_path / "none")


def test_what_came_between_two_readings_is_read_by_the_next(broker, tmp_path):
    spec = spec_of(broker, "kept/+", limit={"time": "1s"})
    send(broker, "kept/a", [b'{"n": -1}'], retain=True)
    opened(spec, tmp_path, kept=tmp_path / "kept").fingerprint()
    send(broker, "kept/a", [b'{"n": %d}' % number for number in range(500)])
    reading = opened(spec, tmp_path, kept=tmp_path / "kept").read(tmp_path / "scratch")
    assert sorted(table_of(reading)["n"].to_list()) == [-1, *range(500)]
    assert reading.fingerprint["position"] == {"messages": 501}


def test_what_was_not_kept_comes_again(broker, tmp_path):
    source = source_class("mqtt")(spec_of(broker, "again/a", limit={"time": "1s"}), Surroundings())
    list(source.read_after(None, tmp_path / "one"))
    send(broker, "again/a", [b'{"n": 1}'])
    reading = source.read_after({"messages": 0}, tmp_path / "two")
    next(reading)
    reading.close()  # killed before the increment was kept
    (again,) = source.read_after({"messages": 0}, tmp_path / "three")
    assert pl.read_parquet(again.files[0])["n"].to_list() == [1]
    (after,) = source.read_after({"messages": 1}, tmp_path / "four")
    assert after.files == ()


def test_a_stream_is_followed(broker):
    source = source_class("mqtt")(spec_of(broker, "followed/+"), Surroundings())
    following = source.follow(None)
    assert next(following).rows == []
    send(broker, "followed/a", [b'{"n": 1}', b"no json", b'{"n": 2}'])
    seen, bad = [], []
    while len(seen) < 2:
        batch = next(following)
        seen += [row["n"] for row in batch.rows]
        bad += batch.bad
    following.close()
    assert seen == [1, 2]
    assert [(row.file, row.line, row.text) for row in bad] == [("followed/a", 2, "no json")]


def test_a_message_that_is_no_json_is_named_and_kept_aside(broker, tmp_path):
    for number in range(30):
        send(broker, f"flawed/{number}", [b'{"n": %d}' % number], retain=True)
    send(broker, "flawed/bad", [b"21.5 degrees"], retain=True)
    spec = spec_of(broker, "flawed/+", limit={"messages": 31, "time": "20s"})
    reading = opened(spec, tmp_path).read(tmp_path / "scratch")
    assert sorted(table_of(reading)["n"].to_list()) == list(range(30))
    aside = pl.read_parquet(reading.bad_rows)
    assert aside["file"].to_list() == ["flawed/bad"]
    assert aside["text"].to_list() == ["21.5 degrees"]


def test_a_lost_connection_is_said(tmp_path):
    with MqttBroker() as own:
        source = source_class("mqtt")(spec_of(own, "lost/a", limit={"time": "30s"}), Surroundings())
        stopper = threading.Timer(0.7, own.stop)
        stopper.start()
        with pytest.raises(SourceUnreachable, match=f"127.0.0.1:{own.port} was lost"):
            list(source.read_after(None, tmp_path))
        stopper.join()


def test_a_broker_that_wants_a_password(tmp_path, monkeypatch):
    import subprocess

    passwords = tmp_path / "passwords"
    passwords.touch(mode=0o600)
    subprocess.run(["mosquitto_passwd", "-b", str(passwords), "me", "hunter2"], check=True)  # noqa: S603, S607
    passwords.chmod(0o644)
    tmp_path.chmod(0o755)
    monkeypatch.setenv("MQTT_PASSWORD", "hunter2")
    with MqttBroker(f"password_file {passwords}", "allow_anonymous false", "user root") as own:
        right = spec_of(own, "secret/a", user="me", password="env:MQTT_PASSWORD", limit={"time": "1s"})
        source = opened(right, tmp_path)
        source.fingerprint()
        assert "hunter2" not in f"{source!r}"
        with pytest.raises(SourceUnreadable, match="refuses") as caught:
            opened(spec_of(own, "secret/a", limit={"time": "1s"}), tmp_path).fingerprint()
        assert "hunter2" not in f"{caught.value} {caught.value.hint}"
