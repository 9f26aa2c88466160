"""What the file says of the server is what the server is told: tokens hashed, certificates by place."""

import json
from datetime import UTC, datetime

import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import OutsideFault, UsageFault
from everloop.loop.supervise import Listening, server_settings
from everloop.loop.workspace import Workspace
from everloop.runtime.server import hash_token
from everloop.spec import load

SERVE = """
  serve:
    host: 0.0.0.0
    grpc_port: 0
    tokens: {predict: env:PREDICT_TOKEN, admin: file:admin.token}
    tls: {certificate: keys/server.pem, key: keys/server.key, clients: keys/clients.pem}
"""


@pytest.fixture
def told(folder, monkeypatch):
    """Gives the settings for the file with what is added below `deploy`."""
    (folder / "admin.token").write_text("a-secret\n")
    monkeypatch.setenv("PREDICT_TOKEN", "p-secret")
    monkeypatch.chdir(folder)

    lines = (folder / "everloop.yaml").read_text().splitlines(keepends=True)
    place = next(number for number, line in enumerate(lines) if line.startswith("deploy:"))

    def settings(serve=SERVE, **listening):
        lines[place] = "deploy:\n  strategy: blue_green" + serve
        (folder / "everloop.yaml").write_text("".join(lines))
        clock = SimulatedClock(datetime(2024, 1, 1, tzinfo=UTC))
        with Workspace.open(load(folder), clock=clock) as workspace:
            return server_settings(workspace, Listening(**listening), "system")[0]

    return settings


def test_where_tokens_are_is_told_and_only_their_digests_are_kept(told, folder):
    settings = told()
    assert settings.secrets == {"predict": "env:PREDICT_TOKEN", "admin": "file:admin.token"}
    assert settings.tls.certificate == str(folder / "keys/server.pem")
    assert (settings.host, settings.grpc_port) == ("0.0.0.0", 0)
    settings.with_secrets().save(folder / "settings.json")
    written = json.loads((folder / "settings.json").read_text())
    assert {token["role"]: token["sha256"] for token in written["tokens"]} == {
        "predict": hash_token("p-secret"),
        "admin": hash_token("a-secret"),
    }
    assert "secret" not in json.dumps(written | {"secrets": {}}).replace('"secrets"', "")


def test_beyond_loopback_somebody_must_be_known(told):
    with pytest.raises(UsageFault, match="without tokens"):
        told("\n  serve: {host: 0.0.0.0}\n")


def test_a_token_that_is_not_there_is_named(told, monkeypatch):
    monkeypatch.delenv("PREDICT_TOKEN")
    with pytest.raises(OutsideFault, match="PREDICT_TOKEN"):
        told().with_secrets()
    monkeypatch.setenv("PREDICT_TOKEN", "")
    with pytest.raises(UsageFault, match="empty"):
        told().with_secrets()


def test_workers_share_a_port_that_is_named(told):
    with pytest.raises(UsageFault, match="share one port"):
        told(workers=2)
    assert told(workers=2, grpc_port=9001).grpc_port == 9001
