"""Lines on their way to the disk: none is lost, doubled or out of place, whenever they are taken."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.core.errors import OutsideFault, StorageFull
from everloop.runtime.log import ActualLine, LogLimits, PredictionLine, PredictionLog, read_log
from everloop.runtime.log.gathering import Gathering
from everloop.runtime.log.lines import encode_line
from everloop.runtime.log.outbox import _Tail
from everloop.runtime.log.segment import MOST_TOGETHER, framed, frames
from everloop.runtime.log.together import apart, decode_together

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.text(st.characters(), max_size=20),
    st.sampled_from(["half of a pair: \ud83d", 3 + 4j]),
)
LINES = st.one_of(
    st.builds(ActualLine, st.text(max_size=9), st.floats(allow_nan=False), st.integers(0, 2**60)),
    st.builds(
        lambda identity, row: PredictionLine(identity, 1, 7, "champion", row, 0.5, "no", 9, 0.1),
        st.text(max_size=9),
        st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    ),
)


def line(number):
    return ActualLine(f"p{number}", "yes", number)


def read(content):
    return [line for payload, _ in frames(content, 0) for line in decode_together(payload)]


@pytest.fixture
def gathering(tmp_path):
    return Gathering(tmp_path, LogLimits(group_lines=200, most_waiting=100_000))


@settings(deadline=None, max_examples=25)
@given(lines=st.lists(LINES, max_size=12), times=st.integers(1, 2 * MOST_TOGETHER))
def test_lines_are_framed_a_few_together_and_each_is_as_it_was_encoded(tmp_path_factory, lines, times):
    gathering = Gathering(tmp_path_factory.getbasetemp(), LogLimits())
    payloads = [encode_line(one) for one in lines] * times
    for one in lines * times:
        gathering.append(one)
    group = gathering.take()
    groups = [payloads[begin : begin + MOST_TOGETHER] for begin in range(0, len(payloads), MOST_TOGETHER)]
    assert group == b"".join(map(framed, groups))
    assert [apart(payload) for payload, _ in frames(group, 0)] == groups


@settings(deadline=None)
@given(counts=st.lists(st.integers(0, 300), max_size=6))
def test_groups_hold_every_line_once_in_order(tmp_path_factory, counts):
    gathering = Gathering(tmp_path_factory.getbasetemp(), LogLimits())
    number, taken = 0, []
    for count in counts:
        for _ in range(count):
            number += 1
            assert gathering.append(line(number)) == number
        with gathering.lock:
            assert gathering.waits == (count > 0)
            taken += read(gathering.take())
            gathering.bound(0)
        assert gathering.taken == gathering.appended == number
    assert taken == [line(one) for one in range(1, number + 1)]


def test_a_sleeping_writer_is_woken_by_the_first_line_and_by_a_full_group_alone(gathering, monkeypatch):
    woken = []
    monkeypatch.setattr(gathering.changed, "notify", lambda: woken.append(gathering.appended))
    with gathering.lock:
        gathering.wake_at_once()
    for number in range(450):
        gathering.append(line(number))
    assert woken == [1, 200]
    with gathering.lock:
        gathering.take()
        gathering.bound(0)
    for number in range(450):
        gathering.append(line(number))
    assert woken == [1, 200, 650]  # between two commits the writer comes by itself


@pytest.fixture
def restless():
    """Threads that take turns in the middle of everything."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_lines_of_many_threads_are_taken_once_and_never_behind_their_places(gathering):
    places, groups, done = {}, [], threading.Event()

    def append(thread):
        for number in range(1_000 * thread, 1_000 * thread + 1_000):
            try:
                places[f"p{number}"] = gathering.append(line(number))
            except OutsideFault:
                places[f"p{number}"] = None

    def take():
        while not done.is_set() or gathering.waits:
            with gathering.lock:
                groups.append(read(gathering.take()))
                gathering.bound(0 if len(groups) % 5 else 200_000)  # each fifth time lines are refused
        with gathering.lock:
            gathering.bound(0)

    with ThreadPoolExecutor(5) as threads:
        taking = threads.submit(take)
        for appending in [threads.submit(append, thread) for thread in range(4)]:
            appending.result()
        done.set()
        taking.result()
    taken = [one.id for group in groups for one in group]
    assert sorted(taken) == sorted(name for name, place in places.items() if place is not None)
    assert all(place <= places[name] for place, name in enumerate(taken, 1))
    assert gathering.taken == len(taken) == gathering.appended


