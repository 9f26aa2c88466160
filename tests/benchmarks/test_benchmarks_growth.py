"""How the growth benchmark names an order of growth, and holds each cost against what it is meant to be."""

import time

import pytest

from benchmarks import growth_cost
from benchmarks.growth_cost import Cost, grown, measured_at, order, processor
from benchmarks.timing import Timing

POWERS = {"flat": 0.0, "linear": 1.0, "quadratic": 2.0}


def timings(power):
    return {size: Timing((float(size) ** power,)) for size in (100, 400, 1600)}


@pytest.mark.parametrize("name", POWERS)
def test_the_order_is_the_power_of_the_size(name):
    assert order(timings(POWERS[name])) == pytest.approx(POWERS[name])


@pytest.mark.parametrize(("law", "met"), [("flat", {"flat"}), ("linear", {"flat", "linear"})])
def test_what_grows_faster_than_it_is_meant_to_does_not_meet_its_goal(law, met):
    cost = Cost("work", "rows", 100, lambda folder, size: time.process_time, law=law)
    for name, power in POWERS.items():
        first, last = grown(cost, timings(power), goal=True)
        assert first.verdict == ""
        assert (last.verdict == "met") == (name in met)
        assert (last.what, last.beside) == ("work, 1,600 rows", "400")


def test_a_cost_is_measured_on_what_was_made_for_its_size(tmp_path):
    made = []
    cost = Cost("work", "rows", 2, lambda folder, size: made.append(size) or (lambda: float(size)))
    assert cost.sizes(quick=True) == (2, 8)
    measured = {size: measured_at(cost, size) for size in cost.sizes(quick=False)}
    assert made == [2, 8, 32]
    assert [timing.median for timing in measured.values()] == [2.0, 8.0, 32.0]
    assert all(len(timing.rounds) == growth_cost.ROUNDS for timing in measured.values())


def test_processor_seconds_are_those_of_the_work():
    assert processor(lambda: time.sleep(0.2))() < 0.15
    assert processor(lambda: sum(range(3_000_000)))() > 0.005
