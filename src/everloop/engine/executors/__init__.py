"""Where steps are executed: one file for each executor, and the registry that names them.

Example:
    >>> from everloop.engine.executors import executor
    >>> executor("local").name
    'local'
"""

from everloop.engine.executors.executor import Executor
from everloop.engine.executors.local import LocalExecutor
from everloop.engine.executors.registry import EXECUTORS, executor

__all__ = ["EXECUTORS", "Executor", "LocalExecutor", "executor"]
