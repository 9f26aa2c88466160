"""A tick reads what may still be judged, however long the log is, and counts as if it had read all of it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.loop.loop import Loop
from everloop.loop.remembering import Memory
from everloop.loop.run import run_once
from everloop.record.rows import WindowRow
from everloop.runtime.log import ActualLine, LogLimits, LogReader, PredictionLine, PredictionLog, read_log

START = datetime(2024, 1, 31, tzinfo=UTC)
HOURLY = timedelta(hours=1)
LATE = timedelta(hours=6)


def micros(moment):
    return int(moment.timestamp() * 1e6)


class Hourly:
    """A prediction an hour, its actual six hours later, in segments of a few lines."""

    def __init__(self, workspace):
        self.table = pl.read_csv(workspace.spec.folder / "rows.csv").select("row_id", "a", "b", "site")
        self.log = PredictionLog(workspace.log_folder, limits=LogLimits(segment_bytes=6000))
        self.sent = 0

    def send(self, until):
        while (at := START + self.sent * HOURLY) < until:
            row = self.table.row(self.sent, named=True) | {"asked_at": at.isoformat()}
            score = 0.1 + 0.8 * (self.sent % 7) / 7
            answer = "yes" if score > 0.5 else "no"
            self.log.append(PredictionLine(f"p{self.sent}", micros(at), 1, "champion", row, score, answer, 9))
            if self.sent >= 6:
                self.log.append(ActualLine(f"p{self.sent - 6}", answer, micros(at)))
            self.sent += 1
        self.log.flush()


@pytest.mark.slow
@pytest.mark.usefixtures("known_steps")
def test_what_a_tick_holds_does_not_grow_with_the_log(workspace):
    run_once(workspace, as_of=START)
    traffic, loop, held = Hourly(workspace), Loop(workspace), []
    for day in range(1, 31):
        until = START + timedelta(days=day)
        traffic.send(until)
        workspace.clock.advance_to(until)
        loop.tick(act=False)
        held.append(loop._log.lines)
    traffic.log.close()
    # Lines of the segment that is being written are held, however many windows may still be judged.
    sealed = sorted(workspace.log_folder.glob("predictions-*.parquet"))
    lines = [pl.read_parquet(path).height for path in sealed]
    most = 2 * max(lines) + 8  # about an actual for each prediction
    assert max(held) <= most
    assert sum(lines) > 5 * most
    assert sum(table.height for table in read_log(workspace.log_folder).tables) > 2.5 * most

    windows = workspace.record.find(WindowRow, order="since")
    assert [later.since for _, later in pairwise(windows)] == [row.until for row in windows[:-1]]
    settled = [row for row in windows if row.status == "settled"]
    assert len(settled) >= len(windows) - 1
    assert {(row.predictions, row.actuals) for row in settled} == {(120, 120)}

    workspace.clock.advance_to(START + timedelta(days=31))
    again = Loop(workspace)
    assert [event.kind for event in again.tick(act=False).happenings] == []
    assert again._log.lines <= most
    with LogReader(workspace.log_folder).span() as span:
        assert Memory.of(workspace).labels_since(START, span.facts) == 30 * 24 - 6


def lines(hours):
    return pl.DataFrame(
        {
            "time": [START + timedelta(hours=hour) for hour, _ in hours],
            "actual": ["yes" if known else None for _, known in hours],
        },
        schema={"time": pl.Datetime("us", "UTC"), "actual": pl.String},
    )


def in_parts(table):
    """Gives the table as the log does: between two times, here a line at a time."""

    def parts(since, until=None):
        for part in table.iter_slices(1):
            after = since is None or part["time"][0] >= since
            if after and (until is None or part["time"][0] < until):
                yield part

    return parts


@given(
    hours=st.lists(st.tuples(st.integers(0, 300), st.booleans()), max_size=60),
    moves=st.lists(st.integers(0, 320), max_size=5).map(sorted),
    day=st.integers(0, 13),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_days_that_are_remembered_add_up_to_the_whole(hours, moves, day):
    table, memory = lines(hours), Memory()
    for move in moves:
        memory = memory.moved(START + timedelta(hours=move), in_parts(table))
        table = table.filter(pl.col("time") >= memory.read_from(memory.until))
    moment = START + timedelta(days=day)
    expected = sum(known and START + timedelta(hours=hour) >= moment for hour, known in hours)
    assert memory.labels_since(moment, in_parts(table)) == expected


def test_what_the_file_asks_for_again_is_read_again_and_not_counted_twice():
    table = lines([(hour, True) for hour in range(48)])
    memory = Memory().moved(START + timedelta(hours=30), in_parts(table))
    earlier = START + timedelta(hours=10)
    assert memory.read_from(earlier) == earlier - HOURLY
    assert memory.moved(earlier, in_parts(table)) is memory
    assert memory.labels_since(START, in_parts(table)) == 48
    assert Memory().read_from(earlier) is None
