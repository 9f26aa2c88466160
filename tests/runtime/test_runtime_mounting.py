"""The server inside other applications: Starlette, which FastAPI is made of, and WSGI, which Flask speaks."""

import asyncio
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from everloop.core.errors import EverloopError
from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.server import ServerSettings, mounted_asgi, mounted_wsgi

ROW = {"amount": 12.0, "region": "north", "customer": "c1"}


@pytest.fixture
def settings(packages, tmp_path):
    return ServerSettings(package=str(packages["binary"]), log=str(tmp_path / "log"))


async def home(_request):
    return PlainTextResponse("home")


def test_under_a_path_of_an_asgi_application(packages, settings, tmp_path):
    model = mounted_asgi(settings)
    app = Starlette(routes=[Route("/", home), Mount("/model", model)])

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
            assert (await client.get("/")).text == "home"
            answers = await asyncio.gather(*(client.post("/model/predict", json=ROW) for _ in range(3)))
            name = (await client.get("/model/v2/models/loan-default")).json()["name"]
            wrong = await client.post("/model/predict", json={"amount": "much"})
            missing = await client.get("/model/nothing")
        await model.close()
        return answers, name, wrong.status_code, missing.status_code

    answers, *rest = asyncio.run(ask())
    assert rest == ["loan-default", 422, 404]
    score = Package(packages["binary"]).answer(ROW).score
    assert [answer.json()["score"] for answer in answers] == [score] * 3
    assert read_log(tmp_path / "log").predictions["score"].to_list() == [score] * 3


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def test_as_a_wsgi_application(packages, settings, tmp_path):
    model = mounted_wsgi(settings)
    with make_server("127.0.0.1", 0, validator(model), handler_class=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{server.server_port}", timeout=30) as client:
            answer = client.post("/predict?explain=1", json=ROW).json()
            several = client.post("/predict", json={"rows": [ROW, {}]}).json()
            assert client.get("/health/ready").status_code == 200
            assert client.post("/predict", json=[]).status_code == 422
        server.shutdown()
        thread.join()
    model.close()
    package = Package(packages["binary"])
    assert answer["score"] == package.answer(ROW).score
    assert len(answer["reasons"]) == 1
    scores = [one["score"] for one in several["predictions"]]
    assert scores == [one.score for one in package.answers([ROW, {}])]
    assert read_log(tmp_path / "log").predictions.height == 3


def test_what_cannot_be_loaded_is_told(tmp_path):
    model = mounted_asgi(ServerSettings(package=str(tmp_path / "none"), log=str(tmp_path / "log")))

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(model), base_url="http://x") as client:
            await client.post("/predict", json=ROW)

    with pytest.raises(EverloopError):
        asyncio.run(ask())
