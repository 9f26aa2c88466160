"""A window that is exported is a snapshot to Evidently itself, with the numbers of its own report."""
# ruff: noqa: D103, INP001, S101

import json
import os
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from everloop.integrations.evidently import EvidentlySnapshot
from everloop.monitor import ReferenceRules, count_window, judge_state, reference
from everloop.monitor.formats import JudgedWindow, known_formats, open_format

os.environ["DO_NOT_TRACK"] = "1"
evidently = pytest.importorskip("evidently")
pytestmark = pytest.mark.filterwarnings("ignore")


def table(seed, shift=0.0, rows=3000):
    random = np.random.default_rng(seed)
    shares = np.array([4, 3, 2, 1 + 10 * shift]) / (10 + 10 * shift)
    amount = pd.Series(random.lognormal(shift, 0.5, rows))
    return pd.DataFrame(
        {
            "amount": amount.mask(random.random(rows) < shift),
            "steps": random.poisson(3 + 2 * shift, rows),
            "kind": pd.Series(random.choice(list("abcd"), rows, p=shares)).mask(random.random(rows) < 0.05),
        }
    )


BEFORE, AFTER = table(0), table(1, 0.1)


def judged(before, after):
    kept = reference(before, rules=ReferenceRules(window_rows=1000))
    state, moment = count_window(after, kept), datetime(2026, 1, 5, tzinfo=UTC)
    return JudgedWindow("window_1", "shop", 3, moment, moment, state, kept, judge_state(state, kept))


@pytest.fixture(scope="module")
def exported():
    return open_format("evidently").write(judged(BEFORE, AFTER))


@pytest.fixture(scope="module")
def theirs():
    from evidently import Report
    from evidently import metrics as m

    drifts = [
        m.ValueDrift(column="amount", method="wasserstein", threshold=0.1),
        m.ValueDrift(column="steps", method="wasserstein", threshold=0.1),
        m.ValueDrift(column="kind", method="jensenshannon", threshold=0.1),
        m.ValueDrift(column="kind", method="psi", threshold=0.1),
    ]
    moments = [m.MeanValue, m.StdValue, m.MinValue, m.MaxValue]
    numbers = [kind(column=column) for kind in moments for column in ("amount", "steps")]
    missing = [m.MissingValueCount(column=column) for column in BEFORE.columns]
    counts = [m.UniqueValueCount(column="kind")]
    return Report([m.RowCount(), *drifts, *numbers, *missing, *counts]).run(AFTER, BEFORE)


def values(snapshot):
    return {one["id"]: (one["metric_name"], one["value"]) for one in snapshot.dict()["metrics"]}


def test_the_format_is_found_by_its_name():
    assert "evidently" in known_formats()


def test_every_number_is_that_of_their_own_report_under_the_same_id(exported, theirs, tmp_path):
    from evidently.core.report import Snapshot

    (tmp_path / "snapshot.json").write_bytes(exported.content)
    read, expected = values(Snapshot.load(tmp_path / "snapshot.json")), values(theirs)
    assert read.keys() == expected.keys()
    for identity, (name, value) in read.items():
        # Inside a bin numbers are taken as evenly spread.
        within = 0.01 if "wasserstein" in name else 1e-9
        told = expected[identity][1]
        assert name == expected[identity][0]
        if not isinstance(value, dict):
            assert value == pytest.approx(told, rel=within), name
        elif "count" in value:
            assert value == pytest.approx(told), name
        else:
            known = {label: number for label, number in told["counts"].items() if number}  # theirs has a nan
            assert value["counts"] == known
            assert value["shares"] == pytest.approx({label: told["shares"][label] for label in known})
    assert exported.left_out == ()


def test_their_report_draws_it_and_keeps_the_verdict(exported, tmp_path):
    from evidently.core.report import Snapshot

    snapshot = Snapshot.loads(exported.content.decode())
    snapshot.save_html(str(tmp_path / "report.html"))
    assert "Value drift for amount" in (tmp_path / "report.html").read_text()
    again = json.loads(snapshot.dumps())
    assert again["metadata"]["everloop.drift"] == "drift"
    assert "amount" in again["metadata"]["everloop.moved"]


def test_their_workspace_takes_it(exported, tmp_path):
    from evidently.core.report import Snapshot
    from evidently.ui.workspace import Workspace

    workspace = Workspace.create(str(tmp_path / "workspace"))
    project = workspace.create_project("shop")
    workspace.add_run(project.id, Snapshot.loads(exported.content.decode()))
    assert len(workspace.list_runs(project.id)) == 1


def test_what_is_defined_otherwise_is_left_out_and_named():
    wide = BEFORE.assign(code=[f"c{i % 40}" for i in range(len(BEFORE))], kind="a")
    after = wide.assign(kind="b", amount=np.inf)
    written = EvidentlySnapshot().write(judged(wide, after))
    told = "\n".join(written.left_out)
    assert "code: its distances, which are over groups of its 40 categories" in told
    assert "kind: its PSI" in told
    assert "kind: counts by category" in told
    assert "amount: mean, deviation and extremes" in told
    assert b"NaN" not in written.content
