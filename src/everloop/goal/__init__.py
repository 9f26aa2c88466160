"""Phase 1: what a decision is worth today, what it could be worth, and what the goal requires."""

from everloop.goal.api import brief
from everloop.goal.brief import Brief

__all__ = ["Brief", "brief"]
