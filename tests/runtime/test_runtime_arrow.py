"""Rows and answers as Arrow IPC streams, and what is no such stream."""

import io
import json
import random

import httpx
import pyarrow as pa
import pytest

from everloop.runtime.package import Package

ARROW = "application/vnd.apache.arrow.stream"
ROWS = {"amount": [12.0, None, -3.0], "region": ["north", "south", None], "customer": ["a", "b", None]}


def stream(table, **options):
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table, max_chunksize=2)
    return out.getvalue()


def post(server, content, accept="*/*"):
    fields = {"content-type": ARROW, "accept": accept}
    return httpx.post(f"{server.url}/predict", content=content, headers=fields, timeout=60)


@pytest.fixture
def expected(packages):
    rows = [dict(zip(ROWS, values, strict=True)) for values in zip(*ROWS.values(), strict=True)]
    return Package(packages["binary"]).answers(rows)


def test_a_stream_is_answered_row_for_row(shared_server, expected):
    found = post(shared_server, stream(pa.table(ROWS))).json()["predictions"]
    assert [(one["prediction"], one["score"]) for one in found] == [tuple(one) for one in expected]


def test_the_answer_is_a_stream_where_that_is_accepted(shared_server, expected):
    coded = pa.table(ROWS).set_column(1, "region", pa.array(ROWS["region"]).dictionary_encode())
    answer = post(shared_server, stream(coded), accept=ARROW)
    assert answer.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(answer.content).read_all()
    assert found["score"].to_pylist() == [one.score for one in expected]
    assert found["prediction"].to_pylist() == [one.prediction for one in expected]
    assert len(set(found["id"].to_pylist())) == 3
    assert found["version"].to_pylist() == [7, 7, 7]


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("coded", [False, True])
def test_compressed_streams_are_refused_before_they_are_unpacked(shared_server, codec, coded):
    column = pa.array(["north" * 100] * 1000)
    table = pa.table({"region": column.dictionary_encode() if coded else column})
    answer = post(shared_server, stream(table, compression=codec))
    assert (answer.status_code, answer.json()["title"]) == (400, "The Arrow IPC stream is compressed.")


def test_wrong_types_are_told_as_violations(shared_server):
    answer = post(shared_server, stream(pa.table({"amount": ["much"], "region": ["north"]})))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "amount"


def test_too_many_rows(shared_server):
    assert post(shared_server, stream(pa.table({"amount": [1.0] * 1001}))).status_code == 413


def test_damaged_streams_are_refused_and_harm_nobody(shared_server):
    whole = stream(pa.table(ROWS))
    chance = random.Random(0)
    assert post(shared_server, b"").status_code == 400
    assert post(shared_server, json.dumps(ROWS).encode()).status_code == 400
    for _ in range(150):
        damaged = bytearray(whole[: chance.randrange(1, len(whole) + 1)])
        for _ in range(chance.randrange(1, 4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        assert post(shared_server, bytes(damaged)).status_code in (200, 400, 413, 422)
    assert post(shared_server, whole).status_code == 200
