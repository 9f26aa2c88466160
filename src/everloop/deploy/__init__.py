"""Phase 5: the gate that a version must pass, and the passage from a champion to a challenger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.deploy.candidate import Candidate
    from everloop.deploy.gate import Check, GateResult, Question, judge
    from everloop.deploy.release import apply_move, move_by_hand, project, release
    from everloop.deploy.rollout import Evidence, GuardFinding, Move, next_move

_WHERE = {
    "Candidate": "candidate",
    "Check": "gate",
    "Evidence": "rollout",
    "GateResult": "gate",
    "GuardFinding": "rollout",
    "Move": "rollout",
    "Question": "gate",
    "apply_move": "release",
    "judge": "gate",
    "move_by_hand": "release",
    "next_move": "rollout",
    "project": "release",
    "release": "release",
}

__all__ = [
    "Candidate",
    "Check",
    "Evidence",
    "GateResult",
    "GuardFinding",
    "Move",
    "Question",
    "apply_move",
    "judge",
    "move_by_hand",
    "next_move",
    "project",
    "release",
]

__getattr__ = lazy_names(__name__, _WHERE)
