"""Guards: what must hold during a rollout, each answered validly at any look.

A guard says harm, fine (shown to be no worse, or to keep its bound) or undecided. `table.GUARDS` names
them; each takes what is known of the rollout (`look.Look`), what the file requires, and its part of the
error that all of them may make together (`look.Budget`). No data is undecided, never fine.
"""

from __future__ import annotations

from everloop.deploy.guards.look import Budget, Look, Requests
from everloop.deploy.guards.seen import seen
from everloop.deploy.guards.split import split_finding
from everloop.deploy.guards.table import GUARDS, guarded, look_at, require_known
from everloop.deploy.guards.value import FROM_ACTUALS

__all__ = [
    "FROM_ACTUALS",
    "GUARDS",
    "Budget",
    "Look",
    "Requests",
    "guarded",
    "look_at",
    "require_known",
    "seen",
    "split_finding",
]
