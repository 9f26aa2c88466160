"""Files, logs and artifacts on a real S3 server (SeaweedFS), with credentials that it checks."""
# ruff: noqa: D101, D102, D103, INP001, S101, S603

from __future__ import annotations

import gzip
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path

import polars as pl
import pytest
import s3fs

from everloop.core.clock import SimulatedClock
from everloop.core.errors import SourceUnreachable
from everloop.data.sources import DigestMemo, Surroundings, open_source
from everloop.record import ArtifactStore
from everloop.spec import FileSource, LogSource
from everloop.testing.source_suite import START, SourceSuite, example_table

KEY, SECRET = "everloop-reader", "geheim-5512-store"
BUCKET = "everloop"


def free_ports(count):
    """Ports that are free now, and whose neighbour 10,000 above (for gRPC) is, too."""
    found = []
    while len(found) < count:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if 10_000 < port < 55_000 and port not in found:
                try:
                    other.bind(("127.0.0.1", port + 10_000))
                except OSError:
                    continue
                found.append(port)
    return found


def program():
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weed")
    identity = {
        "name": "reader",
        "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
        "actions": ["Admin"],
    }
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    s3, master, volume, filer = free_ports(4)
    command = [
        program(), "server", f"-dir={folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3",
        f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}", f"-master.port={master}",
        f"-volume.port={volume}", f"-filer.port={filer}", "-master.volumeSizeLimitMB=64",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        address = f"http://127.0.0.1:{s3}"
        store = s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=address, skip_instance_cache=True)
        for _ in range(120):
            try:
                store.mkdir(BUCKET)
                store.pipe_file(f"{BUCKET}/ready", b"yes")
                break
            except Exception as error:  # noqa: BLE001  (a server that starts fails in several ways)
                last = error
                assert process.poll() is None, (folder / "log").read_text()[-2000:]
                time.sleep(0.5)
        else:
            raise AssertionError(f"{last}: {(folder / 'log').read_text()[-2000:]}")
        yield address
    finally:
        process.kill()  # asked kindly it takes half a minute
        process.wait()


@pytest.fixture
def options(endpoint, monkeypatch):
    monkeypatch.setenv("STORE_SECRET", SECRET)
    return {"key": KEY, "secret": "env:STORE_SECRET", "endpoint_url": endpoint}


@pytest.fixture
def store(endpoint):
    return s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=endpoint)


class S3Suite(SourceSuite):
    kind = "file"
    secrets = (SECRET,)

    @pytest.fixture(autouse=True)
    def _given(self, options, store):
        self.options, self.store = options, store

    def withdraw(self, folder):
        self.store.rm(f"{BUCKET}/{folder.name}", recursive=True)


class TestParquet(S3Suite):
    def offer(self, table, folder):
        half = table.height // 2
        for name, part in (("a", table[:half]), ("b", table[half:])):
            with self.store.open(f"{BUCKET}/{folder.name}/day={name}/rows.parquet", "wb") as file:
                part.write_parquet(file)
        return FileSource(file=f"s3://{BUCKET}/{folder.name}/day=*/rows.parquet", options=self.options)


class TestCsv(S3Suite):
    def offer(self, table, folder):
        content = table.write_csv(datetime_format="%Y-%m-%dT%H:%M:%SZ").encode()
        self.store.pipe_file(f"{BUCKET}/{folder.name}/rows.csv.gz", gzip.compress(content, mtime=0))
        return FileSource(file=f"s3://{BUCKET}/{folder.name}/rows.csv.gz", options=self.options)


def read(folder, spec):
    scratch = folder / uuid.uuid4().hex
    scratch.mkdir()
    kind = "log" if isinstance(spec, LogSource) else "file"
    reading = open_source(kind, spec, Surroundings(folder=folder, clock=SimulatedClock(START))).read(scratch)
    return pl.concat([pl.read_parquet(file) for file in reading.files]), reading


def test_bad_rows_are_named_by_their_address(tmp_path, options, store):
    store.pipe_file(f"{BUCKET}/bad/a.csv", b"a,b\n1,x\n2\n3,y\n")
    spec = FileSource(
        file=f"s3://{BUCKET}/bad/*.csv", options=options, bad_rows="quarantine", most_bad_rows=0.5
    )
    found, reading = read(tmp_path, spec)
    assert found.height == 2
    assert pl.read_parquet(reading.bad_rows).row(0)[:2] == (f"s3://{BUCKET}/bad/a.csv", 3)


def test_logs(tmp_path, options, store):
    line = b'::1 - - [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 23\n'
    store.pipe_file(f"{BUCKET}/logs/access-1.log.gz", gzip.compress(line * 3))
    assert read(tmp_path, LogSource(log=f"s3://{BUCKET}/logs/*.gz", options=options))[0].height == 3


