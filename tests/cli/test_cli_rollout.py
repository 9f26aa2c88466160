"""What `everloop rollout` says where there is nothing to move, and of how a shadow and its guards do."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from everloop.cli.rollout import _render, move_rollout
from everloop.core.errors import NotFound
from everloop.loop.rollout_status import awaited, difference_of, evidence_of
from everloop.record.rows import RolloutRow
from everloop.testing.memory_record import MemoryRecord

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
LOOK = {"next": "wait", "reason": "too few requests"}
ODDS = {"odds_of_harm": 1.25, "needed_for_harm": 50.0, "odds_of_none": 40.0, "needed_for_none": 20.0}
GUARD = {"name": "mae", "answer": "undecided", "found": "3", "required": "better", "evidence": ODDS}


@pytest.mark.parametrize(
    ("state", "look", "said"),
    [
        ("running", LOOK, "wait: too few requests"),
        ("running", None, "nobody has looked at it yet: everloop up"),
        ("waiting", LOOK, "a person decides: everloop rollout approve, or reject"),
        ("paused", None, "a person decides: everloop rollout resume, promote or abort"),
        ("promoted", LOOK, None),
    ],
)
def test_status_says_what_a_rollout_waits_for(state, look, said):
    assert awaited(state, look) == said


def test_status_says_how_far_a_guard_is_from_an_answer():
    assert evidence_of(GUARD) == "of harm 1.25 of 50, of no harm enough"
    assert evidence_of(GUARD | {"evidence": {"low": 0.0, "high": 0.1}}) == ""


def test_status_says_how_a_shadow_differs():
    seen = {"agreement": 0.92, "score_moved_by": 0.05, "score_shift": -0.01}
    look = LOOK | {"seen": seen | {"value_difference": 0.5, "actuals": 40}, "guards": [GUARD], "split": None}
    alike, worth = difference_of(look)
    assert alike.startswith("both decide 92% of rows alike; scores moved by 0.05")
    assert worth == "its decisions would have been worth +0.50 each against the champion's, on 40 rows"
    facts = {"rollout": "rollout_1", "state": "running", "strategy": "shadow", "step": 1, "steps": 1}
    facts |= {"champion": "v1", "challenger": "v2", "share": 0.0, "since": NOON, "decisions": []}
    text = _render(facts | {"look": look, "next": "wait: too few requests"})
    for said in ("shadow running, step 1 of 1", "evidence of harm 1.25 of 50", "92% of rows alike"):
        assert said in text


@pytest.mark.parametrize(
    ("ended", "said", "hint"),
    [
        (None, "No rollout of a is under way.", "everloop rollout start VERSION"),
        ("rolled_back", "under way; the last one was rolled back.", "everloop rollout status"),
        ("aborted", "under way; the last one was aborted.", "everloop rollout status"),
    ],
)
def test_a_move_without_a_rollout_says_how_the_last_one_ended(ended, said, hint):
    with MemoryRecord() as record:
        if ended:
            record.add(RolloutRow("rollout_1", "a", NOON, "v1", "v2", "ab", ended, 0, 0.5))
        with pytest.raises(NotFound) as found:
            move_rollout(SimpleNamespace(record=record, name="a"), "abort", who="ada", reason="")
    assert said in found.value.message
    assert found.value.hint == hint
