"""Segments of the lifecycle file: a shift in one of them is an alert that names it, with what it costs."""

from datetime import timedelta

import numpy as np
import pytest

from everloop.cli import main
from everloop.console import page_for
from everloop.core.errors import SpecFault
from everloop.loop.judged_window import judged_window
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow, VersionRow, WindowRow
from everloop.report import render
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.spec import load, parse

from .test_loop_tick import START


@pytest.mark.slow
@pytest.mark.usefixtures("known_steps")
def test_a_shift_in_one_segment_is_an_alert_that_names_it(folder, clock):
    path = folder / "everloop.yaml"
    path.write_text(path.read_text().replace("drift: {", "drift: {segments: [site], "))
    with Workspace.open(load(path), clock=clock) as watched:
        run_once(watched, as_of=START)
        random = np.random.default_rng(8)
        scores = watched.served(watched.record.find(VersionRow)[0]).reference.scores
        with PredictionLog(watched.log_folder) as log:
            for place in range(400):
                site = str(random.choice(["north", "south"]))
                a, b = random.normal(2 if site == "north" else 0), random.normal()
                row = {"row_id": f"e{place}", "a": float(a), "b": float(b), "site": site}
                moment = int((START + timedelta(minutes=10 * place)).timestamp() * 1e6)
                log.append(
                    PredictionLine(
                        f"e{place}", moment, 1, "champion", row, float(random.choice(scores)), "no", 9
                    )
                )
        clock.advance_to(START + timedelta(days=6))
        Loop(watched).tick(act=False)
        window = watched.record.find(WindowRow)[0]
        told = [row.message for row in watched.record.find(AlertRow) if row.kind == "drift"]
        assert len(told) == 1
        assert "a where site is north" in told[0]
        assert "where site is south" not in told[0].partition(" moved")[0]
        assert {one["column"] for one in window.facts["causes"]["segments"][:2]} == {"site"}
        # What a column costs is told once, whichever of its segments moved.
        ranked = [one["column"] for one in window.facts["ranking"]["columns"]]
        assert ranked.count("a") == 1
        assert not any(" where " in name for name in ranked)
        assert "a where site is north" in render(page_for(watched, window.id))
        exported = judged_window(watched, window.id)
        assert not any(" where " in name for name in exported.columns)
        assert "within segments" in exported.without_segments()[0]


def test_segments_by_what_is_known_later_are_refused():
    text = (
        "name: a\nproblem: {target: b, label_time: c}\ndata: {sources: {rows: {file: rows.csv}}}\n"
        "monitor: {drift: {segments: [a, c]}}\n"
    )
    faults = [fault for fault in refusals(parse(text)) if fault.place == "monitor.drift.segments"]
    assert ["by c," in fault.message for fault in faults] == [True]


def test_segments_by_a_column_that_is_none_are_refused_before_anything_is_learned(folder, clock, capsys):
    path = folder / "everloop.yaml"
    path.write_text(path.read_text().replace("drift: {", "drift: {segments: [sites], "))
    assert main(["check", "--file", str(path)]) == 2
    assert "did you mean 'site'?" in capsys.readouterr().err
    with (
        Workspace.open(load(path), clock=clock) as watched,
        pytest.raises(SpecFault, match="by sites, which is no column"),
    ):
        run_once(watched, as_of=START)