def test_an_unchanged_object_is_not_read_again(tmp_path, options, store, monkeypatch):
    store.pipe_file(f"{BUCKET}/known/a.csv", b"a\n1\n")
    memo = DigestMemo(tmp_path / "memo.json")
    spec = FileSource(file=f"s3://{BUCKET}/known/a.csv", options=options)
    first = open_source("file", spec, Surroundings(memo=memo)).fingerprint()
    with monkeypatch.context() as context:
        context.setattr(s3fs.S3FileSystem, "open", None)
        again = open_source("file", spec, Surroundings(memo=DigestMemo(tmp_path / "memo.json")))
        assert again.fingerprint() == first
    store.pipe_file(f"{BUCKET}/known/a.csv", b"a\n2\n")
    assert open_source("file", spec, Surroundings(memo=memo)).fingerprint() != first
    assert SECRET not in (tmp_path / "memo.json").read_text()


def test_credentials_of_the_environment(tmp_path, endpoint, store, monkeypatch):
    store.pipe_file(f"{BUCKET}/environment/a.csv", b"a\n1\n")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert read(tmp_path, FileSource(file=f"s3://{BUCKET}/environment/a.csv"))[0].height == 1


def test_wrong_credentials_and_a_store_that_is_not_there(tmp_path, options, monkeypatch):
    monkeypatch.setenv("STORE_SECRET", "another-secret")
    with pytest.raises(SourceUnreachable, match="may not be read") as caught:
        read(tmp_path, FileSource(file=f"s3://{BUCKET}/known/a.csv", options=options))
    assert "another-secret" not in f"{caught.value} {caught.value.__cause__}"
    gone = {**options, "endpoint_url": "http://127.0.0.1:9"}
    begun = time.perf_counter()
    with pytest.raises(SourceUnreachable, match=r"does not answer: .* Tried 4 times"):
        read(tmp_path, FileSource(file=f"s3://{BUCKET}/known/a.csv", options=gone))
    assert time.perf_counter() - begun < 60


def test_a_run_from_the_command_line(tmp_path, options, store):
    rows = example_table(400)
    rows = rows.select("amount", "paid", "at", kind=pl.col("note").fill_null("none"))
    with store.open(f"{BUCKET}/run/rows.parquet", "wb") as file:
        rows.write_parquet(file)
    (tmp_path / "everloop.yaml").write_text(
        "name: store\ngoal: {on_stop: continue}\nproblem: {target: paid}\n"  # its labels are noise
        f"data: {{sources: {{rows: {{file: 's3://{BUCKET}/run/*.parquet', options: {{key: {KEY}, "
        f"secret: env:STORE_SECRET, endpoint_url: {options['endpoint_url']}}}}}}}}}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "everloop.cli", "run", "--until", "goal", "--json"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "STORE_SECRET": SECRET},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert SECRET not in done.stdout + done.stderr
    kept = [path for path in (tmp_path / ".everloop").rglob("*") if path.is_file()]
    assert not [path for path in kept if SECRET.encode() in path.read_bytes()]


@pytest.fixture
def artifacts(endpoint, monkeypatch, tmp_path):
    for name, value in (("KEY", KEY), ("SECRET", SECRET), ("ENDPOINT_URL", endpoint)):
        monkeypatch.setenv(f"FSSPEC_S3_{name}", value)
    import fsspec

    fsspec.config.set_conf_env(fsspec.config.conf)
    opened = [
        ArtifactStore(f"s3://{BUCKET}/artifacts-{tmp_path.name}", cache=tmp_path / f"cache-{place}")
        for place in range(2)
    ]
    yield opened
    for one in opened:
        one.close()
    fsspec.config.conf.pop("s3", None)


def test_equal_content_is_stored_once_whatever_the_key(tmp_path, artifacts, store):
    here, there = artifacts
    for place, name in enumerate(("one", "two")):
        folder = tmp_path / name
        (folder / "part").mkdir(parents=True)
        (folder / "part" / "same").write_bytes(b"x" * 6_000_000)
        (folder / "own").write_text(name)
        published = artifacts[place].publish(f"steps/{name}", folder)
        assert artifacts[place].publish(f"steps/{name}", folder) == published
    held = f"{BUCKET}/artifacts-{tmp_path.name}/contents"
    store.invalidate_cache()
    assert sorted(store.info(place)["size"] for place in store.glob(f"{held}/*/content")) == [3, 3, 6_000_000]
    assert (here.keys(), here.verify("steps/two"), there.verify("steps/one")) == (
        ["steps/one", "steps/two"], None, None,
    )  # fmt: skip
    here.discard("steps/one")
    store.invalidate_cache()
    assert sorted(store.info(place)["size"] for place in store.glob(f"{held}/*/content")) == [3, 6_000_000]
    assert (there.open("steps/two") / "part" / "same").stat().st_size == 6_000_000
    there.discard("steps/two")
    store.invalidate_cache()
    assert (store.glob(f"{held}/*/content"), here.keys()) == ([], [])
