"""What the prediction log shows, for how long it keeps it, and how it is asked in SQL while it is written."""

import json
import shutil
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, OutsideFault, UsageFault
from everloop.runtime.log import (
    ActualLine,
    LogLimits,
    LogReader,
    PredictionLine,
    PredictionLog,
    Privacy,
    RefusalLine,
    query,
    query_log,
    read_log,
    retire,
    seal,
)
from everloop.runtime.log import part as log_part
from everloop.runtime.log.privacy import key_in, key_of
from everloop.runtime.routing import Arm, Routing, write_routing

START = datetime(2024, 1, 1, tzinfo=UTC)
SMALL = LogLimits(group_seconds=0.001, segment_bytes=2000)


def line(number, **row):
    moment = int((START + timedelta(hours=number)).timestamp() * 1e6)
    return PredictionLine(f"p{number}", moment, 7, "champion", {"amount": float(number)} | row, 0.5, "yes", 9)


def write(folder, numbers):
    with PredictionLog(folder, limits=SMALL) as log:
        for number in numbers:
            log.append(line(number))
            log.flush()


class TestPrivacy:
    def test_texts_are_hashed_with_a_key_and_others_dropped(self):
        row = {"name": "Ada", "again": "Ada", "age": 36, "phone": "1", "amount": 2.0, "none": None}
        ways = {"name": "hash", "again": "hash", "age": "hash", "phone": "drop", "none": "hash", "no": "drop"}
        shown = Privacy(ways, b"k" * 32).row(row)
        assert shown.keys() == {"name", "again", "age", "amount", "none"}
        assert shown["name"] == shown["again"]
        assert (len(shown["name"]), shown["age"], shown["none"], shown["amount"]) == (32, None, None, 2.0)
        assert shown["name"] != Privacy(ways, b"l" * 32).row(row)["name"]
        assert row["name"] == "Ada"

    def test_a_way_that_is_none_is_refused(self):
        with pytest.raises(UsageFault, match="hidden"):
            Privacy({"name": "hidden"}, b"")

    def test_servers_that_share_no_disk_share_the_key_by_a_variable(self, monkeypatch):
        monkeypatch.setenv("LOG_KEY", "0f" * 32)
        assert key_of("env:LOG_KEY") == bytes([15] * 32)
        for wrong in ("secret", "0f" * 31, "é" * 64, ""):
            monkeypatch.setenv("LOG_KEY", wrong)
            with pytest.raises(OutsideFault, match="LOG_KEY holds no key") as caught:
                key_of("env:LOG_KEY")
            assert "secret" not in str(caught.value)

    def test_the_key_is_made_once_for_its_owner_alone(self, tmp_path):
        path = tmp_path / "deep" / "log.key"
        key = key_in(path)
        assert key_in(path) == key
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.write_bytes(b"short")
        with pytest.raises(OutsideFault, match="5 bytes"):
            key_in(path)

    @pytest.mark.parametrize("strategy", ["canary", "shadow"])
    def test_no_private_value_reaches_the_disk(
        self, packages, make_package, start_server, tmp_path, strategy
    ):
        make_package(tmp_path / "v8", version=8)
        challenger = Arm(8, "v8", 0.5, strategy, "s")
        write_routing(
            tmp_path / "routing.json", Routing("loan-default", 1, Arm(7, str(packages["binary"])), challenger)
        )
        server = start_server(
            routing=str(tmp_path / "routing.json"), private={"customer": "hash", "region": "drop"}
        )
        rows = [
            {"customer": f"secret-{number % 3}", "region": "north", "amount": 1.0} for number in range(12)
        ]
        answers = [server.client.post("/predict", json=row).json() for row in rows[:6]]
        more = server.client.post("/predict", json={"rows": rows[6:]}).json()["predictions"]
        assert server.stop() == (0, "")
        content = b"".join(path.read_bytes() for path in server.log.iterdir())
        assert b"secret-" not in content
        assert b"north" not in content
        found = read_log(server.log).predictions
        assert set(found["id"]) == {one["id"] for one in [*answers, *more]}
        kept = [json.loads(row) for row in found["row"]]
        assert all(row.keys() == {"amount", "customer", "at"} for row in kept)
        assert len({row["customer"] for row in kept}) == 3


