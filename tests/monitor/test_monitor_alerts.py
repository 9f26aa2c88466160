import errno
import json
import os
import socket
import threading
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, StorageFull, UsageFault
from everloop.monitor.alerts import RECEIVERS, Receiver, receiver_for
from everloop.monitor.alerts.email import EmailReceiver
from everloop.monitor.alerts.file import FileReceiver
from everloop.monitor.alerts.posting import Post
from everloop.monitor.alerts.webhook import WebhookReceiver
from everloop.spec.monitor import ALERT_KINDS, MonitorSpec

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ALERT = {"id": "alert_1", "message": "höhe moved", "at": NOW, "distance": float("nan")}
DRIFT = {
    "id": "alert_2",
    "lifecycle": "loan",
    "at": "2024-01-01T00:00:00Z",
    "kind": "drift",
    "severity": "warning",
    "message": "höhe <moved>",
    "facts": {"since": "2023-12-30T00:00:00Z", "until": "2024-01-01T00:00:00Z", "version": 3},
}
VALUE = DRIFT | {"id": "alert_3", "kind": "value", "message": "adds less"}


class Server:
    """A real receiver on loopback that answers with the given statuses, then with 200."""

    def __init__(self, *statuses):
        self.statuses, self.bodies, self.paths = list(statuses), [], []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                outer.paths.append(self.path)
                outer.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status = outer.statuses.pop(0) if outer.statuses else 200
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://127.0.0.1:1/elsewhere")
                self.end_headers()

            def log_message(self, *arguments):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.root = f"http://127.0.0.1:{self.http.server_port}"
        self.address = f"{self.root}/secret-path"
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *error):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


def webhook(address, clock=None):
    return WebhookReceiver(Post("webhook", address, clock or SimulatedClock(NOW)))


def made(entry, folder, clock=None):
    """Makes the receiver of an entry as the lifecycle file says it."""
    spec = MonitorSpec.model_validate({"alerts": [entry]})
    return receiver_for(spec.alerts[0], folder=folder, clock=clock or SimulatedClock(NOW))


def test_a_webhook_gets_the_alert():
    with Server() as server:
        receiver = webhook(server.address)
        assert isinstance(receiver, Receiver)
        receiver.send([ALERT])
    assert server.bodies == [
        {"id": "alert_1", "message": "höhe moved", "at": "2024-01-01T00:00:00Z", "distance": None}
    ]


def test_a_webhook_that_is_down_is_tried_again_with_longer_waits():
    clock = SimulatedClock(NOW)
    with Server(503, 500, 429) as server:
        webhook(server.address, clock).send([ALERT])
    assert len(server.bodies) == 4
    assert (clock.now() - NOW).total_seconds() == 0.5 + 1 + 2


def test_a_file_on_a_disk_that_fills_up_keeps_whole_lines_alone(tmp_path, monkeypatch):
    receiver = FileReceiver(tmp_path / "alerts.jsonl")
    receiver.send([{"id": "1"}])
    write = os.write

    def fill(handle, content):
        if len(content) < 10:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, content[:8])

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fill)
        with pytest.raises(StorageFull, match="No space"):
            receiver.send([{"id": "2"}])
    receiver.send([{"id": "2"}])
    assert receiver.path.read_text() == '{"id": "1"}\n{"id": "2"}\n'


@pytest.mark.parametrize(("statuses", "tries"), [((404,), 1), ((302,), 1), ((500,) * 9, 4)])
def test_a_webhook_that_refuses_is_said_without_its_secret(statuses, tries):
    with Server(*statuses) as server, pytest.raises(OutsideFault, match=f"status {statuses[0]}") as fault:
        webhook(server.address).send([ALERT])
    assert len(server.bodies) == tries
    assert "secret-path" not in fault.value.message
    assert "secret-path" not in repr(webhook(server.address))


def test_a_webhook_where_nobody_listens():
    with Server() as server:
        address = server.address
    with pytest.raises(OutsideFault, match="in 4 tries"):
        webhook(address).send([ALERT])
    with pytest.raises(UsageFault, match="no http"):
        webhook("file:///etc/passwd")


