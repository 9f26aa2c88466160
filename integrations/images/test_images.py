"""The exported context is built as it is, and the image runs by its own entry point and its own user."""
# ruff: noqa: D103, INP001, S101, S310, S603

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

import everloop as el
from everloop.deploy.targets import export, open_target
from everloop.runtime.log import read_log

MOST_MEGABYTES = 120
TOKENS = {f"EVERLOOP_{role}_TOKEN": f"{role.lower()}-token" for role in ("PREDICT", "FEEDBACK", "ADMIN")}
ROW = {"amount": 0.5, "region": "south"}
LOOK = """
import importlib.metadata as metadata, json, os, pathlib
files = [path for path in pathlib.Path("/srv").rglob("*") if path.is_file() and not path.is_symlink()]
print(json.dumps({
    "user": os.getuid(),
    "bytes": sum(path.stat().st_size for path in files),
    "writable": [str(path) for path in pathlib.Path("/srv").rglob("*") if os.access(path, os.W_OK)],
    "packages": sorted({one.metadata["Name"].lower() for one in metadata.distributions()}),
}))
"""
TRAINING = {"scikit-learn", "lightgbm", "xgboost", "pandas", "polars", "pyarrow", "scipy", "duckdb"}


@pytest.fixture(scope="module")
def container(builder, release, tmp_path_factory):
    folder = tmp_path_factory.mktemp("context") / "context"
    export(release, open_target("docker"), folder)
    builder.build(folder, release.image)
    made = builder("from", "--pull-never", f"localhost/{release.image}")
    yield made
    builder("rm", made)
    builder("rmi", f"localhost/{release.image}")


@pytest.fixture(scope="module")
def configured(builder, container):
    return json.loads(builder("inspect", "--type", "container", container))["Docker"]["config"]


def within(builder, container, *command, **options):
    words = [f"--{name}={value}" for name, values in options.items() for value in values]
    return builder.words("run", "--isolation", "chroot", *words, container, "--", *command)


def ask(url, body=None, token=None):
    headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {token}"} if token else {})
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request(url, data, headers), timeout=5) as answer:
        return json.loads(answer.read())


def last_child(process):
    """Gives the process that was started by those that started each other: the server itself."""
    found = str(process.pid)
    while children := _children(found):
        found = children[0]
    return int(found)


def _children(process):
    threads = Path(f"/proc/{process}/task").glob("*/children")
    return [child for thread in threads for child in thread.read_text().split()]


def test_the_image_is_small_trains_nothing_and_its_user_may_write_the_log_alone(builder, container):
    command = within(builder, container, "/srv/venv/bin/python", "-c", LOOK)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    seen = json.loads(done.stdout)
    print(f"image: {seen['bytes'] / 1e6:.0f} MB over its base, {len(seen['packages'])} packages")  # noqa: T201
    assert seen["bytes"] < MOST_MEGABYTES * 1e6
    assert not TRAINING & set(seen["packages"])
    assert (seen["user"], seen["writable"]) == (10001, ["/srv/log"])


def test_the_image_says_how_it_is_run(configured, release):
    assert configured["User"] == "10001"
    assert configured["StopSignal"] == "SIGTERM"
    assert set(configured["ExposedPorts"]) == {f"{release.port}/tcp"}
    assert set(configured["Volumes"]) == {"/srv/log"}


def test_the_image_serves_is_healthy_and_drains(builder, container, configured, release, tmp_path):
    expected = el.runtime.Package(release.package).answer(ROW)
    log = tmp_path / "log"
    log.mkdir()
    os.chown(log, 10001, 10001)
    tmp_path.chmod(0o755)
    tokens = [f"{name}={value}" for name, value in TOKENS.items()]
    command = within(builder, container, *configured["Entrypoint"], env=tokens, volume=[f"{log}:/srv/log"])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline().startswith("ready ")
        url = f"http://127.0.0.1:{release.port}"
        answer = ask(f"{url}/predict", ROW, "predict-token")
        assert (answer["prediction"], answer["score"]) == (expected.prediction, expected.score)
        with pytest.raises(urllib.error.HTTPError, match="401"):
            ask(f"{url}/predict", ROW)
        kind, *health = configured["Healthcheck"]["Test"]
        assert kind == "CMD"
        subprocess.run(within(builder, container, *health), timeout=60, check=True)
        os.kill(last_child(process), signal.SIGTERM)
        _, error = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, error) == (0, "")
    assert read_log(log).predictions["id"].to_list() == [answer["id"]]


def test_without_its_server_the_image_is_not_healthy(builder, container, configured):
    _, *health = configured["Healthcheck"]["Test"]
    done = subprocess.run(within(builder, container, *health), capture_output=True, timeout=60, check=False)
    assert done.returncode != 0
