"""Kafka topics as sources, by a real broker: the suites of all sources, Avro, flaws, a broker that dies."""
# ruff: noqa: ARG002, D102, D103, INP001, RUF012, S101, SLF001

import io
import json
import struct
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import fastavro
import polars as pl
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreadable
from everloop.core.values import to_jsonable
from everloop.data.sources import Surroundings, open_source, source_class
from everloop.spec import KafkaSource
from everloop.testing.incremental_source_suite import IncrementalSourceSuite
from everloop.testing.kafka import KafkaBroker

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
NAMES = count()
AVRO = {
    "type": "record",
    "name": "Row",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "amount", "type": ["null", "double"]},
        {"name": "note", "type": ["null", "string"]},
        {"name": "paid", "type": ["null", "boolean"]},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
    ],
}


@pytest.fixture(scope="module")
def broker():
    with KafkaBroker() as started:
        yield started


@pytest.fixture(scope="module")
def registry():
    with schema_registry({1: AVRO}) as started:
        yield started


@contextmanager
def schema_registry(schemas):
    """A registry of schemas, as far as readers ask it."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = self.server.answers.get(self.path)
            body = json.dumps(answer or {"error_code": 40403}).encode()
            self.server.asked.append((self.path, self.headers.get("authorization")))
            self.send_response(200 if answer else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.asked = []
    server.answers = {f"/schemas/ids/{n}": {"schema": json.dumps(s)} for n, s in schemas.items()}
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_topic(broker, partitions=1):
    name = f"topic-{next(NAMES)}"
    admin = AdminClient({"bootstrap.servers": broker.address})
    for made in admin.create_topics([NewTopic(name, partitions, 1)]).values():
        made.result()
    return name


def send(broker, topic, messages, **where):
    producer = Producer({"bootstrap.servers": broker.address, "linger.ms": 5})
    for message in messages:
        producer.produce(topic, message, **where)
        producer.poll(0)
    assert producer.flush(20) == 0


def as_json(table):
    return [json.dumps(to_jsonable(row)).encode() for row in table.to_dicts()]


def as_avro(row, schema=AVRO, number=1):
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(schema), row)
    return struct.pack(">bI", 0, number) + body.getvalue()


class KafkaSuite(IncrementalSourceSuite):
    """What both forms of messages share."""

    kind = "kafka"
    exact = True
    waits = True

    @pytest.fixture(autouse=True)
    def _servers(self, broker, registry):
        self.broker, self.registry = broker, registry
        self.topics = {}
        yield
        if broker._process is None:
            broker.start()

    def offer(self, table, folder):
        # A topic of the same name: what it holds is what the second offer is compared by.
        topic = self.topics.get(str(folder)) or make_topic(self.broker)
        if str(folder) in self.topics:
            admin = AdminClient({"bootstrap.servers": self.broker.address})
            for gone in admin.delete_topics([topic]).values():
                gone.result()
            for made in admin.create_topics([NewTopic(topic, 1, 1)]).values():
                made.result()
        self.topics[str(folder)] = topic
        self.append(table, folder)
        return self.spec(topic)

    offer_incremental = offer

    def append(self, table, folder):
        send(self.broker, self.topics[str(folder)], self.messages(table))

    def withdraw(self, folder):
        self.broker.stop()

    def restore(self, folder):
        # Tansu keeps topics in memory: the rows are sent again.
        self.broker.start()
        admin = AdminClient({"bootstrap.servers": self.broker.address})
        for made in admin.create_topics([NewTopic(self.topics[str(folder)], 1, 1)]).values():
            made.result()
        from everloop.testing.source_suite import example_table

        self.append(example_table(), folder)


class TestJsonMessages(KafkaSuite):
    """Topics of JSON."""

    loose = {"at": "JSON has no times"}

    def spec(self, topic):
        return KafkaSource(kafka=topic, servers=self.broker.address)

    def messages(self, table):
        return as_json(table)


class TestAvroMessages(KafkaSuite):
    """Topics of Avro, with a schema registry."""

    def spec(self, topic):
        return KafkaSource(
            kafka=topic, servers=self.broker.address, format="avro", registry=self.registry.url
        )

    def messages(self, table):
        return [as_avro(row) for row in table.to_dicts()]


def opened(spec, tmp_path, **around):
    return open_source("kafka", spec, Surroundings(folder=tmp_path, clock=SimulatedClock(NOON), **around))


def table_of(reading):
    return pl.concat([pl.read_parquet(file) for file in reading.files])


def test_every_partition_is_read_to_its_end(broker, tmp_path):
    topic = make_topic(broker, partitions=3)
    for number in range(300):
        send(broker, topic, [b'{"n": %d}' % number], partition=number % 2)  # the third stays empty
    spec = KafkaSource(
        kafka=topic, servers=broker.address, envelope={"part": "partition", "sent": "timestamp"}
    )
    reading = opened(spec, tmp_path, kept=tmp_path / "kept").read(tmp_path / "scratch")
    table = table_of(reading)
    assert sorted(table["n"].to_list()) == list(range(300))
    assert (table["n"] % 2).to_list() == table["part"].to_list()
    assert reading.fingerprint["position"] == {"offsets": {"0": 150, "1": 150, "2": 0}}


def test_a_reading_ends_at_its_limit_and_the_next_goes_on(broker, tmp_path):
    topic = make_topic(broker)
    send(broker, topic, [b'{"n": %d}' % number for number in range(100)])
    spec = KafkaSource(kafka=topic, servers=broker.address, limit={"messages": 30})
    for number, expected in enumerate((30, 60, 90, 100, 100)):
        reading = opened(spec, tmp_path, kept=tmp_path / "kept").read(tmp_path / f"s{number}")
        assert table_of(reading)["n"].to_list() == list(range(expected))


def test_what_comes_while_it_is_read_waits_for_the_next_reading(broker, tmp_path):
    topic = make_topic(broker)
    send(broker, topic, [b'{"n": %d}' % number for number in range(50_000)])
    source = source_class("kafka")(KafkaSource(kafka=topic, servers=broker.address), Surroundings())
    reading = source.read_after(None, tmp_path)
    first = next(reading)
    send(broker, topic, [b'{"n": -1}'])
    last = [first, *reading][-1]
    assert last.position == {"offsets": {"0": 50_000}}
    (after,) = source.read_after(last.position, tmp_path / "after")
    assert pl.read_parquet(after.files[0])["n"].to_list() == [-1]


def test_nothing_is_committed_and_no_group_is_joined(broker, tmp_path):
    topic = make_topic(broker)
    send(broker, topic, [b'{"n": 1}'])
    opened(KafkaSource(kafka=topic, servers=broker.address), tmp_path).read(tmp_path / "scratch")
    assert AdminClient({"bootstrap.servers": broker.address}).list_consumer_groups().result().valid == []


def test_a_topic_that_was_made_anew_is_told_from_the_old_one(broker, tmp_path):
    topic = make_topic(broker)
    send(broker, topic, [b'{"n": %d}' % number for number in range(10)])
    spec = KafkaSource(kafka=topic, servers=broker.address)
    source = source_class("kafka")(spec, Surroundings())
    with pytest.raises(SourceUnreadable, match=r"Partition 0 .* ends before offset 99"):
        list(source.read_after({"offsets": {"0": 99}}, tmp_path))


def test_a_stream_is_followed(broker):
    topic = make_topic(broker)
    send(broker, topic, [b'{"n": 0}'])
    source = source_class("kafka")(KafkaSource(kafka=topic, servers=broker.address), Surroundings())
    following = source.follow(None)
    seen, position = [], None
    for number in range(1, 4):
        while len(seen) < number:
            batch = next(following)
            seen += [row["n"] for row in batch.rows]
            position = batch.position
        send(broker, topic, [b'{"n": %d}' % number])
    following.close()
    later = source.follow(position)
    assert next(batch for batch in later if batch.rows).rows == [{"n": 3}]
    later.close()


def test_avro_of_several_schemas_and_references(broker, tmp_path):
    money = {"type": "record", "name": "shop.Money", "fields": [{"name": "cents", "type": "long"}]}
    fields = [{"name": "id", "type": "long"}, {"name": "price", "type": "shop.Money"}]
    order = {"type": "record", "name": "shop.Order", "fields": fields}
    topic = make_topic(broker)
    with schema_registry({1: AVRO, 2: order}) as registry:
        registry.answers["/schemas/ids/2"]["references"] = [
            {"name": "shop.Money", "subject": "shop.Money", "version": 3}
        ]
        registry.answers["/subjects/shop.Money/versions/3"] = {"schema": json.dumps(money)}
        whole = {**order, "fields": [fields[0], {"name": "price", "type": money}]}
        row = {"id": 1, "amount": None, "note": "a", "paid": True, "at": NOON}
        send(broker, topic, [as_avro(row), as_avro({"id": 2, "price": {"cents": 5}}, whole, 2)] * 3)
        spec = KafkaSource(kafka=topic, servers=broker.address, format="avro", registry=registry.url)
        table = table_of(opened(spec, tmp_path).read(tmp_path / "scratch"))
        assert [path for path, _ in registry.asked] == [
            "/schemas/ids/1",
            "/schemas/ids/2",
            "/subjects/shop.Money/versions/3",
        ]
    assert table["id"].to_list() == [1, 2] * 3
    assert table["at"].to_list() == [NOON, None] * 3
    assert table["price"].to_list() == [None, '{"cents": 5}'] * 3


def test_a_registry_asks_for_a_password_that_is_never_shown(broker, tmp_path, monkeypatch):
    topic = make_topic(broker)
    send(broker, topic, [as_avro({"id": 1, "amount": None, "note": "a", "paid": True, "at": NOON})])
    with schema_registry({1: AVRO}) as registry:
        monkeypatch.setenv("REGISTRY", registry.url.replace("//", "//me:hunter2@"))
        spec = KafkaSource(kafka=topic, servers=broker.address, format="avro", registry="env:REGISTRY")
        source = opened(spec, tmp_path)
        source.read(tmp_path / "scratch")
        assert registry.asked[0][1].startswith("Basic ")
    with pytest.raises(Exception, match="does not answer") as caught:
        source.read(tmp_path / "again")
    assert "hunter2" not in f"{caught.value} {source!r} {caught.value.__cause__}"


def test_a_message_that_is_no_json_is_named_and_kept_aside_and_nothing_else_is_lost(broker, tmp_path):
    topic = make_topic(broker, partitions=2)
    flawed = [b"{half", b"\xff\xfe", b"[1]", b"", b'{"n": 99999999999999999999}', b'{"n": 1, "N": 2}']
    send(broker, topic, [b'{"n": %d}' % number for number in range(150)], partition=1)
    send(broker, topic, flawed, partition=1)
    send(
        broker, topic, [b'{"n": %d, "deep": {"a": [1]}}' % number for number in range(150, 300)], partition=1
    )
    spec = KafkaSource(kafka=topic, servers=broker.address)
    source = opened(spec, tmp_path, kept=tmp_path / "kept")
    for name in ("one", "two"):  # what was kept aside stays so
        reading = source.read(tmp_path / name)
        table = table_of(reading)
        assert table["n"].to_list() == list(range(300))
        assert table["deep"].to_list() == [None] * 150 + ['{"a": [1]}'] * 150
        aside = pl.read_parquet(reading.bad_rows)
        assert aside["file"].unique().to_list() == [f"{topic}, partition 1"]
        assert aside["line"].to_list() == list(range(150, 156))
        assert aside["text"][0] == "{half"
        assert all(aside["reason"].to_list())
    strict = KafkaSource(kafka=topic, servers=broker.address, bad_rows="refuse")
    with pytest.raises(SourceUnreadable, match="partition 1, offset 150: no JSON"):
        opened(strict, tmp_path).read(tmp_path / "strict")
    few = KafkaSource(kafka=topic, servers=broker.address, most_bad_rows=0.01)
    with pytest.raises(SourceUnreadable, match="6 of 306 rows cannot be read"):
        opened(few, tmp_path).read(tmp_path / "few")


def test_avro_that_is_none_is_named(broker, registry, tmp_path):
    topic = make_topic(broker)
    good = as_avro({"id": 1, "amount": None, "note": "a", "paid": True, "at": NOON})
    send(broker, topic, [good, b"{}", good[:7], good + b"x", struct.pack(">bI", 0, 77) + b"x", b"\x00"])
    spec = KafkaSource(
        kafka=topic, servers=broker.address, format="avro", registry=registry.url, most_bad_rows=0.9
    )
    reading = opened(spec, tmp_path).read(tmp_path / "scratch")
    assert table_of(reading)["id"].to_list() == [1]
    aside = pl.read_parquet(reading.bad_rows)
    assert aside["line"].to_list() == [1, 2, 3, 4, 5]
    assert "schema 77 is not in the registry" in aside["reason"][3]
