"""Detectors in the loop: each event is read once, whatever is killed in between."""

from datetime import timedelta

import numpy as np
import pytest

from everloop.core.errors import SpecFault
from everloop.loop.detecting import DETECTORS, LAG
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow
from everloop.runtime.log import ActualLine, PredictionLine, PredictionLog
from everloop.spec import load, parse

from .test_loop_tick import START

STEP = timedelta(minutes=10)
ROWS = 600
FOUND = {"score", "actual", "error"}


@pytest.fixture
def watched(folder, clock, known_steps):
    """A released version whose world changes after 400 of 600 events, and the file's detectors."""
    path = folder / "everloop.yaml"
    text = path.read_text().replace(
        "drift: {alarm: 1 false", "drift: {detectors: [adwin, kswin], alarm: 1 false"
    )
    path.write_text(text)
    with Workspace.open(load(path), clock=clock) as opened:
        run_once(opened, as_of=START)
        yield opened


def write(workspace, since, until):
    """Events of one kind before the change, and of another after it."""
    random = np.random.default_rng(since)
    moment = lambda place: int((START + place * STEP).timestamp() * 1e6)  # noqa: E731
    log = PredictionLog(workspace.log_folder)
    for place in range(since, until):
        bad = random.random() < (0.1 if place < 400 else 0.9)
        score = 0.2 + 0.1 * random.random() + (0.5 if place >= 400 else 0.0)
        row = {"row_id": f"e{place}", "a": 0.0, "b": 0.0, "site": "north"}
        log.append(PredictionLine(f"e{place}", moment(place), 1, "champion", row, score, "no", 90))
        log.append(ActualLine(f"e{place}", "yes" if bad else "no", moment(place + 1)))
    log.flush()
    log.close()


def found_by(workspace):
    return [
        (row.facts["detector"], row.facts["stream"], row.facts["event"])
        for row in workspace.record.find(AlertRow)
        if "detector" in row.facts
    ]


@pytest.mark.slow
def test_changes_are_told_at_their_event_and_once_whatever_stops(watched, folder, clock):
    write(watched, 0, ROWS)
    end = START + (ROWS + 2) * STEP
    clock.advance_to(end)
    Loop(watched).tick(act=False)
    whole = found_by(watched)
    assert {stream for _, stream, _ in whole} == FOUND
    assert all(400 <= int(event[1:]) < 480 for detector, _, event in whole if detector == "adwin")
    row = next(row for row in watched.record.find(AlertRow) if "detector" in row.facts)
    assert row.kind == "drift"
    assert "of v1 changed at 2024-" in row.message
    # The same events in stretches of a few, so that few are held at once.
    watched.record.set_state(watched.name, DETECTORS, None)
    Loop(watched, sample=40).tick(act=False)
    assert sorted(found_by(watched)) == sorted(2 * whole)
    # The same events in many ticks, each by a process that begins again.
    watched.record.set_state(watched.name, DETECTORS, None)
    for place in range(0, ROWS, 50):
        clock_at = START + place * STEP + LAG
        with Workspace.open(load(folder), clock=type(clock)(clock_at)) as again:
            Loop(again).tick(act=False)
    with Workspace.open(load(folder), clock=type(clock)(end)) as again:
        Loop(again).tick(act=False)
        Loop(again).tick(act=False)
        told = found_by(again)
    assert sorted(told) == sorted(3 * whole)


def test_the_file_names_detectors_with_their_options():
    start = "name: a\nproblem: {target: b}\ndata: {sources: {rows: {file: rows.csv}}}\n"
    spec = parse(start + "monitor: {drift: {detectors: [adwin, {kswin: {alpha: 0.001}}]}}")
    assert [(one.kind, one.options) for one in spec.monitor.drift.detectors] == [
        ("adwin", {}),
        ("kswin", {"alpha": 0.001}),
    ]
    assert parse(start) == parse(start + "monitor: {drift: {detectors: []}}")
    for wrong in ("[cusum]", "[{adwin: {depth: 1}}]", "[{adwin: {delta: -1}}]", "[3]"):
        with pytest.raises(SpecFault, match="expected"):
            parse(start + f"monitor: {{drift: {{detectors: {wrong}}}}}")
