"""`everloop feedback` against a server that records what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from everloop.cli.feedback import read_actuals, send
from everloop.core.clock import SimulatedClock, parse_time
from everloop.core.errors import DataFault, ServerUnreachable
from everloop.core.progress import silent


class _Receiver(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[str | None, list[dict[str, Any]]]] = []
        self.answers: list[int] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: _Receiver

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status = self.server.answers.pop(0) if self.server.answers else 200
        if status == 200:
            self.server.taken.append((self.headers["authorization"], body))
        told = json.dumps({"title": "No.", "errors": [{"field": "id", "expected": "text"}]}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[_Receiver]:
    server = _Receiver()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_actuals_are_sent_in_batches_with_the_token(
    cli, tmp_path: Path, receiver: _Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "secret")
    lines = [f"p{n},{'yes' if n % 3 else ''}" for n in range(1800)]
    (tmp_path / "actuals.csv").write_text("\n".join(["id,actual", *lines]))
    said = cli(
        "feedback", tmp_path / "actuals.csv", "--server", receiver.url, "--token", "env:TOKEN", "--json"
    )
    assert said.facts == {"server": receiver.url, "accepted": 1200, "without_actual": 600}
    assert [len(batch) for _, batch in receiver.taken] == [1000, 200]
    assert {token for token, _ in receiver.taken} == {"Bearer secret"}
    assert receiver.taken[0][1][0] == {"id": "p1", "actual": "yes"}


def test_a_refusal_is_told_and_a_busy_server_is_tried_again(cli, tmp_path: Path, receiver: _Receiver) -> None:
    (tmp_path / "a.csv").write_text("id,actual\np1,1\n")
    receiver.answers = [422]
    said = cli("feedback", tmp_path / "a.csv", "--server", receiver.url)
    assert said.status == 2
    assert "422 No. id: expected text" in said.err
    clock = SimulatedClock(parse_time("2026-01-01"))
    receiver.answers = [503, 503]
    assert send([{"id": "p1", "actual": 1}], receiver.url, token=None, clock=clock, progress=silent) == 1
    assert clock.now() > parse_time("2026-01-01")


def test_no_server_is_something_outside() -> None:
    clock = SimulatedClock(parse_time("2026-01-01"))
    with pytest.raises(ServerUnreachable, match="does not answer"):
        send([{"id": "p", "actual": 1}], "http://127.0.0.1:9", token=None, clock=clock, progress=silent)


def test_a_table_without_actuals_or_an_open_token_is_refused(cli, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,prediction\np1,1\n")
    assert "actual" in cli("feedback", tmp_path / "a.csv", "--server", "http://x").err
    (tmp_path / "b.csv").write_text("id,actual\np1,1\n")
    said = cli("feedback", tmp_path / "b.csv", "--server", "http://x", "--token", "hunter2")
    assert said.status == 2
    assert "hunter2" not in said.err.replace("--token hunter2", "")


@pytest.mark.parametrize("id_", ["007", "1e5", "2025-01-01T10:00:00", "true", "18446744073709551617"])
def test_an_id_is_sent_as_it_is_written(tmp_path: Path, id_: str) -> None:
    (tmp_path / "a.csv").write_text(f"id,actual\n{id_},1\n")
    assert read_actuals(str(tmp_path / "a.csv")) == ([{"id": id_, "actual": 1}], 0)


def test_an_infinite_actual_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,actual\np1,1.5\np2,inf\n")
    with pytest.raises(DataFault, match="'p2' is infinite"):
        read_actuals(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("007", ["007"]),
        ("007\n12", ["007", "12"]),
        ("7\n-3", [7, -3]),
        ("0.5\n1e-3", [0.5, 0.001]),
        ("True\nFALSE", ["true", "false"]),
        ("7\nseven", ["7", "seven"]),
        ("2025-01-01", ["2025-01-01"]),
    ],
)
def test_an_actual_is_sent_as_a_run_takes_it(tmp_path: Path, written: str, sent: list[Any]) -> None:
    lines = [f"p,{line}" for line in written.splitlines()]
    (tmp_path / "a.csv").write_text("\n".join(["id,actual", *lines]))
    assert [row["actual"] for row in read_actuals(str(tmp_path / "a.csv"))[0]] == sent


def test_whole_ids_are_whole_though_a_gap_made_them_floats(tmp_path: Path) -> None:
    pl.DataFrame({"id": [7.0, None, 0.5], "actual": ["a", "b", "c"]}).write_parquet(tmp_path / "a.parquet")
    rows, skipped = read_actuals(str(tmp_path / "a.parquet"))
    assert ([row["id"] for row in rows], skipped) == (["7", "0.5"], 1)
