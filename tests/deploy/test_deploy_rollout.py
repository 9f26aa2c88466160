"""Moves of a rollout, as a pure function and in the record."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from everloop.core.errors import RecordBusy, UsageFault
from everloop.deploy.release import BY_HAND, apply_move, move_by_hand, release
from everloop.deploy.rollout import (
    CLOSED_STATES,
    OPEN_STATES,
    STRATEGIES,
    Evidence,
    GuardFinding,
    Move,
    next_move,
    shares,
)
from everloop.deploy.versions import champion, deployment, new_version, open_rollout
from everloop.record import open_record
from everloop.record.rows import DecisionRow, DeploymentRow, RolloutRow, VersionRow
from everloop.spec import DeploySpec
from everloop.testing.memory_record import MemoryRecord

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
NOTHING = Evidence((), 0, 0.0)


def guard(answer):
    return GuardFinding("error_rate", answer, "<= 1%", "0 of 500")


def row(strategy, state="running", step=0, share=0.05):
    return RolloutRow("rollout_1", "a", NOON, "v1", "v2", strategy, state, step, share)


states = st.sampled_from((*OPEN_STATES, *CLOSED_STATES))
looks = st.builds(
    Evidence,
    st.lists(st.sampled_from(["harm", "fine", "undecided"]).map(guard), max_size=3).map(tuple),
    st.integers(0, 50_000),
    st.floats(0, 1e6),
    st.none() | st.sampled_from(["harm", "fine"]).map(guard),
    st.none() | st.floats(0, 1),
    st.integers(0, 4),
)
specs = st.builds(
    lambda name, hold, undecided: DeploySpec.model_validate(
        {"strategy": name, "hold": hold, "undecided": undecided}
    ),
    st.sampled_from(sorted(STRATEGIES)),
    st.sampled_from([{"requests": 500}, {"time": "10m"}]),
    st.sampled_from(["wait", "extend", "escalate", "roll_back"]),
)


@given(specs, states, st.integers(0, 3), looks, st.booleans())
def test_laws_of_every_move(spec, state, step, look, approve):
    plan = shares(spec)
    step = min(step, len(plan) - 1)
    rollout = row(spec.strategy, state, step, plan[step])
    move = next_move(rollout, spec, look, approve=approve)
    answers = {finding.answer for finding in look.guards}
    broken = look.split is not None and look.split.answer == "harm"
    assert move.reason
    if state in (*CLOSED_STATES, "paused"):
        assert move.kind == "wait"
    if state in ("running", "waiting") and ("harm" in answers or broken):
        assert (move.kind, move.share) == ("roll_back", 0.0)
    if look.requests == 0:
        assert move.kind in ("wait", "roll_back")
    if move.kind in ("promote", "ask"):
        assert state == "running"
        assert move.kind == ("ask" if approve else "promote")
        assert answers <= {"fine"}
    if move.kind in ("extend", "escalate"):
        assert (state, spec.undecided) == ("running", move.kind)
        assert "undecided" in answers
    if move.kind not in ("roll_back", "reweigh"):
        assert move.share >= rollout.share


@pytest.mark.parametrize(
    ("strategy", "step", "answer", "requests", "kind"),
    [
        ("canary", 0, "undecided", 499, "wait"),
        ("canary", 0, "undecided", 500, "advance"),
        ("canary", 2, "undecided", 500, "wait"),
        ("canary", 2, "fine", 500, "promote"),
        ("canary", 2, "undecided", 10_000, "roll_back"),
        ("canary", 2, "harm", 1, "roll_back"),
        ("ab", 0, "undecided", 500, "wait"),
        ("ab", 0, "fine", 500, "promote"),
        ("shadow", 0, "fine", 500, "promote"),
        ("shadow", 0, "undecided", 10_000, "roll_back"),
        ("blue_green", 0, "fine", 0, "wait"),
        ("blue_green", 0, "fine", 500, "promote"),
        ("blue_green", 0, "harm", 1, "roll_back"),
        ("bandit", 0, "fine", 500, "promote"),
        ("bandit", 0, "undecided", 500, "wait"),
    ],
)
def test_moves(strategy, step, answer, requests, kind):
    spec = DeploySpec(strategy=strategy)
    rollout = row(strategy, step=step, share=shares(spec)[step])
    assert next_move(rollout, spec, Evidence((guard(answer),), requests, 1.0), approve=False).kind == kind


@pytest.mark.parametrize(
    ("undecided", "extensions", "kind"),
    [
        ("wait", 0, "wait"),
        ("extend", 0, "extend"),
        ("extend", 2, "wait"),
        ("extend", 3, "roll_back"),
        ("escalate", 0, "escalate"),
        ("roll_back", 0, "roll_back"),
    ],
)
def test_without_evidence_the_file_says_what_is_done(undecided, extensions, kind):
    spec = DeploySpec(undecided=undecided, strategy="ab")
    requests = 20 * 500 * (1 + (extensions if extensions == 3 else 0))
    look = Evidence((guard("undecided"),), requests, 1.0, extensions=extensions)
    assert next_move(row("ab", share=0.5), spec, look, approve=False).kind == kind


def test_a_bandit_follows_what_the_arms_are_worth_within_limits():
    spec = DeploySpec(strategy="bandit")
    for preference, share in [(0.7, 0.7), (1.0, 0.95), (0.0, 0.05)]:
        look = Evidence((guard("undecided"),), 600, 1.0, preference=preference)
        move = next_move(row("bandit", share=0.5), spec, look, approve=False)
        assert (move.kind, move.share) == ("reweigh", share)
    assert next_move(row("bandit", share=0.7), spec, look, approve=False).kind == "reweigh"


def test_a_share_is_not_given_back_when_the_file_was_edited():
    spec = DeploySpec(steps=(0.01, 0.02, 1.0))
    assert next_move(row("canary", share=0.5), spec, Evidence((), 500, 0.0), approve=False).share == 0.5


@pytest.fixture(params=["memory", "sqlite"])
def record(request, tmp_path):
    opened = MemoryRecord() if request.param == "memory" else open_record(f"sqlite:///{tmp_path}/record.db")
    with opened:
        yield opened


def add_version(record, number):
    version = new_version("a", number, NOON + timedelta(seconds=number), package=f"p{number}")
    record.add(version)
    return version


@pytest.fixture
def started(record):
    """A champion that serves and a canary beside it."""
    release(record, add_version(record, 1), DeploySpec(), NOON)
    release(record, add_version(record, 2), DeploySpec(), NOON)
    return open_rollout(record, "a")


def counts(record):
    return tuple(len(record.find(kind)) for kind in (DecisionRow, DeploymentRow, RolloutRow))


def test_first_release_serves_at_once(record):
    version = add_version(record, 1)
    decision = release(record, version, DeploySpec(), NOON)
    assert (decision.kind, decision.answer) == ("release", "champion")
    assert champion(record, "a").status == "champion"
    assert open_rollout(record, "a") is None
    assert release(record, version, DeploySpec(), NOON).id == decision.id
    assert counts(record) == (1, 1, 0)


def test_a_past_that_is_lived_again_splits_its_requests_alike():
    """The arms are drawn by the rollout's id: of the same versions at the same time, after the same history."""

    def begun(at, first, second):
        record = MemoryRecord()
        release(record, add_version(record, first), DeploySpec(), NOON)
        release(record, add_version(record, second), DeploySpec(), at)
        return open_rollout(record, "a").id

    assert begun(NOON, 1, 2) == begun(NOON, 1, 2)
    others = {begun(NOON, 1, 3), begun(NOON, 2, 3), begun(NOON + timedelta(seconds=1), 1, 2)}
    assert len(others | {begun(NOON, 1, 2)}) == 4


