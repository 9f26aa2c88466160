"""Exports run where they are meant to: installed anew from their own steps."""
# ruff: noqa: D103, INP001, S101, S310, S603, S607

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from integrations.released import free_port

import everloop as el
from everloop.deploy.targets import export, open_target
from everloop.runtime.log import read_log

SECONDS = 60
MOST_MEGABYTES = 120
TOKENS = {f"EVERLOOP_{role}_TOKEN": f"{role.lower()}-token" for role in ("PREDICT", "FEEDBACK", "ADMIN")}
ROW = {"amount": 12.5, "region": "south"}


@pytest.fixture(scope="session")
def expected(release):
    return el.runtime.Package(release.package).answer(ROW)


@pytest.fixture(scope="session")
def installed(release, tmp_path_factory):
    """The steps of the image, in a folder instead of one: install, then code, package and settings."""
    folder = tmp_path_factory.mktemp("image") / "srv"
    export(release, open_target("docker"), folder)
    subprocess.run(
        ["sh", "install.sh", "venv"],
        cwd=folder,
        check=True,
        timeout=300,
        env={**plain_environment(), "PYTHON": sys.executable},
    )
    return folder


def plain_environment():
    """The environment without anything of this one's Python."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "PIP_INDEX_URL") if name in os.environ}


def ask(url, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=5) as answer:
        return json.loads(answer.read())


def started(command, folder, environment):
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def stopped(process):
    process.terminate()
    out, error = process.communicate(timeout=30)
    return process.returncode, out, error


# An image's content ----------------------------------------------------------------------------------


def test_what_is_installed_is_small_and_trains_nothing(installed):
    (site,) = (installed / "venv").glob("lib/python*/site-packages")
    size = sum(path.lstat().st_size for path in (installed / "venv").rglob("*") if not path.is_symlink())
    names = {path.name.partition("-")[0].lower() for path in site.glob("*.dist-info")}
    print(f"installed: {size / 1e6:.0f} MB, {len(names)} packages")  # noqa: T201
    assert size < MOST_MEGABYTES * 1e6
    assert not names & {"scikit_learn", "lightgbm", "xgboost", "pandas", "polars", "pyarrow", "scipy"}


def test_the_image_serves_the_same_answers(installed, release, expected):
    environment = plain_environment() | TOKENS | {"PYTHONPATH": "code", "OMP_NUM_THREADS": "1"}
    command = ["venv/bin/python", "-m", "everloop.runtime.server", "settings.json", "--worker", "pod-1"]
    process = started(command, installed, environment)
    try:
        assert process.stdout.readline().startswith("ready ")
        url = f"http://127.0.0.1:{release.port}"
        answer = ask(f"{url}/predict", ROW, "predict-token")
        assert (answer["prediction"], answer["score"]) == (expected.prediction, expected.score)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"{url}/predict", ROW)
        assert ask(f"{url}/v2")["name"] == "everloop"
    finally:
        code, _, error = stopped(process)
    assert (code, error) == (0, "")
    assert read_log(installed / "log").predictions["worker"].to_list() == ["pod-1"]


def test_a_token_that_is_missing_is_named(installed):
    environment = plain_environment() | {"PYTHONPATH": "code"}
    done = subprocess.run(
        ["venv/bin/python", "-m", "everloop.runtime.server", "settings.json"],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode != 0
    assert "EVERLOOP_PREDICT_TOKEN" in done.stderr
    assert "Traceback" not in done.stderr


def test_sagemakers_container_answers_its_two_routes(installed, release, expected, tmp_path):
    folder = tmp_path / "srv"
    export(release, open_target("sagemaker"), folder)
    entry = (folder / "serve.sh").read_text().replace("/srv/venv", str(installed / "venv"))
    settings = json.loads((folder / "settings.json").read_text())
    settings["port"] = free_port()
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "serve.sh").write_text(entry)
    process = started(["sh", "serve.sh", "serve"], folder, plain_environment() | {"PYTHONPATH": "code"})
    try:
        assert process.stdout.readline().startswith("ready ")
        url = f"http://127.0.0.1:{settings['port']}"
        with urllib.request.urlopen(f"{url}/ping", timeout=5) as answer:
            assert answer.status == 200
        assert ask(f"{url}/invocations", {"instances": [ROW]})["predictions"] == [expected.prediction]
    finally:
        assert stopped(process)[0] == 0


# Lambda ----------------------------------------------------------------------------------------------


class RuntimeApi(ThreadingHTTPServer):
    """Lambda's Runtime API: hands out events, takes answers."""

    def __init__(self):
        self.events, self.answers = queue.Queue(), queue.Queue()
        super().__init__(("127.0.0.1", 0), Invocations)


