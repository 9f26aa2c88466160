"""Rows of requests that wait at the same moment, answered at once: adaptive batching without a delay.

Nothing waits for company: what arrived in the same turn of the event loop is answered together, and
where requests come one by one each is answered at once. Whether it pays is a property of the model: a
graph whose call costs more than its rows gains, one whose rows cost does not; so it is measured when the
version is loaded.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from everloop.runtime.package import Answer
    from everloop.runtime.service.bounds import Answers

Told = Callable[["Answer | Exception"], None]

MOST_TOGETHER = 48
"""Above 50 rows onnxruntime evaluates trees in another order, which costs more a row."""

_MEASURED_ROWS, _MEASURED_CALLS = 8, 5
_WORTH = 0.6
_LONGEST_ALONE = 16


class Together:
    """Answers single rows, several at once where that pays. Used from one event loop.

    Args:
        answers: What answers rows, as `Package.answers`.

    Attributes:
        pays: Whether rows are gathered at all.
        ratio: What a row costs among several, beside what it costs alone, as measured when it was made.
        seconds: What a row took among several then.
    """

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.ratio, self.seconds = _measured(answers)
        self.pays = self.ratio < _WORTH
        self._waiting: list[tuple[Mapping[str, Any], Told]] = []
        self._alone = 0
        self._pause = 1

    def ask(self, row: Mapping[str, Any], told: Told) -> None:
        """Has a row answered, now or at the end of this turn of the event loop.

        Args:
            row: As `Package.answer` takes it.
            told: Called with the answer, or with what went wrong.
        """
        if self._alone > 0 or not self.pays:
            self._alone -= 1
            self._answer([(row, told)])
            return
        self._waiting.append((row, told))
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._answer_all)
        elif len(self._waiting) == MOST_TOGETHER:
            self._answer_all()

    async def answer(self, row: Mapping[str, Any]) -> Answer:
        """Answers a row, as `Package.answer` does."""
        promise: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def told(answer: Answer | Exception) -> None:
            if promise.done():
                return
            if isinstance(answer, Exception):
                promise.set_exception(answer)
            else:
                promise.set_result(answer)

        self.ask(row, told)
        return await promise

    def _answer_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        # Whoever was alone again and again is looked after less and less often.
        self._pause = min(2 * self._pause, _LONGEST_ALONE) if len(waiting) == 1 else 1
        self._alone = self._pause if len(waiting) == 1 else 0
        self._answer(waiting)

    def _answer(self, asked: list[tuple[Mapping[str, Any], Told]]) -> None:
        try:
            answers: Sequence[Answer | Exception] = self._answers([row for row, _ in asked])
        except Exception as error:  # noqa: BLE001  (whoever waits has to hear of it, whatever it is)
            if len(asked) > 1:  # what fails on one row is not the others' matter
                for one in asked:
                    self._answer([one])
                return
            answers = [error]
        for (_, told), answer in zip(asked, answers, strict=True):
            told(answer)


def _measured(answers: Answers) -> tuple[float, float]:
    """Gives what a row costs among several beside what it costs alone, and the seconds that it takes.

    The first calls warm the graph up, before anyone asks.

    A model that fails on a row of nothing but missing values is not gathered for.
    """
    alone, together = [], []
    for _ in range(_MEASURED_CALLS):
        start = time.perf_counter()
        try:
            answers([{}])
            middle = time.perf_counter()
            answers([{}] * _MEASURED_ROWS)
        except Exception:  # noqa: BLE001  (requests tell what is wrong with it)
            return math.inf, math.inf
        alone.append(middle - start)
        together.append((time.perf_counter() - middle) / _MEASURED_ROWS)
    return min(together) / min(alone), min(together)
