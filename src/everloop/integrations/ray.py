"""Trials on a Ray cluster: `model: {tuner: ray}`.

The search is the same one; only where a fold of a trial is fitted differs, so with a number of trials
the same seed gives the same search as without a cluster. The cluster is the one that `RAY_ADDRESS` names
(it needs the same Everloop installed); without it one is started on this machine and ended with the search.
What a fold needs travels with its task, by Ray's own means, between machines that trust each other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from everloop.core.extras import require
from everloop.model.contained import Outcome, run_here

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from everloop.model.contained import Task


@dataclass(slots=True)
class _Sent:
    task: Task
    started: float


class RayWorkers:
    """Runs tasks on a Ray cluster; use it as a context manager.

    Args:
        count: How many tasks at once.
    """

    def __init__(self, count: int) -> None:
        # Ray tells its makers of its use, unless it is told not to.
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray = require("ray", extra="ray")
        self._count = max(1, count)
        self._sent: dict[Any, _Sent] = {}
        self._ours = False

    def __enter__(self) -> Self:
        if not self._ray.is_initialized():
            quiet = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
            where = {} if os.environ.get("RAY_ADDRESS") else {"num_cpus": self._count, **_LOOPBACK}
            if where:
                self._ray.init(**where, **quiet)
            else:
                self._ray.init(log_to_driver=False, configure_logging=False)
            self._ours = True
        self._run = self._ray.remote(num_cpus=1, max_retries=0)(_run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sent in list(self._sent):
            self._ray.cancel(sent, force=True)
        self._sent.clear()
        if self._ours:
            self._ray.shutdown()

    @property
    def free(self) -> bool:
        """Whether another task can be started now."""
        return len(self._sent) < self._count

    @property
    def busy(self) -> bool:
        """Whether an outcome is to come."""
        return bool(self._sent)

    def start(self, task: Task) -> None:
        """Starts a task on the cluster, a small one too."""
        self._sent[self._run.remote(task.function)] = _Sent(task, time.perf_counter())

    def wait(self) -> Outcome:
        """Waits for the next outcome; a task that is late is ended."""
        while True:
            now = time.perf_counter()
            left = min(sent.started + sent.task.seconds - now for sent in self._sent.values())
            timeout = None if left == float("inf") else max(0.0, left)
            done, _ = self._ray.wait(list(self._sent), num_returns=1, timeout=timeout)
            if done:
                return self._outcome(done[0], self._sent.pop(done[0]))
            late = next((ref for ref, sent in self._sent.items() if _late(sent)), None)
            if late is not None:
                sent = self._sent.pop(late)
                self._ray.cancel(late, force=True)
                seconds = time.perf_counter() - sent.started
                return Outcome(sent.task.key, {}, f"out of time: ended after {seconds:.1f} s", seconds)

    def _outcome(self, ref: Any, sent: _Sent) -> Outcome:
        try:
            values, error, seconds = self._ray.get(ref)
        except self._ray.exceptions.RayError as lost:
            told = str(lost).strip().splitlines()[0] if str(lost).strip() else type(lost).__name__
            return Outcome(sent.task.key, {}, f"crashed: {told}", time.perf_counter() - sent.started)
        return Outcome(sent.task.key, values, error, seconds)


_LOOPBACK: dict[str, Any] = {"_node_ip_address": "127.0.0.1"}


def _late(sent: _Sent) -> bool:
    return time.perf_counter() >= sent.started + sent.task.seconds


def _run(function: Callable[[], Mapping[str, Any]]) -> tuple[Mapping[str, Any], str | None, float]:
    """Is executed on the cluster: one thread, as in the children of a search on this machine."""
    from threadpoolctl import threadpool_limits

    from everloop.model.contained import Task

    with threadpool_limits(limits=1):
        found = run_here(Task(None, function))
    return found.values, found.error, found.seconds
