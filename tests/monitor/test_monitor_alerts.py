import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, UsageFault
from everloop.monitor.alerts import FileReceiver, Receiver, WebhookReceiver, receiver_for
from everloop.spec.monitor import MonitorSpec

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ALERT = {"id": "alert_1", "message": "höhe moved", "at": NOW, "distance": float("nan")}


class Server:
    """A real receiver on loopback that answers with the given statuses, then with 200."""

    def __init__(self, *statuses):
        self.statuses, self.bodies = list(statuses), []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = outer.statuses.pop(0) if outer.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_port}/secret-path"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def test_a_webhook_gets_the_alert():
    with Server() as server:
        receiver = WebhookReceiver(server.address, SimulatedClock(NOW))
        assert isinstance(receiver, Receiver)
        receiver.send(ALERT)
    assert server.bodies == [
        {"id": "alert_1", "message": "höhe moved", "at": "2024-01-01T00:00:00Z", "distance": None}
    ]


def test_a_webhook_that_is_down_is_tried_again_with_longer_waits():
    clock = SimulatedClock(NOW)
    with Server(503, 500, 429) as server:
        WebhookReceiver(server.address, clock).send(ALERT)
    assert len(server.bodies) == 4
    assert (clock.now() - NOW).total_seconds() == 0.5 + 1 + 2


@pytest.mark.parametrize(("statuses", "tries"), [((404,), 1), ((302,), 1), ((500,) * 9, 4)])
def test_a_webhook_that_refuses_is_said_without_its_secret(statuses, tries):
    with Server(*statuses) as server, pytest.raises(OutsideFault, match=f"status {statuses[0]}") as fault:
        WebhookReceiver(server.address, SimulatedClock(NOW)).send(ALERT)
    assert len(server.bodies) == tries
    assert "secret-path" not in fault.value.message
    assert "secret-path" not in repr(WebhookReceiver(server.address, SimulatedClock(NOW)))


def test_a_webhook_where_nobody_listens():
    with Server() as server:
        address = server.address
    with pytest.raises(OutsideFault, match="in 4 tries"):
        WebhookReceiver(address, SimulatedClock(NOW)).send(ALERT)
    with pytest.raises(UsageFault, match="no http"):
        WebhookReceiver("file:///etc/passwd", SimulatedClock(NOW))


def test_a_file_gets_a_line_for_each_alert(tmp_path):
    receiver = FileReceiver(tmp_path / "new" / "alerts.jsonl")
    assert isinstance(receiver, Receiver)
    threads = [threading.Thread(target=receiver.send, args=({"id": str(i)},)) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = receiver.path.read_text().splitlines()
    assert sorted(int(json.loads(line)["id"]) for line in lines) == list(range(20))
    with pytest.raises(OutsideFault, match="cannot be written"):
        FileReceiver(tmp_path).send(ALERT)


def test_receivers_are_made_from_the_lifecycle_file(tmp_path, monkeypatch):
    spec = MonitorSpec.model_validate(
        {
            "alerts": [
                {"file": "alerts.jsonl"},
                {"webhook": "env:ALERT_URL"},
                {"email": "ml@bank.example", "smtp": "env:SMTP"},
            ]
        }
    )
    monkeypatch.setenv("ALERT_URL", "https://receiver.example/x")
    clock = SimulatedClock(NOW)
    file, webhook = (receiver_for(target, folder=tmp_path, clock=clock) for target in spec.alerts[:2])
    assert file == FileReceiver(tmp_path / "alerts.jsonl")
    assert webhook.host == "https://receiver.example"
    with pytest.raises(UsageFault, match="email"):
        receiver_for(spec.alerts[2], folder=tmp_path, clock=clock)
    monkeypatch.delenv("ALERT_URL")
    with pytest.raises(OutsideFault, match="ALERT_URL"):
        receiver_for(spec.alerts[1], folder=tmp_path, clock=clock)
