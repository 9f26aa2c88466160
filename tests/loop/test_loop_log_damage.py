"""A damaged prediction log in the loop: windows hold what is whole, and what is lost is an alert, once."""

from datetime import timedelta

import pytest

from everloop.cli.status import read_status, render_status
from everloop.loop.loop import Loop
from everloop.loop.run import run_once
from everloop.record.rows import AlertRow, WindowRow
from everloop.runtime.log import PredictionLine, PredictionLog
from everloop.runtime.log.segment import MAGIC, pieces

from .test_loop_tick import START


@pytest.mark.slow
@pytest.mark.usefixtures("known_steps")
def test_what_a_damaged_log_lost_is_said_once_and_nothing_else_is_lost(workspace, clock):
    run_once(workspace, as_of=START)
    for part in range(3):
        with PredictionLog(workspace.log_folder) as log:
            for place in range(40 * part, 40 * part + 40):
                row = {"row_id": f"e{place}", "a": 0.1 * (place % 7), "b": 0.0, "site": "north"}
                moment = int((START + timedelta(minutes=10 * place)).timestamp() * 1e6)
                log.append(PredictionLine(f"e{place}", moment, 1, "champion", row, 0.3, "no", 9))
                if part == 0:
                    log.flush()  # each line in a frame of its own
    first, second, _ = sorted(workspace.log_folder.glob("*.seg"))
    content = bytearray(first.read_bytes())
    content[[end for _, _, end in pieces(bytes(content), len(MAGIC))][5] - 3] ^= 0xFF
    first.write_bytes(bytes(content))
    second.unlink()
    clock.advance_to(START + timedelta(days=6))
    ticks = [Loop(workspace).tick(act=False), Loop(workspace).tick(act=False)]
    told = [one.text for one in ticks[0].happenings if "prediction log" in one.text]
    assert len(told) == 1
    assert "predictions-0-00000001 in the prediction log is damaged from byte" in told[0]
    assert "predictions-0-00000002 in the prediction log is missing" in told[0]
    assert not any("prediction log" in one.text for one in ticks[1].happenings)
    alerts = [row for row in workspace.record.find(AlertRow) if row.kind == "log"]
    assert [row.message for row in alerts] == told
    assert sum(row.predictions for row in workspace.record.find(WindowRow)) == 39 + 40
    assert "predictions-0-00000001 in the prediction log" in render_status(read_status(workspace))
    # What was sealed with damage says so to who asks anew, and is no news.
    assert not first.exists()
    assert not any("prediction log" in one.text for one in Loop(workspace).tick(act=False).happenings)