class Invocations(BaseHTTPRequestHandler):
    """`GET .../next`, `POST .../response` and `POST .../error`."""

    def do_GET(self):
        """Hands out the next event."""
        number, event = self.server.events.get(timeout=SECONDS)
        self._answer(
            200,
            json.dumps(event).encode(),
            {
                "Lambda-Runtime-Aws-Request-Id": f"request-{number}",
                "Lambda-Runtime-Deadline-Ms": str(int((time.time() + 30) * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-west-1:0:function:f",
                "Lambda-Runtime-Trace-Id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=0",
                "Content-Type": "application/json",
            },
        )

    def do_POST(self):
        """Takes an answer, or an error."""
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.answers.put((self.path.rpartition("/")[2], json.loads(body or b"null")))
        self._answer(202, b"{}", {})

    def _answer(self, status, body, headers):
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


def test_lambdas_own_runtime_starts_it_and_is_answered(installed, release, expected, tmp_path):
    folder = tmp_path / "task"
    export(release, open_target("lambda"), folder)
    (site,) = (installed / "venv").glob("lib/python*/site-packages")
    import awslambdaric

    # Of the environment of the tests only Lambda's own runtime is lent.
    lent = tmp_path / "lent"
    lent.mkdir()
    packages = Path(awslambdaric.__file__).parent.parent
    for name in ("awslambdaric", "snapshot_restore_py", "simplejson"):
        if (packages / name).exists():
            shutil.copytree(packages / name, lent / name)
    for native in packages.glob("runtime_client*.so"):
        shutil.copy(native, lent)
    api = RuntimeApi()
    threading.Thread(target=api.serve_forever, daemon=True).start()
    environment = plain_environment() | {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server_port}",
        "LAMBDA_TASK_ROOT": str(folder),
        "AWS_LAMBDA_LOG_STREAM_NAME": "2026/01/01/[$LATEST]abc",
        "EVERLOOP_LOG": str(tmp_path / "log"),
        "PYTHONPATH": f"{folder}:{site}:{lent}",
        "OMP_NUM_THREADS": "1",
    }
    begun = time.perf_counter()
    process = started([sys.executable, "-S", "-m", "awslambdaric", "handler.handler"], folder, environment)
    try:
        api.events.put((1, ROW))
        kind, answer = api.answers.get(timeout=SECONDS)
        cold = time.perf_counter() - begun
        print(f"cold start with one answer: {cold:.2f} s")  # noqa: T201
        assert (kind, answer["score"]) == ("response", expected.score), process.poll()
        http = {
            "version": "2.0",
            "rawPath": "/predict",
            "headers": {"content-type": "application/json"},
            "requestContext": {"http": {"method": "POST"}},
            "body": json.dumps(ROW),
        }
        api.events.put((2, http))
        _, answer = api.answers.get(timeout=SECONDS)
        assert answer["statusCode"] == 200
        api.events.put((3, {"amount": "many"}))
        assert api.answers.get(timeout=SECONDS)[0] == "error"
    finally:
        process.kill()
        process.communicate()
        api.shutdown()
        api.server_close()
    assert read_log(tmp_path / "log").predictions["worker"].to_list() == ["abc", "abc"]


# systemd ---------------------------------------------------------------------------------------------


def test_systemd_finds_nothing_wrong_with_the_unit(release, tmp_path):
    export(release, open_target("systemd"), tmp_path / "out")
    unit = tmp_path / "out" / f"{release.name}.service"
    text = unit.read_text().replace(f"/opt/{release.name}/venv/bin/python", sys.executable)
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if release.name in line]
    assert (done.returncode, told) == (0, [])
