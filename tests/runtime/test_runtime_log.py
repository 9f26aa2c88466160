"""The prediction log: what was acknowledged is never lost, what is torn is never read."""

import errno
import os
import random
import re
import shutil
import signal
import struct
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from everloop.core.errors import DataFault, EverloopError, OutsideFault, RecordBusy, StorageFull, UsageFault
from everloop.runtime.log import ActualLine, LogLimits, PredictionLine, PredictionLog, read_log, seal
from everloop.runtime.log.lines import encode_line
from everloop.runtime.log.segment import (
    MAGIC,
    SEGMENT_FORMAT,
    frame,
    framed,
    header,
    pieces,
    read_segment,
)

START = datetime(2013, 5, 1, tzinfo=UTC)


def micros(seconds):
    return int((START + timedelta(seconds=seconds)).timestamp()) * 1_000_000


def line(number, **changes):
    values = {
        "id": f"p{number}",
        "time": micros(number),
        "version": 7,
        "arm": "champion",
        "row": {
            "amount": 12.5,
            "region": "é",
            "at": START + timedelta(microseconds=7),
            "n": number,
            "none": None,
        },
        "score": 0.25,
        "prediction": "no",
        "latency_us": 240,
    }
    return PredictionLine(**(values | changes))


def write(folder, lines, **options):
    with PredictionLog(folder, **options) as log:
        for item in lines:
            log.append(item)


def write_apart(folder, lines):
    """Each line in a frame of its own."""
    with PredictionLog(folder) as log:
        for item in lines:
            log.append(item)
            log.flush()


def segments(folder):
    return sorted(Path(folder).glob("*.seg"))


def test_what_was_appended_is_read(tmp_path):
    write(
        tmp_path, [line(1), line(2, score=(0.1, 0.7, 0.2), prediction="b"), ActualLine("p1", 1.0, micros(9))]
    )
    tables = read_log(tmp_path)
    assert tables.predictions.select(
        "id", "version", "arm", "score", "scores", "prediction", "latency_us", "worker"
    ).rows() == [
        ("p1", 7, "champion", 0.25, None, "no", 240, "0"),
        ("p2", 7, "champion", 0.7, [0.1, 0.7, 0.2], "b", 240, "0"),
    ]
    assert tables.predictions["time"][0] == START + timedelta(seconds=1)
    assert tables.actuals.rows() == [("p1", "1", START + timedelta(seconds=9), "0")]


def test_rows_come_back_as_a_table(tmp_path):
    write(tmp_path, [line(1), line(2, row={"amount": 3, "extra": [1]})])
    types = {"amount": "number", "region": "text", "at": "time", "n": "integer", "none": "boolean"}
    assert read_log(tmp_path).rows(types).rows() == [
        (12.5, "é", START + timedelta(microseconds=7), 1, None),
        (3.0, None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (2**64 - 1, 2**64 - 1),
        (-(2**63), -(2**63)),
        (2**64, 2.0**64),
        (-(10**30), -1e30),
        (2**1024, float("inf")),
        (-(2**1024), float("-inf")),
        (2**1024 - 1, float("inf")),
        ([1, [10**30]], [1, [1e30]]),
        ({"far": 10**30}, {"far": 1e30}),
        (3 + 4j, "(3+4j)"),
        (np.float64(0.5), 0.5),
        ("half of a pair: \ud83d", "half of a pair: \\ud83d"),
        ({2**70: None}, {str(2**70): None}),
    ],
    ids=str,
)
def test_no_value_keeps_a_line_or_its_neighbours_from_the_log(tmp_path, value, kept):
    write(tmp_path, [line(1), line(2, row={"value": value, "beside": True}), line(3)])
    (segment,) = segments(tmp_path)
    first, second, third = read_segment(segment)
    assert second == line(2, row={"value": kept, "beside": True})
    assert (first, third) == (line(1), line(3))


def test_since_is_inside_and_until_outside(tmp_path):
    write(tmp_path, [line(n) for n in range(6)] + [ActualLine("p0", "yes", micros(3))])
    tables = read_log(tmp_path, START + timedelta(seconds=2), START + timedelta(seconds=4))
    assert tables.predictions["id"].to_list() == ["p2", "p3"]
    assert tables.actuals["id"].to_list() == ["p0"]


def test_a_log_that_is_not_there_is_empty(tmp_path):
    tables = read_log(tmp_path / "none")
    assert (tables.predictions.height, tables.actuals.height, tables.joined().height) == (0, 0, 0)


