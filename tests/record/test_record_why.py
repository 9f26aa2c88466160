import json

import pytest

from everloop.core.errors import NotFound
from everloop.record import AlertRow, DecisionRow, Link, RunRow, StepRow, VersionRow, WindowRow, lookup, why
from everloop.testing.memory_record import MemoryRecord
from everloop.testing.record_suite import NOON


@pytest.fixture
def record():
    made = MemoryRecord()
    made.add(RunRow("run_1", "flights", NOON, "done", reason="first run"))
    made.add(StepRow("step_1", "flights", NOON, "run_1", "search", "model", seconds=2.0))
    made.add(VersionRow("version_1", "flights", NOON, 1, "run_1", status="champion"))
    made.add(WindowRow("window_1", "flights", NOON, NOON, NOON, "version_1", "judged", 10, 8))
    made.add(AlertRow("alert_1", "flights", NOON, "window_1", "drift", "high", "dep_delay moved"))
    made.add(DecisionRow("decision_1", "flights", NOON, "retrain", "yes", "drift"))
    made.link("step_1", "version_1", "package")
    made.link("alert_1", "decision_1", "trigger")
    return made


def test_the_tree_is_drawn(record):
    assert why(record, "decision_1").to_text() == (
        "decision_1  retrain: yes, drift  [2013-05-01 12:00]\n"
        "└─ trigger: alert_1  drift high: dep_delay moved  [2013-05-01 12:00]\n"
        "   └─ window: window_1  judged 10 predictions, 8 actuals  [2013-05-01 12:00]\n"
        "      └─ version: version_1  v1 champion  [2013-05-01 12:00]\n"
        "         ├─ package: step_1  search (model) done in 2.0 s  [2013-05-01 12:00]\n"
        "         │  └─ run: run_1  done first run  [2013-05-01 12:00]\n"
        "         └─ run: run_1  (told above)"
    )


def test_it_ends_in_circles(record):
    record.link("decision_1", "run_1", "trigger")
    chain = why(record, "run_1")
    assert chain.ids() == ["run_1", "decision_1", "alert_1", "window_1", "version_1", "step_1"]


def test_a_long_chain_ends(record):
    for number in range(2, 3000):
        record.link(f"prediction_{number - 1}", f"prediction_{number}", "next")
    chain = why(record, "prediction_2999")
    assert len(chain.ids()) == 2999
    assert len(json.dumps(chain.to_dict())) > 2999
    drawn = chain.to_text(depth=5).splitlines()
    assert len(drawn) == 6
    assert drawn[-1].endswith("next: prediction_2994  (continues: everloop why prediction_2994)")
    assert len(chain.to_text(depth=5000).splitlines()) == 2999


def test_a_thing_outside_is_told_with_what_is_known(record):
    chain = why(record, "prediction_5", facts={"score": 0.7}, causes=[("version_1", "version")])
    assert chain.causes[0].facts == {"score": 0.7}
    assert chain.causes[0].kind == "prediction"
    assert chain.links[0] == Link("version_1", "prediction_5", "version")


def test_what_nobody_knows(record):
    with pytest.raises(NotFound, match="alert_1"):
        why(record, "alert_2")
    with pytest.raises(NotFound, match="nothing with the id"):
        why(record, "prediction_1")


def test_looking_up_by_id_alone(record):
    record.add(RunRow("anything", "flights", NOON))
    assert lookup(record, "anything") == RunRow("anything", "flights", NOON)
    assert isinstance(lookup(record, "alert_1"), AlertRow)
