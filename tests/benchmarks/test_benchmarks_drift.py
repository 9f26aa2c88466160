"""How the drift benchmark deals with its peers: those that answer, and those that do not end."""

import sys
from pathlib import Path

import pytest

from benchmarks import drift, timing
from benchmarks.figures import Options

SCRIPTS = {
    "that answers": "import sys\nfor line in sys.stdin: print([0.5] * int(line), flush=True)",
    "that never ends": "import time\ntime.sleep(600)",
}


@pytest.fixture
def beside(monkeypatch, tmp_path):
    """Measures small tables beside a peer that is a script of the test."""

    def measured(kind, most):
        script = tmp_path / "peer.py"
        script.write_text(SCRIPTS[kind])
        monkeypatch.setattr(drift, "PEERS", {"peer": (f"A peer {kind}", str(script), 10)})
        monkeypatch.setattr(drift, "python_of", lambda name, *, install: Path(sys.executable))
        monkeypatch.setattr(drift, "MOST_SECONDS", most)
        monkeypatch.setattr(drift, "COLUMNS", 2)
        monkeypatch.setattr(timing, "REST_SECONDS", 0.0)
        before, after = drift.table(100, 0, 0.0), drift.table(100, 1, 0.2)
        return drift._beside(before, after, [], Options(quick=True, peers=True))

    return measured


def test_a_peer_that_does_not_end_is_cut_off_and_gives_a_bound(beside):
    (ours, ratio), (note,) = beside("that never ends", most=0.5)
    assert (ours.beside, ours.other) == ("A peer that never ends", 0.5)
    assert ratio.value == pytest.approx(0.5 / ours.value)
    assert "did not end within 0.5 s on 100 rows: its figure and the ratio are lower bounds" in note


def test_a_short_peer_is_measured_in_turns_with_ours(beside):
    (ours, ratio), notes = beside("that answers", most=30.0)
    assert (ours.beside, ours.other) == ("A peer that answers", 0.5)
    assert ratio.value == pytest.approx(0.5 / ours.value)
    assert not notes