def test_actuals_late_doubled_corrected_and_for_nobody(tmp_path):
    actuals = [
        ActualLine("p2", "yes", micros(50)),  # late and out of order
        ActualLine("p1", "no", micros(20)),
        ActualLine("p1", "no", micros(21)),  # doubled
        ActualLine("p1", "yes", micros(22)),  # corrected
        ActualLine("p1", "no", micros(23)),  # and back
        ActualLine("ghost", "yes", micros(24)),
    ]
    write(tmp_path, [*actuals, line(1), line(2), line(3)])
    tables = read_log(tmp_path)
    assert tables.actuals.filter(pl.col("id") == "p1")["actual"].to_list() == ["no", "yes", "no"]
    assert tables.joined().select("id", "actual", "corrections").rows() == [
        ("p1", "no", 2),
        ("p2", "yes", 0),
        ("p3", None, None),
    ]


def test_every_cut_gives_a_prefix(tmp_path):
    write_apart(tmp_path, [line(n) for n in range(5)])
    content = segments(tmp_path)[0].read_bytes()
    ends = [end for _, _, end in pieces(content, len(MAGIC))]
    for cut in range(len(content)):
        (tmp_path / "cut.seg").write_bytes(content[:cut])
        read = read_segment(tmp_path / "cut.seg")
        assert [item.id for item in read] == [
            f"p{n}" for n in range(max(0, sum(end <= cut for end in ends) - 1))
        ]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), byte=st.integers(1, 255))
def test_a_changed_byte_is_never_read_as_a_line(tmp_path, place, byte):
    original = [line(n) for n in range(4)]
    content = bytearray(header("0") + b"".join(framed([encode_line(item)]) for item in original))
    content[place % len(content)] ^= byte
    (tmp_path / "changed.seg").write_bytes(bytes(content))
    read = read_segment(tmp_path / "changed.seg")
    # A line is lost where one of its own bytes changed, and none where one of the header's did.
    assert read == [item for item in original if item in read]
    assert len(read) == (4 if place % len(content) < len(header("0")) else 3)


def test_recovery_cuts_the_torn_end_and_says_how_much(tmp_path):
    write(tmp_path, [line(1), line(2)])
    with segments(tmp_path)[0].open("ab") as file:
        file.write(struct.pack("<II", 500, 1) + b"torn")
    with PredictionLog(tmp_path) as log:
        assert (log.recovery.lines, log.recovery.bytes_dropped) == (2, 12)
        log.append(line(3))
    assert read_log(tmp_path).predictions["id"].to_list() == ["p1", "p2", "p3"]
    assert len(segments(tmp_path)) == 2


@pytest.mark.parametrize("tail", [bytes(4096), b"\xff" * 100, struct.pack("<I", 2**31)])
def test_zeros_and_noise_behind_a_crash_are_no_lines(tmp_path, tail):
    write(tmp_path, [line(1)])
    with segments(tmp_path)[0].open("ab") as file:
        file.write(tail)
    assert read_log(tmp_path).predictions.height == 1


def test_a_segment_without_a_header_is_dropped(tmp_path):
    (tmp_path / "predictions-0-00000001.seg").write_bytes(MAGIC[:5])
    with PredictionLog(tmp_path) as log:
        assert log.recovery.bytes_dropped == 5
        log.append(line(1))
    assert read_log(tmp_path).predictions.height == 1


@pytest.mark.parametrize(
    ("form", "said"), [(SEGMENT_FORMAT + 1, "a newer"), (SEGMENT_FORMAT - 1, "an older")]
)
def test_another_form_is_refused_and_left_as_it_is(tmp_path, form, said):
    segment = tmp_path / "predictions-0-00000001.seg"
    content = MAGIC + frame(b'{"format": %d}' % form) + frame(b"a line") + b"torn"
    segment.write_bytes(content)
    for use in (read_log, PredictionLog):
        with pytest.raises(DataFault, match=f"has {said} form"):
            use(tmp_path)
    assert segment.read_bytes() == content


def test_one_writer_a_worker(tmp_path):
    with PredictionLog(tmp_path, worker="a"):
        with pytest.raises(RecordBusy, match=str(os.getpid())):
            PredictionLog(tmp_path, worker="a")
        PredictionLog(tmp_path, worker="b").close()
    PredictionLog(tmp_path, worker="a").close()


@pytest.mark.parametrize("options", [{"worker": "../x"}, {"worker": ""}, {"durability": "maybe"}])
def test_wrong_use_is_refused(tmp_path, options):
    with pytest.raises(UsageFault):
        PredictionLog(tmp_path, **options)


def test_a_closed_log_takes_nothing(tmp_path):
    log = PredictionLog(tmp_path)
    log.close()
    log.close()
    with pytest.raises(OutsideFault, match="closed"):
        log.append(line(1))


