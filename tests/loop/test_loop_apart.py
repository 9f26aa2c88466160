"""Windows beside the reference's rows: a learner that tells them apart, and estimates weighed by likeness."""

from datetime import timedelta

import numpy as np
import pytest

from everloop.console import page_for
from everloop.core.errors import SpecFault
from everloop.deploy.versions import champion
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.support import refusals
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow, WindowRow
from everloop.report import render
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.spec import load, parse

from .test_loop_tick import START


def mirrored(rows):
    """Each column as it was in the reference, but `b` follows `a`."""
    random = np.random.default_rng(8)
    a = random.normal(size=rows)
    return [{"a": float(one), "b": float(one), "site": str(random.choice(["north", "south"]))} for one in a]


@pytest.fixture
def watched(folder, clock, known_steps):
    path = folder / "everloop.yaml"
    text = path.read_text().replace("monitor: {", "monitor: {estimate: pape, ")
    path.write_text(text.replace("drift: {", "drift: {multivariate: true, "))
    with Workspace.open(load(path), clock=clock) as opened:
        run_once(opened, as_of=START)
        yield opened


@pytest.mark.slow
def test_what_no_column_shows_alone_is_an_alert_with_the_columns_that_give_it_away(watched, clock):
    log = PredictionLog(watched.log_folder)
    for place, row in enumerate(mirrored(400)):
        moment = int((START + timedelta(minutes=10 * place)).timestamp() * 1e6)
        log.append(
            PredictionLine(f"e{place}", moment, 1, "champion", {**row, "row_id": f"e{place}"}, 0.3, "no", 9)
        )
    log.flush()
    log.close()
    clock.advance_to(START + timedelta(days=6))
    Loop(watched).tick(act=False)
    window = watched.record.find(WindowRow)[0]
    apart = window.facts["apart"]
    assert apart["exceeded"]
    assert set(list(apart["columns"])[:2]) == {"a", "b"}
    assert apart["area"] > 0.8 > apart["threshold"]
    told = [row.message for row in watched.record.find(AlertRow) if row.kind == "drift"]
    assert len(told) == 1
    assert "told apart by" in told[0]
    page = render(page_for(watched, window.id))
    assert "Rows can be told from the reference" in page
    assert "given away by" in page
    assert "rows of the reference like the window" in window.facts["estimated"]["recall"]["note"]
    reference = watched.served(champion(watched.record, watched.name)).reference
    assert all(
        budget.asked == pytest.approx(1 / 20) for budget in reference.budgets.values()
    )  # half of 1 in 10


def test_what_cannot_be_done_is_refused():
    start = "name: a\nproblem: {target: b, task: regression}\ndata: {sources: {rows: {file: rows.csv}}}\n"
    faults = refusals(parse(start + "monitor: {estimate: pape}"))
    assert any(fault.place == "monitor.estimate" for fault in faults)
    wrong = "monitor: {drift: {detectors: [{kswin: {stat_size: 500}}]}}"
    faults = refusals(parse(start.replace(", task: regression", "") + wrong))
    assert any("stat_size must be smaller" in fault.message for fault in faults)
    with pytest.raises(SpecFault, match="cbpe"):
        parse(start + "monitor: {estimate: guess}")
