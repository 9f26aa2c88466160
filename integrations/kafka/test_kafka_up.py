"""`everloop up` follows a topic while it serves: what comes counts in the next answer, and counts once."""
# ruff: noqa: D103, INP001, S101, S311, S603

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from everloop.cli import main
from everloop.testing.kafka import KafkaBroker
from everloop.testing.server_process import free_port

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
  contract: contract.yaml
  features:
    paid: {{from: payments, by: customer, over: 90d, value: sum(amount)}}
    number: {{from: payments, by: customer, over: 90d, value: count(*)}}
model: {{learners: [linear], budget: {{trials: 1}}, select_features: false}}
"""


def send(address, numbers):
    producer = Producer({"bootstrap.servers": address, "linger.ms": 5})
    for number in numbers:
        at = (NOW - timedelta(hours=6 * number)).isoformat()
        event = {"customer": number % 3, "amount": number, "at": at}
        producer.produce("payments", json.dumps(event).encode())
    if numbers.start:  # somebody who was never seen before
        event = {"customer": 7, "amount": 100, "at": NOW.isoformat()}
        producer.produce("payments", json.dumps(event).encode())
    producer.produce("payments", b"no json")
    assert producer.flush(20) == 0


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A broker, and a lifecycle beside it with a version that was released."""
    monkeypatch.chdir(tmp_path)
    chance = random.Random(0)
    lines = ["customer,asked_at,income,bad"]
    for place in range(400):
        income = chance.gauss(40, 9)
        bad = "yes" if income + chance.gauss(0, 6) < 38 else "no"
        at = (NOW - timedelta(hours=400 - place)).isoformat()
        lines.append(f"{chance.choice([0, 1, 2, 7])},{at},{income:.3f},{bad}")
    (tmp_path / "loans.csv").write_text("\n".join(lines))
    with KafkaBroker() as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("payments", 2, 1)])["payments"].result()
        (tmp_path / "everloop.yaml").write_text(FILE.format(servers=broker.address))
        send(broker.address, range(60))
        assert main(["run"]) == 0
        assert main(["features", "materialize"]) == 0
        yield broker.address


def started():
    """Starts `up` on a port of its own, as a server whose parent was killed answers on for a while."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "everloop.cli", "up", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    url, end = f"http://127.0.0.1:{port}", time.perf_counter() + 60
    while time.perf_counter() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health/ready", timeout=1):  # noqa: S310
                return process, url
        except OSError:
            time.sleep(0.1)
    process.kill()
    raise AssertionError(process.communicate()[0])


def stopped(process):
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def answered(url, customer):
    """Asks for a prediction that leaves the features out."""
    row = {"customer": customer, "income": 40.0, "asked_at": datetime.now(UTC).isoformat()}
    request = urllib.request.Request(  # noqa: S310
        f"{url}/predict", json.dumps(row).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        return json.load(answer)


def counted(capsys, number):
    """Waits until the store has so many events; gives the sums for each customer."""
    end = time.perf_counter() + 30
    while time.perf_counter() < end:
        values = []
        for customer in range(3):
            capsys.readouterr()
            assert main(["features", "get", str(customer), "--json"]) == 0
            facts = json.loads(capsys.readouterr().out)["features"]
            values.append({one["feature"]: one["value"] for one in facts})
        if sum(one["number"] for one in values) >= number:
            break
        time.sleep(0.2)
    assert sum(one["number"] for one in values) == number
    return [one["paid"] for one in values]


def test_up_follows_what_comes_and_goes_on_where_it_was(served, capsys):
    for last in (120, 180):
        process, url = started()
        try:
            before = answered(url, 7)
            send(served, range(last - 60, last))
            sums = counted(capsys, last)
            assert sums == [float(sum(range(who, last, 3))) for who in range(3)]
            time.sleep(1)  # the other partition
            assert answered(url, 7)["score"] != before["score"]
        finally:
            said = stopped(process)
        assert "no JSON" in said
        send(served, range(0))  # nothing but what is no JSON, while nobody follows
    process, _ = started()
    try:
        assert counted(capsys, 180) == sums
        send(served, range(180, 183))
        counted(capsys, 183)
        process.kill()  # no word of farewell
        process.communicate()
    finally:
        process.kill()
    process, _ = started()
    try:
        assert counted(capsys, 183) == [float(sum(range(who, 183, 3))) for who in range(3)]
    finally:
        stopped(process)
