"""Trying again what can succeed later."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from everloop.core.clock import Clock
from everloop.core.errors import EverloopError

FIRST_WAIT = 1.0
LONGEST_WAIT = 30.0

T = TypeVar("T")


def attempt(
    work: Callable[[], T],
    *,
    retries: int,
    clock: Clock,
    on_retry: Callable[[EverloopError, float], None],
) -> T:
    """Does the work, and again after a retryable error, waiting 1, 2, 4 and at most 30 seconds.

    Args:
        work: What to do.
        retries: How often to repeat it.
        clock: Waits.
        on_retry: Told the error and the seconds until the next attempt.

    Raises:
        EverloopError: The last attempt's error.
    """
    for number in range(retries):
        try:
            return work()
        except EverloopError as error:
            if not error.retryable:
                raise
            wait = min(LONGEST_WAIT, FIRST_WAIT * 2**number)
            on_retry(error, wait)
            clock.sleep(wait)
    return work()