class TestRetiring:
    def test_old_parts_go_and_young_ones_stay(self, tmp_path):
        write(tmp_path, range(100))
        seal(tmp_path)
        before = START + timedelta(hours=50)
        removed = retire(tmp_path, before=before)
        assert removed
        times = read_log(tmp_path).predictions["time"]
        assert len(times) < 100
        assert set(times) >= {START + timedelta(hours=number) for number in range(50, 100)}
        assert retire(tmp_path, before=before) == []

    def test_the_oldest_go_until_the_rest_fits(self, tmp_path):
        write(tmp_path, range(100))
        seal(tmp_path)
        size = sum(path.stat().st_size for path in tmp_path.iterdir())
        removed = retire(tmp_path, most_bytes=size // 2)
        assert removed
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= size // 2
        found = read_log(tmp_path).predictions["id"].to_list()
        assert found == [f"p{number}" for number in range(100 - len(found), 100)]

    def test_what_is_not_sealed_stays(self, tmp_path):
        write(tmp_path, range(30))
        assert retire(tmp_path, before=START + timedelta(days=999), most_bytes=0) == []
        seal(tmp_path)
        retire(tmp_path, before=START + timedelta(days=999), most_bytes=0)
        left = read_log(tmp_path).predictions["id"].to_list()
        assert left
        assert left[-1] == "p29"

    def test_of_a_part_only_its_footer_is_read(self, tmp_path):
        write(tmp_path, range(100))
        seal(tmp_path)
        parts = sorted(tmp_path.glob("*.parquet"))
        for part in parts:
            content = part.read_bytes()
            footer = int.from_bytes(content[-8:-4], "little") + 8
            part.write_bytes(content[:4] + bytes(len(content) - footer - 4) + content[-footer:])
        removed = retire(tmp_path, before=START + timedelta(hours=50))
        assert 0 < len(removed) < len([part for part in parts if part.name.startswith("predictions")])

    def test_a_file_without_statistics_is_read(self, tmp_path):
        write(tmp_path, range(100))
        seal(tmp_path)
        for part in tmp_path.glob("*.parquet"):
            pl.read_parquet(part).write_parquet(part, statistics=False)
        assert retire(tmp_path, before=START + timedelta(hours=50))
        assert set(read_log(tmp_path).predictions["time"]) >= {
            START + timedelta(hours=number) for number in range(50, 100)
        }

    def test_a_log_that_is_not_there(self, tmp_path):
        assert retire(tmp_path / "none", most_bytes=0) == []


def test_duckdb_reads_while_lines_are_written(tmp_path):
    done = threading.Event()

    def keep_writing():
        with PredictionLog(tmp_path, limits=SMALL) as log:
            for number in range(400):
                log.append(line(number))
                if number % 10 == 0:
                    log.append(ActualLine(f"p{number}", "yes", line(number + 1).time))
                if number % 4 == 0:
                    log.flush()
        done.set()

    writer = threading.Thread(target=keep_writing)
    writer.start()
    seen = [0]
    while not done.is_set():
        seal(tmp_path)
        seen.append(query_log(tmp_path, "select count(*) as n from predictions")["n"][0])
    writer.join()
    assert seen == sorted(seen)
    asked = "select count(*) as n, count(actual) as known, sum((row->>'amount')::double) as total from joined"
    assert query_log(tmp_path, asked).rows() == [(400, 40, sum(range(400)))]
    seal(tmp_path)
    sealed = duckdb.sql(f"select count(*) from '{tmp_path}/predictions-*.parquet'").fetchall()
    assert 0 < sealed[0][0] <= 400


@pytest.mark.parametrize("most", [200_000, 7])
def test_a_question_sees_each_line_once_however_many_are_held(tmp_path, monkeypatch, most):
    monkeypatch.setattr(query, "MOST_IDS", most)
    refusal = RefusalLine("p3", line(3).time, 8, "challenger", "error", "u", 9, 0.5)
    with PredictionLog(tmp_path, limits=SMALL) as log:
        for number in range(40):
            for one in (line(number), line(number), refusal):
                log.append(one)
            for later, actual in (1, "no"), (2, "no"), (3, "yes"):
                log.append(ActualLine(f"p{number}", actual, line(number + later).time))
            log.flush()
    expected = read_log(tmp_path)
    told = {
        "predictions": expected.predictions,
        "actuals": expected.actuals,
        "refusals": expected.refusals,
        "joined": expected.joined(),
    }
    for name, table in told.items():
        found = query_log(tmp_path, f"from {name} order by time, id")
        assert found.rows() == table.sort("time", "id").rows(), name
    assert query_log(tmp_path, "create table kept as from actuals; from kept").height == 80
    assert not list(tmp_path.glob(".scratch-*"))


PEAK = """
import resource, sys
from pathlib import Path
import polars as pl
from everloop.runtime.log import query, query_log
from everloop.runtime.log.tables import schemas

query.MEMORY_LIMIT, query.MOST_IDS, ROWS = "40MB", 20_000, 20_000
predictions, actuals, _ = schemas()
many = pl.select(number=pl.int_range(ROWS)).with_columns(
    time=pl.lit(0).cast(predictions["time"]), version=1, arm=pl.lit("champion"), score=0.5, scores=None,
    row=pl.format('{{"amount": {}, "note": "{}"}}', "number", pl.concat_str([pl.col("number").hash(n) for n in range(9)])),
    prediction=pl.lit("yes"), actual=pl.lit("yes"), latency_us=9, worker=pl.lit("0"), chance=1.0,
)
for name, segments in ("few", 6), ("many", 18):
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    for place in range(segments):
        lines = many.with_columns(id=pl.format("p{}-{}", pl.lit(place), "number"))
        for kind, columns in ("predictions", predictions), ("actuals", actuals):
            chosen = lines.select(pl.col(column).cast(of) for column, of in columns.items())
            chosen.write_parquet(folder / f"{kind}-0-{place + 1:08d}.parquet")
    found = query_log(folder, "select count(*), count(actual), max(length(row)), count(distinct id) from joined")
    assert found.row(0)[:2] == (segments * ROWS,) * 2, found
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def test_what_a_question_takes_does_not_grow_with_the_log(tmp_path):
    words = [sys.executable, "-c", PEAK, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    few, many = map(int, done.stdout.split())
    assert (
        many < few + 60e6
    )  # the lines of the longer log are 240,000 more: held, they take several times as much


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(1, 40)),
    st.tuples(st.just("seal"), st.integers(0, 1)),
    st.tuples(st.just("read"), st.integers(0, 120)),
)


def told(table):
    return table.sort("id", "time")


@given(steps=st.lists(STEPS, min_size=2, max_size=8))
@settings(max_examples=15, deadline=None, derandomize=True)
def test_a_reader_that_lets_go_reads_as_a_new_one_does(steps):
    with TemporaryDirectory() as folder, PredictionLog(folder, limits=SMALL) as log:
        reader, written, sealed = LogReader(folder), 0, 0
        for step, number in [*steps, ("read", 0)]:
            if step == "write":
                for one in range(written, written + number):
                    log.append(line(one))
                    log.append(ActualLine(f"p{one}", "yes", line(one).time + 1))
                    log.flush()
                written += number
            elif step == "seal":
                reader.seal() if number else seal(folder)
                sealed = sum(pl.read_parquet(part).height for part in Path(folder).glob("*.parquet"))
            else:
                since = START + timedelta(hours=number)
                fresh = read_log(folder, since).joined()
                with reader.span(since) as span:
                    assert told(pl.concat([fresh.clear(), *span.lines()])).equals(told(fresh))
                assert reader.lines <= 2 * written - sealed


def test_what_a_reader_holds_is_sealed_without_decoding_it_again(tmp_path, monkeypatch):
    beside = tmp_path / "beside"
    with PredictionLog(tmp_path / "log", limits=SMALL) as log:
        for number in range(60):
            log.append(line(number))
            log.append(ActualLine(f"p{number}", "yes", line(number).time + 1))
            log.flush()
        reader = LogReader(tmp_path / "log")
        reader.span(START + timedelta(hours=50)).close()
        decoded = []
        real = log_part.read_lines
        monkeypatch.setattr(log_part, "read_lines", lambda *read: decoded.append(real(*read)) or decoded[-1])
        shutil.copytree(tmp_path / "log", beside)
        assert len(reader.seal()) > 2
        assert not any(found.lines for found in decoded)
    kept = shutil.copytree(beside, tmp_path / "kept")
    made = seal(beside)
    assert any(found.lines for found in decoded)
    for one in beside.glob("*.parquet"):
        assert pl.read_parquet(one).equals(pl.read_parquet(tmp_path / "log" / one.name))
    # Killed before the segment was removed, and the Parquet file damaged since: it is made again.
    reader = LogReader(beside)
    reader.span().close()
    whole = pl.read_parquet(made[0])
    made[0].write_bytes(b"no Parquet")
    name = min(kept.glob("*"), key=lambda path: (path.is_dir(), path.name)).name
    shutil.copy(kept / name, beside / name)
    assert reader.seal() == made[:1]
    assert pl.read_parquet(made[0]).equals(whole)


def test_lines_that_are_old_are_not_decoded_after_a_restart(tmp_path):
    write(tmp_path, range(100))
    seal(tmp_path)
    old = min(tmp_path.glob("predictions-*.parquet"))
    content = bytearray(old.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little") + 8
    content[4:-footer] = bytes(len(content) - footer - 4)
    old.write_bytes(content)
    reader = LogReader(tmp_path)
    with reader.span(START + timedelta(hours=60)) as span:
        assert sum(part.height for part in span.facts()) == 40
    with reader.span(START) as whole:
        assert sum(part.height for part in whole.lines()) < 100
        assert f"{old.name} in the prediction log cannot be read" in whole.damage[0].sentence()


def test_a_part_that_is_damaged_after_it_was_looked_through_is_said_and_left_out(tmp_path):
    write(tmp_path, range(100))
    seal(tmp_path)
    reader = LogReader(tmp_path)
    with reader.span() as span:
        assert sum(part.height for part in span.lines()) == 100
        part = min(tmp_path.glob("predictions-*.parquet"))
        part.write_bytes(b"no Parquet")
        with pytest.raises(DataFault, match="could be read before"):
            list(span.lines())
    with reader.span() as span:
        assert any(part.name in one.sentence() for one in span.damage)
        assert 0 < sum(part.height for part in span.lines()) < 100
