"""What each turn of the loop asks for is found by an index, however much there is."""

import sqlite3

import pytest

from everloop.record import open_record

ASKED = {
    "everloop_windows_by_until": "everloop_windows where lifecycle = 'a' order by until desc nulls last, id desc limit 1",
    "everloop_windows_by_status": "everloop_windows where lifecycle = 'a' and status = 'open' order by at, id",
    "everloop_decisions_by_kind": "everloop_decisions where lifecycle = 'a' and kind = 'b' order by at desc, id desc limit 1",
    "everloop_rollouts_by_state": "everloop_rollouts where lifecycle = 'a' and state = 'running'",
}  # fmt: skip


@pytest.mark.parametrize("index", ASKED)
def test_a_lookup_goes_by_its_index(tmp_path, index):
    open_record(f"sqlite:///{tmp_path}/record.db").close()
    with sqlite3.connect(tmp_path / "record.db") as connection:
        plan = connection.execute(f"explain query plan select * from {ASKED[index]}").fetchall()
    assert index in plan[0][-1]