def test_a_file_gets_a_line_for_each_alert(tmp_path):
    receiver = FileReceiver(tmp_path / "new" / "alerts.jsonl")
    assert isinstance(receiver, Receiver)
    threads = [
        threading.Thread(target=receiver.send, args=([{"id": str(i)}, {"id": str(100 + i)}],))
        for i in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = receiver.path.read_text().splitlines()
    assert sorted(int(json.loads(line)["id"]) for line in lines) == [*range(20), *range(100, 120)]
    with pytest.raises(OutsideFault, match="cannot be written"):
        FileReceiver(tmp_path).send([ALERT])


def test_slack_gets_a_group_as_one_message_that_names_nobody(tmp_path, monkeypatch):
    with Server() as server:
        monkeypatch.setenv("SLACK_URL", server.address)
        made({"slack": "env:SLACK_URL"}, tmp_path).send([DRIFT, VALUE])
    (body,) = server.bodies
    assert body["text"] == "[loan] 2 alerts: drift, value"
    section = body["blocks"][1]["text"]["text"]
    assert "höhe &lt;moved&gt;" in section
    assert "everloop why alert_3" in section
    assert "<" not in section


def test_pagerduty_gets_an_event_for_each_that_it_knows_again(tmp_path, monkeypatch):
    monkeypatch.setenv("ROUTING_KEY", "secret-key")
    with Server(202, 202) as server:
        receiver = made({"pagerduty": "env:ROUTING_KEY", "url": server.root}, tmp_path)
        receiver.send([DRIFT, VALUE])
    assert [body["dedup_key"] for body in server.bodies] == ["alert_2", "alert_3"]
    event = server.bodies[0]
    assert (event["routing_key"], event["event_action"]) == ("secret-key", "trigger")
    assert event["payload"]["severity"] == "warning"
    assert event["payload"]["summary"] == "[loan] drift: höhe <moved>"
    assert event["payload"]["custom_details"]["why"] == "everloop why alert_2"
    assert "secret-key" not in repr(receiver)


def test_alertmanager_gets_a_group_that_stands_as_long_as_its_window(tmp_path):
    with Server() as server:
        made({"alertmanager": server.root}, tmp_path).send([DRIFT, VALUE])
    assert server.paths == ["/api/v2/alerts"]
    (first, second), *_ = server.bodies
    assert first["labels"] == {
        "alertname": "EverloopDrift", "lifecycle": "loan", "kind": "drift", "severity": "warning", "version": "3",
    }  # fmt: skip
    assert (first["startsAt"], first["endsAt"]) == ("2024-01-01T00:00:00Z", "2024-01-03T00:00:00Z")
    assert second["labels"]["alertname"] == "EverloopValue"


# Mail -------------------------------------------------------------------------------------------------


class Mailbox:
    """A real SMTP server on loopback."""

    def __init__(self, *, refuse=None, password=None):
        self.letters, self.refuse = [], refuse
        self.options = {}
        if password is not None:

            def check(server, session, envelope, mechanism, data):
                return AuthResult(success=data.password == password.encode(), handled=False)

            self.options = {"authenticator": check, "auth_require_tls": False, "auth_required": True}

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  (aiosmtpd's name)
        if self.refuse is not None:
            return self.refuse
        self.letters.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    def __enter__(self):
        with socket.socket() as door:
            door.bind(("127.0.0.1", 0))
            self.port = door.getsockname()[1]
        self.controller = Controller(self, hostname="127.0.0.1", port=self.port, **self.options)
        self.controller.start()
        return self

    def __exit__(self, *error):
        self.controller.stop()


def test_mail_is_one_message_for_a_group(tmp_path, monkeypatch):
    with Mailbox() as box:
        monkeypatch.setenv("SMTP", f"smtp://127.0.0.1:{box.port}")
        entry = {
            "email": "ml@bank.example, risk@bank.example",
            "smtp": "env:SMTP",
            "sender": "loop@bank.example",
        }
        made(entry, tmp_path).send([DRIFT, VALUE])
    (letter,) = box.letters
    assert letter["Subject"] == "[loan] 2 alerts: drift, value"
    assert (letter["To"], letter["From"]) == ("ml@bank.example, risk@bank.example", "loop@bank.example")
    assert letter["Message-ID"] == "<alert_3.2@everloop>"
    body = letter.get_content()
    assert "höhe <moved>" in body
    assert "window: 2023-12-30T00:00:00Z to 2024-01-01T00:00:00Z" in body


def test_a_subject_is_one_line_whatever_an_alert_says():
    with Mailbox() as box:
        receiver = EmailReceiver(f"smtp://127.0.0.1:{box.port}", ("a@b.example",), SimulatedClock(NOW))
        receiver.send([DRIFT | {"message": "a\r\nBcc: everyone@b.example"}])
    (letter,) = box.letters
    assert letter["Subject"] == "[loan] drift: a Bcc: everyone@b.example"
    assert letter["Bcc"] is None


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_a_password_is_shown_to_the_server_and_to_nobody_else():
    with Mailbox(password="p@ss") as box:
        right = EmailReceiver(f"smtp://me:p%40ss@127.0.0.1:{box.port}", ("a@b.example",), SimulatedClock(NOW))
        right.send([DRIFT])
        wrong = EmailReceiver(f"smtp://me:wr0ng@127.0.0.1:{box.port}", ("a@b.example",), SimulatedClock(NOW))
        with pytest.raises(OutsideFault, match="535") as fault:
            wrong.send([DRIFT])
    assert len(box.letters) == 1
    assert "wr0ng" not in fault.value.message + repr(wrong)


def test_a_mail_server_that_refuses_or_is_away_is_named():
    with Mailbox(refuse="552 full") as box:
        receiver = EmailReceiver(f"smtp://127.0.0.1:{box.port}", ("a@b.example",), SimulatedClock(NOW))
        with pytest.raises(OutsideFault, match="552 full"):
            receiver.send([DRIFT])
    with pytest.raises(OutsideFault, match=r"127\.0\.0\.1 did not take"):
        receiver.send([DRIFT])
    for address, to in (("http://x", ("a@b.example",)), ("smtp://x", ("nobody",)), ("smtp://x", ())):
        with pytest.raises(UsageFault):
            EmailReceiver(address, to, SimulatedClock(NOW))


# The file -------------------------------------------------------------------------------------------


def test_every_kind_of_the_file_has_a_receiver():
    assert RECEIVERS.keys() == ALERT_KINDS.keys()


def test_receivers_are_made_from_the_lifecycle_file(tmp_path, monkeypatch):
    spec = MonitorSpec.model_validate(
        {"alerts": [{"file": "alerts.jsonl"}, {"webhook": "env:ALERT_URL", "every": "1h"}]}
    )
    monkeypatch.setenv("ALERT_URL", "https://receiver.example/x")
    clock = SimulatedClock(NOW)
    file, posted = (receiver_for(target, folder=tmp_path, clock=clock) for target in spec.alerts)
    assert file == FileReceiver(tmp_path / "alerts.jsonl")
    assert posted.post.host == "https://receiver.example"
    assert spec.alerts[1].every == timedelta(hours=1)
    monkeypatch.delenv("ALERT_URL")
    with pytest.raises(OutsideFault, match="ALERT_URL"):
        receiver_for(spec.alerts[1], folder=tmp_path, clock=clock)