def test_lines_of_many_threads_are_all_there_in_each_thread_s_order(tmp_path):
    limits = LogLimits(segment_bytes=4_000, group_seconds=0.0, group_lines=7)
    with PredictionLog(tmp_path, limits=limits) as log:

        def add(thread):
            for n in range(200):
                log.append(line(n, id=f"{thread}:{n}", version=thread))

        threads = [threading.Thread(target=add, args=(t,)) for t in range(4)]
        [thread.start() for thread in threads]
        while any(thread.is_alive() for thread in threads):
            read_log(tmp_path)
        [thread.join() for thread in threads]
        # On a busy machine all of them may have been one group, in one segment.
        log.flush()
        log.append(line(200, id="0:200", version=0))
    predictions = read_log(tmp_path).predictions
    assert len(segments(tmp_path)) > 1
    ids = [f"{t}:{n}" for t in range(4) for n in range(200)]
    assert sorted(predictions["id"]) == sorted([*ids, "0:200"])


def test_durable_is_true_when_it_says_so(tmp_path):
    with PredictionLog(tmp_path, durability="fsync") as log:
        for n in range(20):
            log.durable(log.append(line(n))).result(5)
            assert read_log(tmp_path).predictions.height == n + 1


def test_sealed_reads_the_same(tmp_path):
    for n in range(3):
        write(
            tmp_path,
            [line(2 * n), line(2 * n + 1, score=(0.5, 0.5)), ActualLine(f"p{n}", "yes", micros(90 + n))],
        )
    before = read_log(tmp_path)
    assert len(seal(tmp_path)) == 2
    assert [path.name for path in segments(tmp_path)] == ["predictions-0-00000003.seg"]
    after = read_log(tmp_path)
    assert after.predictions.equals(before.predictions)
    assert after.actuals.equals(before.actuals)
    assert seal(tmp_path) == []
    write(tmp_path, [line(99)])
    assert [path.name for path in segments(tmp_path)] == [
        "predictions-0-00000003.seg",
        "predictions-0-00000004.seg",
    ]


@pytest.mark.parametrize("crash", ["actuals alone", "segment left", "scratch left"])
def test_a_seal_that_was_killed_reads_the_same_and_is_finished(tmp_path, crash):
    write(tmp_path, [line(1), ActualLine("p1", "yes", micros(5))])
    write(tmp_path, [line(2)])
    before = read_log(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "copy")
    seal(tmp_path / "copy")
    for path in (tmp_path / "copy").glob("*-00000001.parquet"):
        if crash == "segment left" or path.name.startswith("actuals"):
            shutil.copy(path, tmp_path)
    if crash == "scratch left":
        (tmp_path / ".scratch-predictions-0-00000001.parquet").write_bytes(b"half")
    for _ in range(2):
        assert read_log(tmp_path).predictions.equals(before.predictions)
        assert read_log(tmp_path).actuals.equals(before.actuals)
        seal(tmp_path)
    assert not (tmp_path / "predictions-0-00000001.seg").exists()


@pytest.mark.parametrize("durability", ["buffer", "fsync"])
def test_a_full_disk_refuses_and_loses_nothing(small_disk, durability):
    disk = small_disk("512k")
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(300_000))
    taken = []
    log = PredictionLog(disk / "log", durability=durability, limits=LogLimits(group_seconds=0.002))
    with pytest.raises(StorageFull, match="No room left"):  # noqa: PT012
        for n in range(100_000):
            place = log.append(line(n))
            if durability == "fsync":
                log.durable(place).result(5)
            taken.append(f"p{n}")
            time.sleep(0.0001)
    assert isinstance(log.fault, StorageFull)
    with pytest.raises(StorageFull):
        log.append(line(0))
    assert set(read_log(disk / "log").predictions["id"]) <= {f"p{n}" for n in range(len(taken) + 1)}
    ballast.unlink()
    deadline = time.perf_counter() + 5
    while log.fault is not None and time.perf_counter() < deadline:
        time.sleep(0.02)
    log.append(line(0, id="after"))
    log.close()
    read = read_log(disk / "log").predictions["id"].to_list()
    assert set(taken) <= set(read)
    assert len(read) == len(set(read))
    assert "after" in read


def test_a_disk_that_does_not_keep_up_refuses(tmp_path, monkeypatch):
    gate = threading.Event()
    real = os.fsync
    log = PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.0, most_waiting=2000))
    monkeypatch.setattr(os, "fsync", lambda descriptor: (gate.wait(10), real(descriptor))[1])
    with pytest.raises(OutsideFault, match="does not keep up"):  # noqa: PT012
        for n in range(100):
            log.append(line(n))
    gate.set()
    log.flush()
    log.append(line(200))
    log.close()


