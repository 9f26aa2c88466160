"""A span of the prediction log read in parts is the same span read at once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.runtime.log import (
    ActualLine,
    LogLimits,
    LogReader,
    PredictionLine,
    PredictionLog,
    read_log,
    seal,
)

START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)

asked = st.tuples(
    st.just("asked"),
    st.integers(0, 9),
    st.integers(-2, 12),
    st.sampled_from(["champion", "shadow", "pinned"]),
)
known = st.tuples(st.just("known"), st.integers(0, 9), st.integers(-2, 14), st.sampled_from(["yes", "no"]))
sealing = st.tuples(st.just("seal"), st.just(0), st.just(0), st.just(""))
work = st.lists(st.tuples(st.sampled_from(["0", "1"]), asked | known | sealing), max_size=40)


def moment(hours):
    return int((START + hours * HOUR).timestamp() * 1e6)


def written(folder, lines):
    """Each line in a segment of its own, as its worker wrote it."""
    for worker, (kind, number, hours, word) in lines:
        if kind == "seal":
            seal(folder)
            continue
        with PredictionLog(folder, worker, limits=LogLimits(group_seconds=0.0, segment_bytes=1)) as log:
            if kind == "asked":
                log.append(PredictionLine(f"p{number}", moment(hours), 1, word, {"a": hours}, 0.5, "yes", 9))
            else:
                log.append(ActualLine(f"p{number}", word, moment(hours)))


ORDER = ["id", "time", "worker", "arm"]


def whole(folder, since, until):
    return read_log(folder, since).joined().filter(pl.col("time") < until)


@settings(max_examples=30, deadline=None)
@given(lines=work, most=st.integers(1, 5), hours=st.tuples(st.integers(0, 10), st.integers(0, 10)))
def test_parts_are_the_whole(lines, most, hours):
    since, until = START, START + 10 * HOUR
    begin, end = (START + hour * HOUR for hour in sorted(hours))
    with TemporaryDirectory() as folder:
        written(folder, lines)
        before = set(Path(folder).iterdir())
        with LogReader(folder, most_ids=most).span(since, until) as span:
            parts, facts = list(span.lines()), list(span.facts())
            within = list(span.lines(begin, end))
            left = set(Path(folder).iterdir()) - before
            assert span.most_since(begin) >= sum(
                part.filter(pl.col("time") >= begin).height for part in facts
            )
        expected = whole(folder, since, until)
    assert not left
    assert all(part.height for part in (*parts, *facts, *within))
    assert all(part["time"].is_sorted() for part in (*parts, *facts))
    found = pl.concat([expected.clear(), *parts]).sort(ORDER)
    assert found.equals(expected.sort(ORDER))
    narrow = expected.drop("row", "scores")
    assert (
        pl.concat([narrow.clear(), *(part.select(narrow.columns) for part in facts)])
        .sort(ORDER)
        .equals(narrow.sort(ORDER))
    )
    wanted = expected.filter((pl.col("time") >= begin) & (pl.col("time") < end))
    assert pl.concat([expected.clear(), *within]).sort(ORDER).equals(wanted.sort(ORDER))


def test_what_is_not_there_has_no_parts(tmp_path):
    with LogReader(tmp_path / "none").span(START, START + HOUR) as span:
        assert list(span.lines()) == list(span.facts()) == []
        assert span.refusals().is_empty()
