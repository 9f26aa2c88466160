"""A controller for tests that contend: a program that tries again and again to end one rollout its way."""

from __future__ import annotations

__all__ = ["CONTEST"]

CONTEST = """
import sys
from everloop.core.clock import SystemClock
from everloop.core.errors import EverloopError
from everloop.deploy.release import apply_move
from everloop.deploy.rollout import Evidence, Move
from everloop.deploy.versions import open_rollout
from everloop.record import open_record
from everloop.record.rows import RolloutRow

url, kind, start, tries = sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4])
move = Move(kind, 0, 1.0 if kind == "promote" else 0.0, "contest")
made = 0
with open_record(url) as record:
    rollout = open_rollout(record, "a") or record.find(RolloutRow)[0]
    clock = SystemClock()
    clock.sleep(max(0.0, start - clock.now().timestamp()))
    for _ in range(tries):
        try:
            apply_move(record, rollout, move, Evidence((), 0, 0.0), clock.now())
            made += 1
        except EverloopError:
            pass
print(made)
"""
"""Arguments: the record's address, `promote` or `roll_back`, when to begin (seconds since 1970), how often.

It decides on the state that it read before the beginning, as a controller that was slow would, and prints
how many of its moves the record took.
"""
