"""What MLflow is told, and what its server may answer; a real one is asked in `integrations/mlflow`."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from everloop.core.errors import OutsideFault, ServerUnreachable, UsageFault
from everloop.integrations import Observer
from everloop.integrations.mlflow import MlflowObserver
from everloop.integrations.mlflow.facts import MOST_PARAMETER, run_facts
from everloop.integrations.mlflow.server import MlflowFault, MlflowServer
from everloop.record.rows import RunRow

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
RUN = RunRow("run_1", "flights", NOON, "done", reason="asked for")


@contextmanager
def answering(status, body, headers=()):
    """A server with one answer to everything; gives its port and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            asked.append((self.command, self.path, dict(self.headers)))
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  (http.server's names)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_it_is_an_observer():
    observer = MlflowObserver("http://127.0.0.1:5000")
    assert isinstance(observer, Observer)
    observer.close()
    observer.close()


@pytest.mark.parametrize(
    "address",
    [
        "",
        "mlruns",
        "sqlite:///secret.db",
        "databricks",
        "http://",
        "http://h:secret/",
        "http://h/?key=secret",
        "http://[se",
    ],
)
def test_what_is_no_tracking_server_is_refused_and_not_shown(address):
    with pytest.raises(UsageFault, match="not one of a tracking server") as caught:
        MlflowServer(address)
    assert "secret" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize(
    ("status", "body", "kind", "says"),
    [
        (500, b"<html>", ServerUnreachable, "fails with status 500"),
        (503, b"", ServerUnreachable, "fails with status 503"),
        (429, b"", ServerUnreachable, "fails with status 429"),
        (401, b"You are not authenticated", MlflowFault, "does not let us in"),
        (403, b'{"error_code": "PERMISSION_DENIED"}', MlflowFault, "does not let us in"),
        (
            400,
            b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "No\\nmore"}',
            MlflowFault,
            "refuses it: No$",
        ),
        (404, b"<html>", MlflowFault, "refuses it: status 404"),
        (302, b"", MlflowFault, "refuses it: status 302"),
        (200, b"<html>", MlflowFault, "is not MLflow"),
        (200, b"[1]", MlflowFault, "is not MLflow"),
    ],
)
def test_every_answer_becomes_a_clear_fault_without_the_secret(status, body, kind, says):
    with answering(status, body, [("location", "http://127.0.0.1:1/stolen")]) as (port, asked):
        observer = MlflowObserver(f"http://me:secret@127.0.0.1:{port}/secret/path")
        with pytest.raises(kind, match=says) as caught:
            observer.run_finished(RUN, {})
        observer.close()
    assert isinstance(caught.value, OutsideFault)
    assert "secret" not in f"{caught.value}{caught.value.hint}{observer!r}"
    assert f"http://127.0.0.1:{port}" in str(caught.value)
    assert len(asked) == 1
    assert asked[0][1].startswith("/secret/path/api/2.0/mlflow/experiments/get-by-name")


def test_nobody_there():
    with answering(200, b"{}") as (port, _):
        pass
    server = MlflowServer(f"http://127.0.0.1:{port}")
    with pytest.raises(ServerUnreachable, match="does not answer: ConnectError") as caught:
        server.get("experiments/get-by-name", experiment_name="x")
    assert caught.value.retryable
    server.close()


@pytest.mark.parametrize(
    ("before", "sent"), [("me:p%40ss@", "Basic bWU6cEBzcw=="), (":t%2Fken@", "Bearer t/ken"), ("", None)]
)
def test_it_signs_in_by_name_or_token(before, sent):
    with answering(200, b"{}") as (port, asked):
        server = MlflowServer(f"http://{before}127.0.0.1:{port}")
        server.get("x")
        server.close()
    headers = {name.lower(): value for name, value in asked[0][2].items()}
    assert headers.get("authorization") == sent


def test_an_upload_has_its_length(tmp_path):
    file = tmp_path / "model file.onnx"
    file.write_bytes(b"x" * 3_000_000)
    with answering(200, b"{}") as (port, asked):
        server = MlflowServer(f"http://127.0.0.1:{port}")
        server.upload(file, "1/run/artifacts/package/model file.onnx")
        server.close()
    method, path, headers = asked[0]
    assert (method, path) == (
        "PUT",
        "/api/2.0/mlflow-artifacts/artifacts/1/run/artifacts/package/model%20file.onnx",
    )
    assert {name.lower(): value for name, value in headers.items()}["content-length"] == "3000000"


def test_what_is_told_of_a_run():
    steps = {
        "frame": {"frame": {"task": "binary", "target": "late"}},
        "dataset": {"rows": {"train": 10, "test": 4}, "split": {"by": "time"}},
        "train": {
            "learner": "linear",
            "configuration": {"strength": 1.0, "names": ["a", "b"]},
            "calibrated": True,
            "features": ["x" * 4000, "y" * 4000],
            "metrics": {"roc_auc": {"low": 0.6, "estimate": 0.7, "high": 0.8}, "mcc": {"estimate": None}},
            "value": {"low": 1, "estimate": 2, "high": float("inf")},
        },
        "package": {"version": 3, "bytes": 5, "parity": {"largest_difference": None}},
        "gate": {"passed": False, "reason": "too slow"},
    }
    facts = run_facts(RUN, steps)
    assert len(facts.parameters.pop("inputs")) == MOST_PARAMETER
    assert facts.parameters == {
        "task": "binary",
        "target": "late",
        "learner": "linear",
        "calibrated": "true",
        "split": "time",
        "configuration.strength": "1.0",
        "configuration.names": '["a", "b"]',
    }
    assert facts.metrics == {
        "roc_auc": 0.7,
        "roc_auc.low": 0.6,
        "roc_auc.high": 0.8,
        "value_per_decision": 2.0,
        "value_per_decision.low": 1.0,
        "rows.train": 10.0,
        "rows.test": 4.0,
        "package_bytes": 5.0,
    }
    assert facts.tags["everloop.version"] == "3"
    assert (facts.tags["everloop.gate"], facts.tags["everloop.gate_reason"]) == ("refused", "too slow")


def test_a_run_that_came_to_nothing_is_told_with_its_error():
    row = RunRow("run_1", "flights", NOON, "failed", facts={"error": {"message": "No such column."}})
    facts = run_facts(row, {})
    assert (facts.parameters, facts.metrics) == ({}, {})
    assert facts.tags["everloop.error"] == "No such column."