def test_a_rollout_that_is_begun_again_splits_anew(record, started):
    version = record.get(VersionRow, started.challenger)
    apply_move(record, started, Move("roll_back", "harm", 0, 0.0), NOTHING, NOON)
    release(record, replace(version, status="candidate"), DeploySpec(), NOON)
    again = open_rollout(record, "a")
    assert again is not None
    assert again.id != started.id


def test_second_release_starts_a_rollout_once(record, started):
    assert (started.state, started.step, started.share, started.strategy) == ("running", 0, 0.05, "canary")
    before = counts(record)
    release(record, record.get(VersionRow, started.challenger), DeploySpec(), NOON)
    assert counts(record) == before
    with pytest.raises(UsageFault, match="A rollout is under way") as found:
        release(record, add_version(record, 3), DeploySpec(), NOON)
    assert "rollout" in found.value.hint
    assert counts(record) == before


@pytest.mark.parametrize(
    ("kind", "state", "statuses"),
    [
        ("promote", "promoted", ("retired", "champion")),
        ("roll_back", "rolled_back", ("champion", "refused")),
        ("advance", "running", ("champion", "challenger")),
        ("ask", "waiting", ("champion", "challenger")),
    ],
)
def test_a_move_is_written_whole(record, started, kind, state, statuses):
    decision = apply_move(record, started, Move(kind, 1, 0.25, "why"), NOTHING, NOON)
    assert record.get(RolloutRow, started.id).state == state
    assert (decision.answer, decision.reason) == (kind, "why")
    found = tuple(record.get(VersionRow, key).status for key in (started.champion, started.challenger))
    assert found == statuses
    assert deployment(record, "a").generation == 3


