"""No secret is written anywhere: runs, a server, a loop and receivers that go well, and that fail."""

import json
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import httpx
import polars as pl
import pytest

from everloop.cli import main
from everloop.core.ids import new_id
from everloop.data.sources import trying
from everloop.loop.serving import read_ready, ready_path
from everloop.record import open_record
from everloop.record.rows import AlertRow
from everloop.runtime.signing import write_key

AS_OF = "2024-07-01"
NAMES = (
    "rows_token",
    "rows_key",
    "predict_token",
    "feedback_token",
    "admin_token",
    "wrong_token",
    "database_password",
    "hook",
    "hook_password",
    "slack",
    "mail_password",
    "routing_key",
    "oauth_secret",
    "header_key",
    "kafka_password",
    "mqtt_password",
)
SECRETS = {name: f"never-to-be-seen-{place}-{name[::-1]}" for place, name in enumerate(NAMES)}


class Hostile(BaseHTTPRequestHandler):
    """Gives rows to whoever may have them; everyone else hears again all that they said."""

    rows: bytes = b"[]"

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == f"Bearer {SECRETS['rows_token']}"
        if known and self.path == f"/rows?api_key={SECRETS['rows_key']}":
            self.say(200, self.rows)
        else:
            self.refuse()

    def do_POST(self) -> None:
        self.refuse()

    def refuse(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
        self.say(403, json.dumps({"error": f"no: {self.path} {dict(self.headers)} {said}"}).encode())

    def say(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def hostile(lifecycle: Path) -> Iterator[str]:
    Hostile.rows = pl.read_csv(lifecycle / "rows.csv").write_json().encode()
    with ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def stated(lifecycle: Path, hostile: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes a lifecycle that has secrets wherever it can have one."""
    host = hostile.partition("//")[2]
    texts = SECRETS | {
        "hook_url": f"{hostile}/hooks/{SECRETS['hook']}",
        "hook_with_blank": f"{hostile}/hooks/{SECRETS['hook']} ",
        "hook_with_password": f"http://user:{SECRETS['hook_password']}@localhost/hook",
        "slack_url": f"{hostile}/services/{SECRETS['slack']}",
        "mail_url": f"smtp://user:{SECRETS['mail_password']}@{host}",
        "mail_bad_url": f"smtp://user:{SECRETS['mail_password']}/x@{host}",
    }
    secrets = lifecycle / "secrets"
    secrets.mkdir()
    for name, text in texts.items():
        monkeypatch.setenv(name.upper(), text)
        (secrets / name).write_text(text + "\n")
    write_key(lifecycle / "secrets" / "release.pem", lifecycle / "secrets" / "release.pub.pem")
    file = (lifecycle / "everloop.yaml").read_text()
    for before, after in (
        (
            "{file: rows.csv}",
            f"{{http: {hostile}/rows, auth: env:ROWS_TOKEN, parameters: {{api_key: env:ROWS_KEY}}}}",
        ),
        (
            "serve: {port: 0, durability: fsync}",
            (
                f"serve: {{port: 0, durability: fsync, tokens: {{predict: env:PREDICT_TOKEN, feedback: env:FEEDBACK_TOKEN, "
                f"admin: file:{secrets}/admin_token}}}}\n"
                f"  signing: {{key: file:{secrets}/release.pem, trusted: [secrets/release.pub.pem]}}"
            ),
        ),
        (
            "  retrain: {on: [drift]}",
            (
                "  alerts:\n"
                "    - {webhook: env:HOOK_URL}\n"
                "    - {webhook: env:HOOK_WITH_BLANK}\n"
                "    - {webhook: env:HOOK_WITH_PASSWORD}\n"
                f"    - {{slack: file:{secrets}/slack_url}}\n"
                "    - {email: someone@example.com, smtp: env:MAIL_URL}\n"
                "    - {email: someone@example.com, smtp: env:MAIL_BAD_URL}\n"
                f"    - {{pagerduty: file:{secrets}/routing_key, url: {hostile}/enqueue}}"
            ),
        ),
    ):
        assert before in file
        file = file.replace(before, after)
    (lifecycle / "everloop.yaml").write_text(file)


def hidden(lifecycle: Path) -> dict[str, list[bytes]]:
    """Gives the forms in which each secret could be written."""
    forms = {
        name: [text.encode(), quote(text, safe="").encode(), b64encode(text.encode()).rstrip(b"=")]
        for name, text in SECRETS.items()
    }
    keys = (lifecycle / "secrets").glob("release.pem")
    return forms | {"signing key": [one.read_bytes().splitlines()[1] for one in keys]}


def require_hidden(lifecycle: Path, said: str) -> None:
    """Holds all that was said, and every file that was written, against every secret."""
    files = [one for one in lifecycle.rglob("*") if one.is_file() and one.parent.name != "secrets"]
    written = {"what was said": said.encode()} | {str(one): one.read_bytes() for one in files}
    seen = [
        f"{name} in {place}"
        for place, content in written.items()
        for name, forms in hidden(lifecycle).items()
        if any(form in content for form in forms)
    ]
    assert not seen


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "everloop.cli", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)


def eventually(check, seconds: float = 60.0):
    end = time.perf_counter() + seconds
    while not (found := check()):
        assert time.perf_counter() < end, "it did not come about in time"
        time.sleep(0.05)
    return found


def raise_alert(lifecycle: Path) -> None:
    """Has the receivers something to be told as soon as somebody looks."""
    soon = datetime.now(UTC) + timedelta(hours=1)
    with open_record(f"sqlite:///{lifecycle}/.everloop/record.db") as record:
        record.add(AlertRow(new_id("alert", soon), "shop", soon, kind="drift", message="visits changed"))


def use(url: str) -> None:
    """Asks as each role may, and as nobody may."""
    row = {"asked_at": "2024-07-02T00:00:00Z", "visits": 0.5, "price": 0.1, "season": 0.2}
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for name, status in (("predict_token", 200), ("feedback_token", 403), ("wrong_token", 401)):
            headers = {"authorization": f"Bearer {SECRETS[name]}"}
            assert client.post("/predict", json=row, headers=headers).status_code == status
        admin = {"authorization": f"Bearer {SECRETS['admin_token']}"}
        assert client.get("/metrics", headers=admin).status_code == 200


@pytest.mark.slow
def test_a_run_a_server_and_receivers_that_refuse_write_no_secret(lifecycle, hostile, monkeypatch) -> None:
    stated(lifecycle, hostile, monkeypatch)
    run = call(lifecycle, "run", "--as-of", AS_OF, "--debug")
    assert run.returncode == 0, run.stderr
    raise_alert(lifecycle)
    output = lifecycle / "output.txt"
    with output.open("wb") as file:
        command = [sys.executable, "-m", "everloop.cli", "up", "--debug"]
        process = subprocess.Popen(command, cwd=lifecycle, stdout=file, stderr=file)
    try:
        about = eventually(lambda: read_ready(ready_path(lifecycle / ".everloop")) or process.poll())
        assert isinstance(about, dict), output.read_text()
        use(str(about["url"]))
        eventually(lambda: process.poll() or output.read_text().count("did not arrive") >= 7)
        assert process.poll() is None, output.read_text()
    finally:
        process.terminate()
        process.wait(30)
    report = call(lifecycle, "report", "--output", "report.html")
    said = [run.stdout, run.stderr, output.read_text(), report.stdout, report.stderr]
    assert (lifecycle / ".everloop" / "record.db").exists()
    require_hidden(lifecycle, "".join(said))


FAILING = {
    "a refused token": "{http: HOSTILE/rows, auth: env:WRONG_TOKEN, parameters: {api_key: env:ROWS_KEY}}",
    "a refused key": "{http: HOSTILE/x, auth: {header: X-Key, value: env:HEADER_KEY}}",
    "a refused client": "{http: HOSTILE/rows, auth: {token: HOSTILE/token, client: me, secret: env:OAUTH_SECRET}}",
    "a database that is away": "{sql: rows, url: env:DATABASE_URL}",
    "an address that is none": "{sql: rows, url: env:DATABASE_BAD_URL}",
    "brokers that are away": "{kafka: rows, servers: '127.0.0.1:1', "
    "options: {sasl.password: env:KAFKA_PASSWORD}}",
    "a broker that is away": "{mqtt: rows, host: 127.0.0.1, port: 1, limit: {messages: 10}, "
    "user: me, password: env:MQTT_PASSWORD}",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FAILING)
def test_a_source_that_fails_writes_no_secret(case, lifecycle, hostile, monkeypatch, capfd) -> None:
    stated(lifecycle, hostile, monkeypatch)
    monkeypatch.setattr(trying, "FIRST_PAUSE_SECONDS", 0.01)
    password = SECRETS["database_password"]
    monkeypatch.setenv("DATABASE_URL", f"postgresql://me:{password}@127.0.0.1:1/rows")
    monkeypatch.setenv("DATABASE_BAD_URL", f"postgresql://me:{password}@127.0.0.1:none/rows")
    path = lifecycle / "everloop.yaml"
    kept = path.read_text().splitlines()
    source = "  sources: {rows: " + FAILING[case].replace("HOSTILE", hostile) + "}"
    path.write_text("\n".join(source if "sources:" in line else line for line in kept))
    monkeypatch.chdir(lifecycle)
    assert all(main(list(words)) in (1, 2, 3) for words in (("check",), ("run",), ("run", "--json")))
    said = capfd.readouterr()
    assert '"code": "spec"' not in said.out or "URL" in said.out  # the file itself is in order
    require_hidden(lifecycle, said.out + said.err)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "127.0.0.1:none"])
def test_a_record_that_is_away_writes_no_secret(host, lifecycle, monkeypatch, capfd) -> None:
    monkeypatch.setenv("RECORD_URL", f"postgresql://me:{SECRETS['database_password']}@{host}/record")
    with (lifecycle / "everloop.yaml").open("a") as file:
        file.write("record: env:RECORD_URL\n")
    monkeypatch.chdir(lifecycle)
    assert all(main([verb]) in (1, 2, 3) for verb in ("run", "status", "doctor"))
    said = capfd.readouterr()
    require_hidden(lifecycle, said.out + said.err)
