"""What drifted is ranked by its estimated loss in the goal's money: on the record, the page and in alerts."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from everloop.console import page_for
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.record.rows import AlertRow, WindowRow
from everloop.report import render
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.runtime.package import Package
from everloop.runtime.routing import read_routing
from everloop.spec import load

START = datetime(2024, 1, 31, tzinfo=UTC)
PRICES = "{currency: EUR, true_positive: -10, false_positive: -10, false_negative: -60, true_negative: 0}"


def judged(folder, clock):
    """Serves 400 rows whose `a` moved, which matters, and whose `b` moved further, which hardly does."""
    with Workspace.open(load(folder), clock=clock) as opened:
        run_once(opened, as_of=START)
        package = Package(read_routing(opened.routing_path).champion.package)
        random, log = np.random.default_rng(8), PredictionLog(opened.log_folder)
        for place in range(400):
            moment = START + timedelta(minutes=10 * place)
            row = {"a": float(random.normal(1.2)), "b": float(random.normal(-4.0)), "site": "north"}
            row |= {"row_id": f"e{place}", "asked_at": moment.isoformat()}
            answer, at = package.answer(row), int(moment.timestamp() * 1e6)
            log.append(
                PredictionLine(f"e{place}", at, 1, "champion", row, answer.score, answer.prediction, 9)
            )
        log.flush()
        log.close()
        clock.advance_to(START + timedelta(days=6))
        happened = Loop(opened).tick(act=False).happenings
        window = opened.record.find(WindowRow)[0]
        (alert,) = [row for row in opened.record.find(AlertRow) if row.kind == "drift"]
        page = render(page_for(opened, window.id))
        return window, alert, page, " ".join(one.text for one in happened)


@pytest.mark.usefixtures("known_steps")
def test_what_costs_most_is_told_first_in_the_goal_s_money(folder, clock):
    window, alert, page, told = judged(folder, clock)
    ranking = window.facts["ranking"]
    columns = {one["column"]: one for one in ranking["columns"]}
    assert columns["b"]["standardised"] > columns["a"]["standardised"]
    assert ranking["columns"][0]["column"] == "a"
    parts = {one["column"]: one["amount"] for one in window.facts["causes"]["columns"]}
    assert columns["a"]["loss"] == pytest.approx(-parts["a"])
    assert 1 < columns["a"]["loss"] < 50
    assert columns["(score)"]["loss"] is None
    assert alert.facts["loss"] == pytest.approx(ranking["loss"])
    assert "a costs" in alert.message
    assert "EUR a decision" in alert.message
    assert alert.message in told
    assert "Estimated loss of the window" in page
    assert "loss in this window" in page


@pytest.mark.slow
@pytest.mark.usefixtures("known_steps")
def test_without_prices_it_is_said_that_no_loss_is_estimated(folder, clock):
    path = folder / "everloop.yaml"
    text = path.read_text().replace(f"  value: {PRICES}\n", "")
    path.write_text(text.replace("guard: {value_per_decision: not worse}", "guard: {error_rate: <= 1%}"))
    window, alert, page, _ = judged(folder, clock)
    assert window.facts["ranking"]["loss"] is None
    assert alert.facts["loss"] is None
    assert "no loss is estimated: goal.value states no price" in alert.message
    assert "No loss is estimated: goal.value states no price" in page
