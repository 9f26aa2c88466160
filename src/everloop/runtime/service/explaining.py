"""Reasons on request: a few at once, many aside, so that nobody else waits for them.

Reasons ask the model once for each input of a row. Of a few inputs that is less than handing over to a
thread; of thousands it takes seconds, so a thread of its own asks while the event loop answers others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from everloop.runtime.http import Refusal
from everloop.runtime.service.arms import AT_ONCE

if TYPE_CHECKING:
    from everloop.runtime.explain import Reason
    from everloop.runtime.service.served import Asked
    from everloop.runtime.service.shedding import Shedding

MOST_QUESTIONS = 100_000
"""So many questions to the model a request of several rows may come to; one row is always explained."""
MOST_WAITING = 8
"""So many requests may wait for the thread, the one that is explained included."""


class Explaining:
    """Gives reasons for answers. Used from one event loop.

    Args:
        shedding: Gives the refusal where too many wait.
    """

    def __init__(self, shedding: Shedding) -> None:
        self._shedding = shedding
        self._turn = asyncio.Lock()
        self._waiting = 0

    @contextmanager
    def taken(self, asked: Sequence[Asked]) -> Iterator[None]:
        """Takes rows that are to be explained, or refuses them before they are answered.

        Raises:
            Refusal: 422 when a version gives no reasons, 413 when a request asks for too much, 503 when
                too many requests wait for theirs.
        """
        _require_reference(asked)
        questions = sum(one.loaded.package.questions for one in asked)
        if len(asked) > 1 and questions > MOST_QUESTIONS:
            most = max(1, MOST_QUESTIONS * len(asked) // questions)
            raise Refusal(
                413,
                "There are too many rows.",
                f"Expected at most {most} with reasons: each asks the model once for each of its inputs.",
            )
        aside = _seconds(asked) > AT_ONCE
        if aside and self._waiting >= MOST_WAITING:
            raise self._shedding.unavailable("reasons", "Too many requests wait for their reasons.")
        self._waiting += aside
        try:
            yield
        finally:
            self._waiting -= aside

    async def reasons(self, asked: Sequence[Asked], most: int) -> list[tuple[Reason, ...]]:
        """Gives the strongest reasons for each row's score.

        Args:
            asked: Rows that were taken.
            most: How many reasons a row gets at most.

        Raises:
            Refusal: 422 when a version gives no reasons.
        """
        _require_reference(asked)  # the champion may have stood in for a version that has one
        if _seconds(asked) <= AT_ONCE:
            return _reasons(asked, most)
        async with self._turn:
            return await asyncio.to_thread(_reasons, asked, most)


def _reasons(asked: Sequence[Asked], most: int) -> list[tuple[Reason, ...]]:
    return [one.loaded.package.explain(one.row, most) for one in asked]


def _seconds(asked: Sequence[Asked]) -> float:
    """Gives about how long the reasons of rows will take."""
    return sum(one.loaded.reasons_take for one in asked)


def _require_reference(asked: Sequence[Asked]) -> None:
    if not all(one.loaded.package.explains for one in asked):
        told = "Its package has no explain.npz; ask without 'explain'."
        raise Refusal(422, "This version gives no reasons.", told)
