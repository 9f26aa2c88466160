"""A Kafka topic followed into the online store: filled, followed, stopped, gone on with, nothing doubled."""
# ruff: noqa: D103, INP001, S101

import json
import time
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from everloop.data.materializing import materialize
from everloop.data.sources import Surroundings
from everloop.loop.following import Following, followed_sources
from everloop.loop.workspace import Workspace
from everloop.runtime.features import FeatureReader, open_store
from everloop.spec import load
from everloop.testing.kafka import KafkaBroker

NOW = datetime.now(UTC)
FILE = """
name: loans
goal: {{today: {{always: "no"}}}}
problem: {{target: bad, time: asked_at, entity: customer}}
data:
  sources:
    loans: {{file: loans.csv}}
    payments: {{kafka: payments, servers: "{servers}", time: at}}
  table: select * from loans
  features:
    paid: {{from: payments, by: customer, over: 90d, value: sum(amount)}}
    count: {{from: payments, by: customer, over: 90d, value: count(*)}}
"""


@pytest.fixture
def broker():
    with KafkaBroker() as started:
        admin = AdminClient({"bootstrap.servers": started.address})
        admin.create_topics([NewTopic("payments", 2, 1)])["payments"].result()
        yield started


def send(broker, numbers):
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5})
    for number in numbers:
        at = (NOW - timedelta(minutes=number)).isoformat()
        producer.produce(
            "payments", json.dumps({"customer": number % 3, "amount": number, "at": at}).encode()
        )
    producer.produce("payments", b"no json")
    assert producer.flush(20) == 0


def seen(workspace, count):
    """Waits until so many events are there; gives the sums."""
    at = int(NOW.timestamp() * 1e6) + 1
    with open_store(workspace.online_address) as store:
        from everloop.runtime.features.kept import kept_definitions

        reader = FeatureReader(kept_definitions(store).features, store)
        end = time.perf_counter() + 20
        while time.perf_counter() < end:
            found = [reader.read({"customer": who}, at) for who in range(3)]
            if sum(one["count"] for one in found) >= count:
                break
            time.sleep(0.1)
        assert sum(one["count"] for one in found) == count
        return [one["paid"] for one in found]


def test_a_topic_is_followed_from_where_it_was_read_to(broker, tmp_path):
    (tmp_path / "everloop.yaml").write_text(FILE.format(servers=broker.address))
    send(broker, range(60))
    told = []
    with Workspace.open(load(tmp_path / "everloop.yaml"), progress=told.append) as workspace:
        assert followed_sources(workspace) == ("payments",)
        around = Surroundings(folder=tmp_path, kept=workspace.kept_folder)
        with open_store(workspace.online_address) as store:
            filled = materialize(workspace.spec.data, workspace.spec.problem, around, store)
        assert filled.events == {"payments": 60}
        for last in (120, 180):  # stopped in between; what came meanwhile is taken after
            send(broker, range(last - 60, last))
            following = Following(workspace, ("payments",))
            following.start()
            sums = seen(workspace, last)
            following.stop()
            assert following.taken == {"payments": 60}
            assert sums == [float(sum(range(who, last, 3))) for who in range(3)]
        # What was followed stands once when the source is read again.
        with open_store(workspace.online_address) as store:
            materialize(workspace.spec.data, workspace.spec.problem, around, store)
        assert seen(workspace, 180) == sums
    assert any("no JSON" in event.message for event in told)
