"""Routing: shares are met, nest as they grow, and stay the same everywhere."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from everloop.core.errors import DataFault, NotFound
from everloop.runtime.routing import Arm, Routing, choose_arm, position_of, read_routing, write_routing


def routing(share, strategy="canary", salt="r1"):
    return Routing("loan", 3, Arm(7, "v7"), Arm(8, "v8", share, strategy, salt))


@pytest.mark.parametrize("share", [0.01, 0.05, 0.25, 0.5, 0.9])
def test_the_share_is_met(share):
    hits = sum(choose_arm(routing(share), f"customer-{n}") == "challenger" for n in range(20_000))
    assert binomtest(hits, 20_000, share).pvalue > 1e-4


@given(st.text(max_size=20), st.floats(0, 1), st.floats(0, 1))
def test_shares_nest(key, first, second):
    low, high = sorted([first, second])
    if choose_arm(routing(low), key) == "challenger":
        assert choose_arm(routing(high), key) == "challenger"


def test_extremes_and_shadow():
    keys = [str(n) for n in range(1000)]
    assert {choose_arm(routing(0.0), key) for key in keys} == {"champion"}
    assert {choose_arm(routing(1.0), key) for key in keys} == {"challenger"}
    assert {choose_arm(routing(1.0, "shadow"), key) for key in keys} == {"champion"}
    assert {choose_arm(Routing("loan", 1, Arm(7, "v7")), key) for key in keys} == {"champion"}


def test_another_process_chooses_the_same():
    code = "from everloop.runtime.routing import position_of; print(*[position_of(str(n), 's') for n in range(50)])"
    there = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert there == [str(position_of(str(n), "s")) for n in range(50)]


def test_another_salt_chooses_others():
    keys = [str(n) for n in range(5000)]
    first = {key for key in keys if choose_arm(routing(0.1, salt="a"), key) == "challenger"}
    second = {key for key in keys if choose_arm(routing(0.1, salt="b"), key) == "challenger"}
    assert binomtest(len(first & second), len(first), 0.1).pvalue > 1e-4


def test_round_trip(tmp_path):
    write_routing(tmp_path / "routing.json", routing(0.25))
    assert read_routing(tmp_path / "routing.json") == routing(0.25)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"\xff",
        b"{}",
        b'{"lifecycle":"x","generation":1,"champion":{"version":1,"package":"p"},"format":2}',
        b'{"lifecycle":"x","generation":1,"champion":{"version":1,"package":"p","share":2.0}}',
        b'{"lifecycle":"x","generation":1,"champion":{"version":1,"package":"p","strategy":"coin"}}',
        b'{"lifecycle":"x","generation":1,"champion":{"version":1,"package":"p"},"unknown":2}',
    ],
)
def test_what_is_no_routing_is_refused(tmp_path, text):
    (tmp_path / "routing.json").write_bytes(text)
    with pytest.raises(DataFault):
        read_routing(tmp_path / "routing.json")


def test_a_routing_that_is_not_there(tmp_path):
    with pytest.raises(NotFound, match=r"routing\.json"):
        read_routing(tmp_path / "routing.json")
