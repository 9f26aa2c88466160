"""The prediction log as a topic of a real broker: confirmed, in order, through outages, read by the loop."""
# ruff: noqa: D102, D103, INP001, S101, S311, S603

import json
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from everloop.cli import main
from everloop.core.errors import OutsideFault, RecordBusy
from everloop.loop.collecting import OFFSETS
from everloop.loop.loop import Loop
from everloop.loop.serving import read_ready, ready_path
from everloop.loop.workspace import Workspace
from everloop.record.rows import WindowRow
from everloop.runtime.log import read_log
from everloop.runtime.log.lines import ActualLine, PredictionLine, decode_line
from everloop.runtime.log.outbox import OutboxLog
from everloop.runtime.log.topic_address import TopicAddress
from everloop.runtime.log.topic_log import TopicLog
from everloop.spec import load
from everloop.testing.kafka import KafkaBroker
from everloop.testing.server_process import free_port

TOPIC = "predictions"
FILE = """
name: shop
goal:
  today: {{always: "no"}}
  value: {{currency: EUR, true_positive: 6, false_positive: -3, false_negative: -6, true_negative: 0}}
problem: {{target: bought, positive: "yes", time: asked_at, label_delay: 0d}}
data: {{sources: {{rows: {{file: rows.csv}}}}}}
model: {{learners: [linear], budget: {{trials: 1}}, select_features: false}}
deploy:
  serve: {{port: {port}, durability: fsync}}
  log: {{to: "kafka://{servers}/predictions", outage: {outage}, options: {{client.id: env:CLIENT}}}}
monitor: {{window: {{predictions: 40}}, retrain: {{on: []}}}}
"""


@pytest.fixture
def broker():
    with KafkaBroker() as started:
        admin = AdminClient({"bootstrap.servers": started.address})
        admin.create_topics([NewTopic(TOPIC, 3, 1)])[TOPIC].result()
        yield started
        started.resume()


def line(number):
    return PredictionLine(f"p{number}", number, 7, "champion", {"amount": float(number)}, 0.5, "yes", 100)


def address_of(broker):
    return TopicAddress.parse(f"kafka://{broker.address}/{TOPIC}")


def in_topic(broker, count, seconds=20):
    """The lines of the topic, partition by partition, once there are so many."""
    consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "judge"})
    consumer.assign([TopicPartition(TOPIC, number, OFFSET_BEGINNING) for number in range(3)])
    found = {}
    end = time.perf_counter() + seconds
    while sum(map(len, found.values())) < count and time.perf_counter() < end:
        for message in consumer.consume(1000, timeout=0.2):
            assert message.error() is None
            found.setdefault(message.partition(), []).append(decode_line(message.value()))
    consumer.close()
    return found


def eventually(check, seconds=20.0):
    end = time.perf_counter() + seconds
    while not (found := check()):
        assert time.perf_counter() < end, "it did not come about in time"
        time.sleep(0.05)
    return found


def test_lines_are_confirmed_and_in_the_order_of_their_worker(broker, tmp_path):
    logs = [TopicLog(address_of(broker), tmp_path, worker) for worker in ("a", "b")]
    with pytest.raises(RecordBusy):
        TopicLog(address_of(broker), tmp_path, "a")
    for number in range(2000):
        place = logs[number % 2].append(line(number))
    logs[1].durable(place).result(10)
    assert logs[1].state["lines_durable"] == 1000
    for log in logs:
        log.append(ActualLine("p1", "yes", 5))
        log.close()
        with pytest.raises(OutsideFault, match="closed"):
            log.append(line(0))
    found = in_topic(broker, 2002)
    assert sum(map(len, found.values())) == 2002
    for lines in found.values():
        for parity in (0, 1):
            times = [one.time for one in lines if isinstance(one, PredictionLine) and one.time % 2 == parity]
            assert times == sorted(times)


def test_an_outage_is_refused_and_what_was_taken_arrives_once_in_order(broker, tmp_path):
    log = TopicLog(address_of(broker), tmp_path, patience=2.0)
    log.durable(log.append(line(0))).result(10)
    broker.pause()
    taken = [log.append(line(number)) for number in range(1, 50)]
    waiting = log.durable(taken[-1])
    with pytest.raises(OutsideFault, match="do not confirm"):
        waiting.result(10)
    assert log.fault is not None
    with pytest.raises(OutsideFault, match="do not confirm"):
        log.append(line(99))
    broker.resume()
    eventually(lambda: log.fault is None)
    log.durable(log.append(line(50))).result(10)
    log.close()
    (lines,) = in_topic(broker, 51).values()
    assert [one.time for one in lines] == list(range(51))


def test_lines_wait_on_the_disk_through_an_outage_within_a_limit(broker, tmp_path):
    log = OutboxLog(address_of(broker), tmp_path, durability="fsync", most_bytes=100_000)
    broker.pause()
    log.durable(log.append(line(0))).result(10)
    number = 1
    while log.fault is None:
        log.append(line(number))
        number += 1
        if number % 200 == 0:
            time.sleep(0.06)
    with pytest.raises(OutsideFault, match="wait for the topic"):
        log.append(line(number))
    assert 1000 < number < 20_000
    broker.resume()
    eventually(lambda: log.fault is None)
    log.append(line(number))
    log.close()
    (lines,) = in_topic(broker, number + 1).values()
    assert [one.time for one in lines] == list(range(number + 1))
    assert log.state["bytes_waiting_for_topic"] == 0


