"""The lifecycle's past: rows without what was not known, ids of their content, events in order."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from everloop.core.clock import SimulatedClock
from everloop.core.errors import DataFault, SpecFault, UsageFault
from everloop.loop.event_clock import EventClock, claim_clock, on_its_clock
from everloop.loop.history import history
from everloop.loop.workspace import Workspace
from everloop.runtime.log.lines import ActualLine, PredictionLine
from everloop.runtime.log.sealing import seal
from everloop.runtime.log.writing import PredictionLog
from everloop.spec import load

SINCE, UNTIL = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)


@pytest.fixture
def workspace(lifecycle: Path) -> Iterator[Workspace]:
    with Workspace.open(load(lifecycle), clock=SimulatedClock(datetime(2025, 1, 1, tzinfo=UTC))) as opened:
        yield opened


def test_rows_hold_what_a_request_would_and_facts_what_came_later(workspace: Workspace) -> None:
    past = history(workspace, SINCE, UNTIL)
    raw = pl.read_csv(workspace.folder / "rows.csv", try_parse_dates=True)
    expected = raw.filter((pl.col("asked_at") >= SINCE) & (pl.col("asked_at") < UNTIL))
    assert past.rows.columns == ["asked_at", "visits", "price", "season"]
    assert past.facts["actual"].to_list() == expected["bought"].to_list()
    assert (past.facts["known_at"] - past.facts["time"]).unique().to_list() == [timedelta(days=2)]
    assert past.facts["time"].is_sorted()
    assert past.facts["id"].is_unique().all()


def test_events_come_in_order_and_every_actual_after_its_prediction(workspace: Workspace) -> None:
    past = history(workspace, SINCE, UNTIL)
    asked: list[int] = []
    told: list[int] = []
    for request in past.requests(SINCE, UNTIL, 7):
        if request.kind == "predict":
            assert len(request.places) <= 7
            asked += request.places
        else:
            assert set(request.places) <= set(asked)
            told += request.places
    assert asked == list(range(len(past)))
    known = past.facts["known_at"].to_list()
    assert told == [place for place in range(len(past)) if known[place] < UNTIL]


def test_spans_together_are_the_whole(workspace: Workspace) -> None:
    past = history(workspace, SINCE, UNTIL)
    whole = [
        place for one in past.requests(SINCE, UNTIL, 10) if one.kind == "predict" for place in one.places
    ]
    parts, start = [], SINCE
    while start < UNTIL:
        end = min(start + timedelta(days=3), UNTIL)
        parts += [
            place for one in past.requests(start, end, 10) if one.kind == "predict" for place in one.places
        ]
        start = end
    assert parts == whole


def test_a_sample_depends_on_rows_and_seed_alone(workspace: Workspace) -> None:
    whole = history(workspace, SINCE, UNTIL)
    some, again = (history(workspace, SINCE, UNTIL, sample=0.3, seed=1) for _ in range(2))
    longer = history(workspace, SINCE, UNTIL + timedelta(days=20), sample=0.3, seed=1)
    assert some.facts.equals(again.facts)
    assert set(some.facts["id"]) <= set(whole.facts["id"])
    assert set(some.facts["id"]) <= set(longer.facts["id"])
    assert 0.15 * len(whole) < len(some) < 0.45 * len(whole)
    assert set(history(workspace, SINCE, UNTIL, sample=0.3, seed=2).facts["id"]) != set(some.facts["id"])


def test_what_cannot_be_is_said(workspace: Workspace, lifecycle: Path) -> None:
    with pytest.raises(DataFault, match="No row has a asked_at") as found:
        history(workspace, datetime(2030, 1, 1, tzinfo=UTC))
    assert "2024-01-01" in str(found.value.hint)
    with pytest.raises(UsageFault, match="share of the rows"):
        history(workspace, sample=0.0)
    text = (lifecycle / "everloop.yaml").read_text().replace(", time: asked_at, label_delay: 2d", "")
    (lifecycle / "everloop.yaml").write_text(text.replace("by: time", "by: random"))
    pl.read_csv(lifecycle / "rows.csv").drop("asked_at").write_csv(lifecycle / "rows.csv")
    with Workspace.open(load(lifecycle)) as timeless, pytest.raises(SpecFault, match="no history"):
        history(timeless)


def test_the_clock_of_events_is_the_latest_line_and_never_goes_back(tmp_path: Path) -> None:
    start = datetime(2024, 1, 1, tzinfo=UTC)
    clock = EventClock(tmp_path, start)
    assert clock.now() == start
    with PredictionLog(tmp_path) as log:
        for number, hours in enumerate((5, 3)):
            moment = start + timedelta(hours=hours)
            log.append(
                PredictionLine(f"p{number}", int(moment.timestamp() * 1e6), 1, "champion", {}, 0.5, "no", 1)
            )
            log.flush()
            assert clock.now() == start + timedelta(hours=5)
        log.append(ActualLine("p0", "yes", int((start + timedelta(days=2)).timestamp() * 1e6)))
    assert clock.now() == start + timedelta(days=2)
    assert clock.lines == 3
    seal(tmp_path)
    late = EventClock(tmp_path, start)
    assert clock.now() == late.now() == start + timedelta(days=2)
    assert clock.lines == late.lines == 3


def test_a_lifecycle_lives_on_one_clock(workspace: Workspace) -> None:
    assert on_its_clock(workspace) is workspace
    claim_clock(workspace, "events")
    claim_clock(workspace, "events")
    assert isinstance(on_its_clock(workspace).clock, EventClock)
    with pytest.raises(UsageFault, match="'events'"):
        claim_clock(workspace, "system")
    with pytest.raises(UsageFault, match="no clock"):
        claim_clock(workspace, "sundial")