class Interrupted(list):
    """A list of which lines are taken just as somebody asks how many there are."""

    before = after = staticmethod(lambda: None)

    def __len__(self):
        self.before()
        count = super().__len__()
        self.after()
        return count


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_line_that_is_taken_while_it_is_appended_is_not_behind_its_place(gathering, moment):
    def take():
        setattr(payloads, moment, lambda: None)
        with gathering.lock:
            gathering.take()

    gathering._payloads = payloads = Interrupted()
    for number in (1, 2, 3):
        setattr(payloads, moment, take)
        assert gathering.append(line(number)) >= number == gathering.appended


def test_a_line_that_comes_as_the_writer_falls_asleep_is_written(tmp_path, monkeypatch):
    def wake_at_once(gathering):
        if gathering.appended == 1:
            gathering.append(line(2))
        real(gathering)

    real = Gathering.wake_at_once
    monkeypatch.setattr(Gathering, "wake_at_once", wake_at_once)
    with PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.01, sync_seconds=60.0)) as log:
        log.append(line(1))
        deadline = time.perf_counter() + 10
        while read_log(tmp_path).actuals.height < 2 and time.perf_counter() < deadline:
            time.sleep(0.005)
        assert read_log(tmp_path).actuals["id"].to_list() == ["p1", "p2"]


def test_a_promise_of_a_place_that_no_line_has_is_kept_with_the_last_line(tmp_path):
    with PredictionLog(tmp_path, durability="fsync") as log:
        log.append(line(1))
        log.durable(40).result(10)


def test_what_is_refused_is_not_taken(gathering):
    with gathering.lock:
        gathering.fault = StorageFull("full")
        gathering.bound(0)
    with pytest.raises(StorageFull):
        gathering.append(line(1))
    with gathering.lock:
        gathering.fault = None
        gathering.bound(100_001)
    with pytest.raises(OutsideFault, match="does not keep up: 100001 bytes"):
        gathering.append(line(1))
    with gathering.lock:
        gathering.bound(0)
    assert gathering.append(line(2)) == 1
    with pytest.raises(OutsideFault, match="does not keep up"):  # noqa: PT012
        while True:
            gathering.append(line(2))
    gathering.close()
    with pytest.raises(OutsideFault, match="is closed"):
        gathering.append(line(3))
    assert read(gathering.take()) == [line(2)] * gathering.taken


def test_of_long_lines_few_wait_uncounted(tmp_path):
    gathering = Gathering(tmp_path, LogLimits(most_waiting=20 * 2**20))
    long = ActualLine("p" * 2**20, "yes", 1)
    for _ in range(MOST_TOGETHER):  # nothing is known of their length yet
        assert gathering.bytes_waiting == 0
        gathering.append(long)
    assert gathering.bytes_waiting > 2**25
    with pytest.raises(OutsideFault, match="does not keep up"):
        gathering.append(long)
    with gathering.lock:
        gathering.take()
        gathering.bound(0)
    gathering.append(long)
    assert gathering.bytes_waiting > 2**20


def test_under_traffic_a_group_is_written_in_its_time_and_not_more_often(tmp_path, monkeypatch):
    written = []
    with PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.1)) as log:
        real = log._segment.write
        monkeypatch.setattr(log._segment, "write", lambda group: (written.append(len(group)), real(group)))
        start = time.perf_counter()
        while time.perf_counter() - start < 0.6:
            log.append(line(0))
            time.sleep(0.001)
        passed = time.perf_counter() - start
        assert 1 <= len(written) <= passed / 0.1 + 1


def test_a_group_that_nobody_follows_is_written(tmp_path):
    with PredictionLog(tmp_path, limits=LogLimits(group_seconds=0.01, sync_seconds=60.0)) as log:
        for count in (1, 2):
            time.sleep(0.05)  # the writer sleeps until a line comes
            log.append(line(count))
            deadline = time.perf_counter() + 10
            while read_log(tmp_path).actuals.height < count and time.perf_counter() < deadline:
                time.sleep(0.002)
            assert read_log(tmp_path).actuals["id"].to_list() == ["p1", "p2"][:count]


def test_an_outbox_reads_each_line_once_as_it_was_encoded_whatever_frame_it_is_in(tmp_path):
    lines = [PredictionLine(f"p{n}", n, 7, "champion", {f"c{n % 3}": "x"}, 0.5, "no", 9) for n in range(200)]
    sent = []
    for begin in (0, 100):  # a worker that starts again
        with PredictionLog(tmp_path, limits=LogLimits(segment_bytes=2000)) as log:
            for place, one in enumerate(lines[begin : begin + 100], 1):
                log.append(one)
                if place % 45 == 0:
                    log.flush()
        tail = _Tail(tmp_path, "0")
        while found := tail.read():
            sent += found
            tail.mark(len(sent))
        tail.confirm(len(sent))
    assert sent == [encode_line(one) for one in lines]
