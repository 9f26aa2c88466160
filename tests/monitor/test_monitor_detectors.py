"""Detectors that answer at each event, held to river's own."""

import json

import numpy as np
import pytest
from river import drift as river

from everloop.core.errors import UsageFault
from everloop.monitor import Detector, detector

CHANGING = np.r_[
    np.random.default_rng(0).normal(0, 1, 300),
    np.random.default_rng(1).normal(2, 1, 150),
    np.random.default_rng(2).normal(-1, 3, 150),
].tolist()

KINDS = {
    "adwin": (river.ADWIN, {}),
    "page_hinkley": (lambda: river.PageHinkley(threshold=60), {"threshold": 60}),
    "kswin": (lambda: river.KSWIN(alpha=0.001, seed=0), {"alpha": 0.001}),
}


def rivers(kind):
    inner, found = KINDS[kind][0](), []
    for place, value in enumerate(CHANGING):
        inner.update(value)
        if inner.drift_detected:
            found.append(place)
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_changes_are_found_where_river_finds_them(kind):
    found = detector(kind, **KINDS[kind][1]).run(CHANGING)
    assert found == rivers(kind)
    assert found
    assert 300 <= found[0] < 400


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_remembered_goes_on_where_it_stopped(kind):
    """Written and read again after each stretch of events, those on which a change is found among them."""
    found, reader = [], detector(kind, **KINDS[kind][1])
    for start in range(0, len(CHANGING), 37):
        found += [start + place for place in reader.run(CHANGING[start : start + 37])]
        reader = Detector.from_dict(json.loads(json.dumps(reader.to_dict(), allow_nan=False)))
    assert found == rivers(kind)
    for place in rivers(kind)[:2]:
        reader = detector(kind, **KINDS[kind][1])
        reader.run(CHANGING[: place + 1])
        again = Detector.from_dict(json.loads(json.dumps(reader.to_dict())))
        assert again.run(CHANGING[place + 1 :]) == reader.run(CHANGING[place + 1 :])


@pytest.mark.parametrize("kind", KINDS)
def test_its_memory_does_not_grow_with_the_events(kind):
    reader = detector(kind, **KINDS[kind][1])
    reader.run(np.random.default_rng(5).random(500 if kind == "kswin" else 50_000))
    assert len(json.dumps(reader.to_dict())) < 16_000


def test_what_another_release_remembers_begins_anew():
    reader = detector("adwin")
    reader.run(CHANGING[:200])
    fresh = Detector.from_dict(reader.to_dict() | {"river": "0.1", "memory": "other"})
    assert fresh.run(CHANGING[200:]) == detector("adwin").run(CHANGING[200:])


def test_unknown_detectors_and_options_are_named():
    with pytest.raises(UsageFault, match="known are adwin"):
        detector("cusum")
    with pytest.raises(UsageFault, match="takes delta"):
        detector("adwin", threshold=3)