@pytest.fixture
def syncs(monkeypatch):
    """Counts what is synced; the next `failing` calls fail."""
    real = os.fsync

    class Syncs:
        count = 0
        failing = 0

        def __call__(self, descriptor):
            self.count += 1
            if self.failing:
                self.failing -= 1
                raise OSError(errno.EIO, "failed")
            real(descriptor)

    found = Syncs()
    monkeypatch.setattr(os, "fsync", found)
    return found


def test_groups_are_written_at_once_and_synced_together(tmp_path, syncs):
    with PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.0, sync_seconds=60.0)) as log:
        for n in range(20):
            log.append(line(n))
            deadline = time.perf_counter() + 10
            while read_log(tmp_path).predictions.height <= n and time.perf_counter() < deadline:
                time.sleep(0.001)
        assert read_log(tmp_path).predictions.height == 20  # what a killed process leaves
        assert log.state["lines_durable"] == 0
        opened = syncs.count  # the segment's header and its name
        log.durable(20).result(5)
        assert syncs.count == opened + 1
        assert log.state["lines_durable"] == 20
        assert log.state["bytes_waiting"] == 0


def test_what_nobody_waits_for_is_synced_in_time(tmp_path, syncs):
    with PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.0, sync_seconds=0.05)) as log:
        log.append(line(0))
        deadline = time.perf_counter() + 10
        while log.state["lines_durable"] == 0 and time.perf_counter() < deadline:
            time.sleep(0.005)
        assert log.state["lines_durable"] == 1
        before = syncs.count
        time.sleep(0.2)
        assert syncs.count == before  # a log at rest leaves the disk alone


def test_what_could_not_be_synced_is_written_again(tmp_path, syncs):
    log = PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.0, sync_seconds=60.0))
    places = []
    for n in range(5):
        places.append(log.append(line(n)))
        time.sleep(0.02)
    syncs.failing = 1
    with pytest.raises(OutsideFault, match="cannot be written"):
        log.durable(places[-1]).result(5)
    deadline = time.perf_counter() + 10
    while log.fault is not None and time.perf_counter() < deadline:
        time.sleep(0.01)
    log.close()
    assert read_log(tmp_path).predictions["id"].to_list() == [f"p{n}" for n in range(5)]


WRITER = """
import sys
from everloop.runtime.log import PredictionLine, PredictionLog
folder, start = sys.argv[1], int(sys.argv[2])
log = PredictionLog(folder, durability="fsync")
n = start
while True:
    places = []
    for _ in range(1 + n % 5):
        places.append((n, log.append(PredictionLine(f"p{n}", n, 1, "champion", {"pad": "x" * (n % 700)}, 0.5, "no", 1))))
        n += 1
    for number, place in places:
        log.durable(place).result()
        sys.stdout.write(f"{number}\\n"); sys.stdout.flush()
"""


@pytest.mark.slow
def test_kill_nine_loses_no_acknowledged_line_and_reads_no_torn_one(tmp_path):
    choose = random.Random(20)
    acknowledged, start = set(), 0
    for _ in range(22):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "log"), str(start)],
            stdout=subprocess.PIPE,
            text=True,
        )
        first = process.stdout.readline()
        assert first
        time.sleep(choose.uniform(0.0, 0.06))
        os.kill(process.pid, signal.SIGKILL)
        rest, _ = process.communicate()
        numbers = [int(n) for n in re.findall(r"(\d+)\n", first + rest)]
        acknowledged.update(numbers)
        predictions = read_log(tmp_path / "log").predictions
        read = predictions["id"].to_list()
        assert len(read) == len(set(read))
        assert {f"p{n}" for n in acknowledged} <= set(read)
        for identity, row in predictions.select("id", "row").rows():
            assert row == f'{{"pad":"{"x" * (int(identity[1:]) % 700)}"}}'
        start = max([*acknowledged, *(int(identity[1:]) for identity in read)]) + 1
    assert len(acknowledged) > 100
    seal(tmp_path / "log")
    assert {f"p{n}" for n in acknowledged} <= set(read_log(tmp_path / "log").predictions["id"])


def test_errors_are_ours(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises((EverloopError, OSError)):
        PredictionLog(tmp_path / "file")


def test_a_worker_may_be_named_as_a_pod_is(tmp_path):
    for number, worker in enumerate(("loan-default-7f89c-x2x1", "loan-default", "loan-default-00000001")):
        with PredictionLog(tmp_path, worker) as log:
            log.append(line(number))
    assert sorted(read_log(tmp_path).predictions["worker"]) == [
        "loan-default",
        "loan-default-00000001",
        "loan-default-7f89c-x2x1",
    ]