def test_waiting_writes_nothing(record, started):
    before = counts(record)
    assert apply_move(record, started, Move("wait", 0, 0.05, "holds"), NOTHING, NOON) is None
    assert counts(record) == before


def test_a_move_that_dies_in_the_middle_leaves_nothing(record, started, monkeypatch):
    before, generation = counts(record), deployment(record, "a").generation

    def die(*_):
        raise RuntimeError("killed")

    monkeypatch.setattr("everloop.deploy.release.set_status", die)
    with pytest.raises(RuntimeError, match="killed"):
        apply_move(record, started, Move("promote", 0, 1.0, "why"), NOTHING, NOON)
    assert (counts(record), deployment(record, "a").generation) == (before, generation)
    assert record.get(RolloutRow, started.id) == started


def test_a_second_controller_is_refused(record, started):
    advance = Move("advance", 1, 0.25, "why")
    apply_move(record, started, advance, NOTHING, NOON)
    before = counts(record)
    with pytest.raises(RecordBusy, match="has moved since"):
        apply_move(record, started, advance, NOTHING, NOON)
    move_by_hand(record, record.get(RolloutRow, started.id), "abort", NOON, who="me")
    with pytest.raises(UsageFault, match="has ended: aborted"):
        apply_move(record, started, advance, NOTHING, NOON)
    assert counts(record) == (before[0] + 1, before[1] + 1, before[2])


@pytest.mark.parametrize(("first", "second"), [("promote", "roll_back"), ("roll_back", "promote")])
def test_what_has_ended_is_not_moved_by_a_slow_controller(record, started, first, second):
    moves = {kind: Move(kind, 0, 1.0 if kind == "promote" else 0.0, "r") for kind in (first, second)}
    apply_move(record, started, moves[first], NOTHING, NOON)
    ended = record.get(RolloutRow, started.id)
    with pytest.raises(UsageFault, match="has ended"):
        apply_move(record, ended, moves[second], NOTHING, NOON)
    assert record.get(RolloutRow, started.id) == ended


@pytest.mark.parametrize("state", [*OPEN_STATES, *CLOSED_STATES])
@pytest.mark.parametrize("verb", sorted(BY_HAND))
def test_by_hand(record, started, state, verb):
    rollout = replace(started, state=state)
    record.put(rollout)
    allowed, leads_to = BY_HAND[verb]
    if state in allowed:
        decision = move_by_hand(record, rollout, verb, NOON, who="me", reason="tested")
        assert (decision.reason, decision.facts["who"]) == ("tested", "me")
        assert record.get(RolloutRow, started.id).state == leads_to
    else:
        with pytest.raises(UsageFault):
            move_by_hand(record, rollout, verb, NOON, who="me")
        assert record.get(RolloutRow, started.id) == rollout


def test_who_may_not_approve_is_told_who_may_and_not_how_to_pose_as_them(record, started):
    waiting = replace(started, state="waiting")
    record.put(waiting)
    with pytest.raises(UsageFault, match="mallory may not approve") as found:
        move_by_hand(record, waiting, "approve", NOON, who="mallory", approvers=("ada", "grace"))
    assert "ada or grace" in found.value.hint
    assert "--who" not in found.value.hint


@pytest.mark.parametrize(
    ("why", "told"), [("", "by hand, ada"), ("the season begins", "the season begins (ada)")]
)
def test_a_rollout_that_a_person_begins_keeps_who_and_why(record, why, told):
    release(record, add_version(record, 1), DeploySpec(), NOON)
    decision = release(record, add_version(record, 2), DeploySpec(), NOON, who="ada", reason=why)
    assert (decision.facts["who"], decision.facts["share"]) == ("ada", 0.05)
    assert decision.reason == f"v2 passed its gate; canary of 5% beside v1; {told}"