def test_an_outbox_goes_on_where_the_last_process_was_killed(broker, tmp_path):
    code = f"""
import sys, time
from pathlib import Path
from everloop.runtime.log.lines import PredictionLine
from everloop.runtime.log.outbox import OutboxLog
from everloop.runtime.log.topic_address import TopicAddress
address = TopicAddress.parse("kafka://{broker.address}/{TOPIC}")
log = OutboxLog(address, Path({str(tmp_path)!r}), durability="fsync")
for number in range(int(sys.argv[1]), 10**6):
    line = PredictionLine(f"p{{number}}", number, 7, "champion", {{}}, 0.5, "yes", 1)
    log.durable(log.append(line)).result(10)
    print(number, flush=True)
"""
    acknowledged = -1
    for turn in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", code, str(acknowledged + 1)], stdout=subprocess.PIPE, text=True
        )
        for _ in range(40):
            acknowledged = int(process.stdout.readline())
        if turn == 1:
            broker.pause()
            acknowledged = int(process.stdout.readline())
        process.kill()
        acknowledged = max([acknowledged, *(int(one) for one in process.stdout.read().split())])
        process.wait()
        process.stdout.close()
        broker.resume()
    OutboxLog(address_of(broker), tmp_path).close()
    (lines,) = in_topic(broker, acknowledged + 1).values()
    first = list(dict.fromkeys(one.time for one in lines))
    assert first[: acknowledged + 1] == list(range(acknowledged + 1))


# Through the front door -----------------------------------------------------------------------------------


@pytest.fixture
def make_lifecycle(broker, tmp_path, monkeypatch):
    """Writes a lifecycle whose log is the topic, and releases its first version."""

    def make(outage):
        monkeypatch.setenv("CLIENT", "everloop-test")
        monkeypatch.chdir(tmp_path)
        chance = random.Random(0)
        lines = ["asked_at,visits,bought"]
        for place in range(400):
            visits = chance.gauss(0, 1)
            at = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=place)
            lines.append(f"{at.isoformat()},{visits},{'yes' if visits + chance.gauss(0, 0.3) > 0 else 'no'}")
        (tmp_path / "rows.csv").write_text("\n".join(lines))
        text = FILE.format(servers=broker.address, port=free_port(), outage=outage)
        (tmp_path / "everloop.yaml").write_text(text)
        assert main(["run"]) == 0
        return tmp_path

    return make


@pytest.fixture
def serve():
    """Starts servers; each is stopped at the end."""
    started = []

    def start(folder):
        started.append(Serving(folder))
        started[-1].wait()
        return started[-1]

    yield start
    for server in started:
        server.process.kill()
        server.process.wait()


class Serving:
    """`everloop serve` as a process of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.process = subprocess.Popen([sys.executable, "-m", "everloop.cli", "serve"], cwd=folder)

    def wait(self):
        self.url = str(eventually(lambda: read_ready(ready_path(self.folder / ".everloop")), 180)["url"])

    def ask(self, path, body):
        request = urllib.request.Request(  # noqa: S310
            self.url + path, json.dumps(body).encode(), {"content-type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def predict(self, number):
        row = {"asked_at": "2024-03-01T00:00:00Z", "visits": (number - 20) / 20}
        return self.ask("/predict", {"row": row, "id": f"p{number}"})[0]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0


def test_the_loop_reads_its_windows_from_the_topic(make_lifecycle, broker, serve):
    folder = make_lifecycle("refuse")
    serving = serve(folder)
    for number in range(50):
        assert serving.predict(number) == 200
        assert (
            serving.ask("/feedback", {"id": f"p{number}", "actual": "yes" if number > 20 else "no"})[0] == 200
        )
    broker.pause()
    refused, problem = serving.ask("/predict", {"asked_at": "2024-03-01T00:00:00Z", "visits": 1.0})
    assert (refused, problem["status"]) == (503, 503)
    broker.resume()
    eventually(lambda: serving.predict(50) == 200)
    serving.stop()
    assert not list((folder / ".everloop" / "log").glob("*.seg")), "nothing is written beside the server"

    with Workspace.open(load(folder / "everloop.yaml")) as workspace:
        Loop(workspace).tick()
        (window,) = workspace.record.find(WindowRow)
        assert (window.predictions, window.actuals) == (40, 40)
        offsets = workspace.record.state("shop", OFFSETS)
        assert sum(offsets.values()) == sum(map(len, in_topic(broker, 101).values()))
        assert workspace.collecting.fetch() == 0
        # A loop that was killed between the lines and their offsets reads them again, once.
        workspace.record.set_state("shop", OFFSETS, {})
        assert workspace.collecting.fetch() >= 101
        log = read_log(workspace.log_folder)
    asked = set(log.predictions["id"])
    assert {f"p{number}" for number in range(51)} <= asked
    assert log.predictions.height == len(asked)
    assert log.actuals.height == 50


def test_answers_go_on_through_an_outage_where_lines_wait_on_the_disk(make_lifecycle, broker, serve):
    folder = make_lifecycle("disk")
    serving = serve(folder)
    assert serving.predict(0) == 200
    broker.pause()
    assert [serving.predict(number) for number in range(1, 30)] == [200] * 29
    broker.resume()
    eventually(lambda: sum(map(len, in_topic(broker, 30).values())) >= 30)
    serving.stop()
    (lines,) = in_topic(broker, 30).values()
    assert [one.id for one in lines] == [f"p{number}" for number in range(30)]
    assert list((folder / ".everloop" / "log" / "outbox").glob("*.seg"))


def test_a_topic_that_others_write_to_is_told_of(make_lifecycle, broker, capsys):
    folder = make_lifecycle("refuse")
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce(TOPIC, b"no line")
    producer.flush(10)
    capsys.readouterr()
    assert main(["monitor", "--file", str(folder / "everloop.yaml")]) == 2
    assert "is no line of a prediction log" in capsys.readouterr().err
