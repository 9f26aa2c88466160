"""A graph's first work: waited for so long and no longer."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from everloop.core.errors import PackageRefused
from everloop.runtime.graph_engine import graph_engine

T = TypeVar("T")

TRIAL_SECONDS = 5.0
"""A graph that takes longer for one row is refused."""

LOAD_SECONDS, LOADED_BYTES_A_SECOND = 10.0, 2**20
"""Loading, which works out what a graph has of constants, takes longer only as a file is larger."""

_LAST_NODE_SECONDS = 0.5


def on_trial(work: Callable[[Any], T], name: str, seconds: float = TRIAL_SECONDS) -> T:
    """Gives what some work with a graph comes to, if it does in time.

    The engine can be stopped between two operators and not within one. So a thread of its own works: it is
    told to stop, and not waited for. It ends with its operator, or with the process, which it does not hold.

    Args:
        work: Called with the engine's options of a run, by which it can be stopped.
        name: The graph's file, for the message.
        seconds: How long it may take.

    Raises:
        PackageRefused: When it takes longer.
        Exception: What the work raises.
    """
    options = graph_engine().RunOptions()
    options.log_severity_level = 4
    found: Future[T] = Future()
    Thread(target=_do, args=(work, options, found), name="graph-trial", daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError:
        if found.done():
            raise
    options.terminate = True
    with suppress(TimeoutError):  # then it is within an operator
        found.exception(_LAST_NODE_SECONDS)
    raise PackageRefused(f"{name} cannot be run: it takes more than {seconds:.0f} s at first.")


def _do(work: Callable[[Any], T], options: Any, found: Future[T]) -> None:
    try:
        found.set_result(work(options))
    except BaseException as error:  # noqa: BLE001  (whoever waits is told)
        found.set_exception(error)
