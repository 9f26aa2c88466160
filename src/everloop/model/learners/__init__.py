"""Learners: one file for each, found by name.

Example:
    >>> from everloop.model.learners import learners_for
    >>> [one.name for one in learners_for("binary", ("lightgbm", "linear"))]
    ['linear', 'lightgbm']
"""

from everloop.model.learners.learner import Capabilities, Learner, Parameter, Task
from everloop.model.learners.registry import known_learners, learner, learners_for

__all__ = ["Capabilities", "Learner", "Parameter", "Task", "known_learners", "learner", "learners_for"]
