"""What `everloop rollout status` says of a rollout that waits, without one under way."""

import pytest

from everloop.cli.rollout import _next

LOOK = {"next": "wait", "reason": "too few requests"}


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
    assert _next({"state": state, "look": look}) == said
