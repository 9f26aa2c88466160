"""A span of the prediction log read in parts is the same span read at once."""

from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from everloop.runtime.log import ActualLine, LogLimits, PredictionLine, PredictionLog, read_log, seal
from everloop.runtime.log.parts import answered_parts

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


def whole(folder, since, until):
    joined = read_log(folder, since).joined()
    return joined.filter((pl.col("time") < until) & (pl.col("arm") != "shadow"))


@settings(max_examples=30, deadline=None)
@given(lines=work, most=st.integers(1, 5))
def test_parts_are_the_whole(lines, most):
    since, until = START, START + 10 * HOUR
    with TemporaryDirectory() as folder:
        written(folder, lines)
        parts = list(answered_parts(folder, since, until, most_ids=most))
        expected = whole(folder, since, until)
    assert all(part.height for part in parts)
    found = pl.concat([expected.clear(), *parts])
    order = ["id", "time", "worker"]
    assert found.sort(order).equals(expected.sort(order))


def test_what_is_not_there_has_no_parts(tmp_path):
    assert list(answered_parts(tmp_path / "none", START, START + HOUR)) == []
