"""Progress: lines where nobody watches, a live display on a terminal, silence for programs."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from everloop.cli.progress import PAUSE, Lines, time_left, watching
from everloop.core.progress import Event

EVENTS = (
    Event("data", "reading rows", fraction=0.5),
    Event("model", "trial 1", fraction=0.1, seconds_left=75.0),
    Event("goal", "a decision is worth -26.30 EUR today", kind="result"),
    Event("data", "[again] in 2 s", kind="notice"),
)
LINES = "goal     a decision is worth -26.30 EUR today\ndata     [again] in 2 s\n"


def _tell(as_json: bool) -> None:
    with watching(SimpleNamespace(obj=SimpleNamespace(as_json=as_json))) as progress:
        for event in EVENTS:
            progress(event)


def test_results_and_notices_become_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(as_json=False)
    assert capsys.readouterr().out == LINES


def test_a_line_says_how_far_the_work_is_where_nothing_was_said_for_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    moments = iter([0.0, 1.0, PAUSE, PAUSE + 1, 2 * PAUSE])
    lines = Lines(lambda: next(moments))
    for event in (EVENTS[1], EVENTS[1], EVENTS[1], EVENTS[0]):
        lines(event)
    assert capsys.readouterr().out == (
        "model    trial 1; about 0:01:15 left\ndata     reading rows; 50% done\n"
    )


def test_programs_hear_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    _tell(as_json=True)
    assert capsys.readouterr().out == ""


def test_a_terminal_sees_the_same_lines_above_the_live_display(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    _tell(as_json=False)
    out = capsys.readouterr().out
    for line in LINES.splitlines():
        assert line in out


def test_time_left_is_told_in_clock_form() -> None:
    assert (time_left(None), time_left(75.2)) == ("", "about 0:01:15 left")
