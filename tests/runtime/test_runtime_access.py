"""Tokens that are named by where they are: however a server is started, it asks for them."""

import asyncio
import io
import json

import httpx
import pytest

from everloop.core.errors import OutsideFault, UsageFault
from everloop.runtime.server import ServerSettings, create_app, mounted_asgi, mounted_wsgi, serve

ROW = {"amount": 12.0, "region": "north", "customer": "c1"}
WHO = (None, "wrong", "of-feedback", "of-predict")
STATUS = [401, 401, 403, 200]


@pytest.fixture
def settings(packages, tmp_path, monkeypatch):
    monkeypatch.setenv("PREDICT_TOKEN", "of-predict")
    (tmp_path / "feedback").write_text("of-feedback\n")
    return {
        "package": str(packages["binary"]),
        "log": str(tmp_path / "log"),
        "secrets": {"predict": "env:PREDICT_TOKEN", "feedback": f"file:{tmp_path / 'feedback'}"},
    }


def fields(token):
    return {} if token is None else {"authorization": f"Bearer {token}"}


async def asked(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
        return [(await client.post("/predict", json=ROW, headers=fields(token))).status_code for token in WHO]


def test_mounted_as_asgi(settings):
    async def ask():
        model = mounted_asgi(ServerSettings(**settings))
        found = await asked(model)
        await model.close()
        return found

    assert asyncio.run(ask()) == STATUS


def test_mounted_as_wsgi(settings):
    model = mounted_wsgi(ServerSettings(**settings))
    body, found = json.dumps(ROW).encode(), []
    for token in WHO:
        environ = {"REQUEST_METHOD": "POST", "PATH_INFO": "/predict", "CONTENT_LENGTH": str(len(body))}
        environ |= {"wsgi.input": io.BytesIO(body)} | {
            f"HTTP_{name.upper()}": value for name, value in fields(token).items()
        }
        model(environ, lambda status, _fields: found.append(int(status[:3])))
    model.close()
    assert found == STATUS


def test_made_as_an_application(settings):
    app = create_app(ServerSettings(**settings))
    app.start()
    found = asyncio.run(asked(app))
    app.stop()
    assert found == STATUS


def test_started_as_a_process(settings, start_server):
    server = start_server(**settings)
    found = [server.client.post("/predict", json=ROW, headers=fields(token)).status_code for token in WHO]
    assert found == STATUS


def test_each_lifecycle_beside_another_asks_for_its_own(packages, make_package, settings, tmp_path):
    other = make_package(tmp_path / "other", lifecycle="churn")
    beside = ServerSettings(
        package=str(other), log=str(tmp_path / "beside"), secrets={"predict": "env:OTHER"}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTHER", "of-churn")
        app = create_app(ServerSettings(**settings, beside=(beside,)))
    tokens = {one.package: one.tokens for one in (service.settings for service in app.lifecycles.services)}
    assert [token.role for token in tokens[str(other)]] == ["predict"]
    assert [token.role for token in tokens[str(packages["binary"])]] == ["predict", "feedback"]


@pytest.mark.parametrize("start", [create_app, mounted_asgi, mounted_wsgi, serve])
def test_a_token_that_cannot_be_read_ends_the_start(settings, start, monkeypatch):
    monkeypatch.delenv("PREDICT_TOKEN")
    with pytest.raises(OutsideFault, match="PREDICT_TOKEN is not set"):
        start(ServerSettings(**settings))
    monkeypatch.setenv("PREDICT_TOKEN", "")
    with pytest.raises(UsageFault, match="'predict' is empty"):
        start(ServerSettings(**settings))
