"""The server within applications of FastAPI and of Flask, and behind a2wsgi's bridges between the two."""
# ruff: noqa: D101, D102, D103, INP001, S101

import asyncio
import threading

import httpx
import pytest
from a2wsgi import ASGIMiddleware, WSGIMiddleware
from fastapi import FastAPI
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from everloop.runtime.log import read_log
from everloop.runtime.server import ServerSettings, mounted_asgi, mounted_wsgi


@pytest.fixture
def settings(package, tmp_path):
    return ServerSettings(package=str(package), log=str(tmp_path / "log"))


def asked(client, name, rows):
    """Asks by every protocol under where the server is mounted; gives the answers, or what awaits them."""
    body = {"instances": rows}
    return [
        client.get("/"),
        client.post("/model/predict", json={"rows": rows}),
        client.post(f"/model/v1/models/{name}:predict", json=body),
        client.post("/model/invocations", json=body),
        client.get("/model/health/ready"),
        client.post("/model/predict", json={"amount": "much"}),
        client.get("/model/nothing"),
    ]


def judge(answers, expected, folder):
    home, native, tensorflow, invocations, *others = answers
    scores = [one.score for one in expected]
    assert home.text == "home"
    assert [one["score"] for one in native.json()["predictions"]] == scores
    assert [one["score"] for one in tensorflow.json()["predictions"]] == scores
    assert invocations.json()["scores"] == scores
    assert [answer.status_code for answer in others] == [200, 422, 404]
    assert read_log(folder / "log").predictions["score"].to_list() == scores * 3


def from_asgi(app, name, rows, close):
    async def run():
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            found = [await answer for answer in asked(client, name, rows)]
        await close()
        return found

    return asyncio.run(run())


class Quiet(WSGIRequestHandler):
    def log(self, *_):
        pass


def from_wsgi(app, name, rows):
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=30) as client:
            return asked(client, name, rows)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def flask_home():
    app = Flask("home")
    app.add_url_rule("/", view_func=lambda: "home")
    return app


def test_in_fastapi(settings, name, rows, expected, tmp_path):
    from fastapi.responses import PlainTextResponse

    app, model = FastAPI(), mounted_asgi(settings)
    app.get("/", response_class=PlainTextResponse)(lambda: "home")
    app.mount("/model", model)
    judge(from_asgi(app, name, rows, model.close), expected, tmp_path)


def test_beside_flask(settings, name, rows, expected, tmp_path):
    model = mounted_wsgi(settings)
    app = flask_home()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/model": model})
    found = from_wsgi(app, name, rows)
    model.close()
    judge(found, expected, tmp_path)


def test_the_asgi_application_beside_flask_by_a2wsgi(settings, name, rows, expected, tmp_path):
    model = mounted_asgi(settings)
    bridge = ASGIMiddleware(model)
    app = flask_home()
    app.wsgi_app = DispatcherMiddleware(app.wsgi_app, {"/model": bridge})
    found = from_wsgi(app, name, rows)
    asyncio.run_coroutine_threadsafe(model.close(), bridge.loop).result()
    judge(found, expected, tmp_path)


def test_the_wsgi_application_in_fastapi_by_a2wsgi(settings, name, rows, expected, tmp_path):
    from fastapi.responses import PlainTextResponse

    app, model = FastAPI(), mounted_wsgi(settings)
    app.get("/", response_class=PlainTextResponse)(lambda: "home")
    app.mount("/model", WSGIMiddleware(model))

    async def close():
        model.close()

    judge(from_asgi(app, name, rows, close), expected, tmp_path)
