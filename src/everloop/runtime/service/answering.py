"""Rows answered by the versions that they were routed to; the champion stands in for the challenger."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from everloop.runtime.routing import CHALLENGER, PINNED
from everloop.runtime.service.problems import broken_rule, refused

if TYPE_CHECKING:
    from everloop.runtime.package import Answer
    from everloop.runtime.service.arms import ArmTable
    from everloop.runtime.service.joining import FeatureJoin
    from everloop.runtime.service.keeping import Keeping
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.served import Asked


class Answering:
    """Answers rows. What the challenger fails on the champion answers, outside the comparison.

    Args:
        arms: What is served.
        features: Joins what rows leave out.
        keeping: Where the challenger's failures are noted.
        metrics: Where they are counted.
    """

    def __init__(self, arms: ArmTable, features: FeatureJoin, keeping: Keeping, metrics: Metrics) -> None:
        self._arms, self._features, self._keeping, self._metrics = arms, features, keeping, metrics

    async def answers(self, asked: list[Asked], rows: Sequence[Any], started: float) -> list[Answer]:
        """Answers all rows.

        Args:
            asked: What is asked; a row that the champion stands in for is put anew.
            rows: The same rows as they were sent.
            started: `time.perf_counter` when the request came.

        Returns:
            One answer for each row, in order.
        """
        if len(asked) == 1:
            one = asked[0]
            try:
                return [await one.loaded.together.answer(one.row)]
            except Exception as error:  # noqa: BLE001  (whatever it is, the champion is asked)
                return [self.without_challenger(asked, 0, rows[0], started, error)]
        answers: dict[int, Answer] = {}
        for loaded in {id(one.loaded): one.loaded for one in asked}.values():
            places = [place for place, one in enumerate(asked) if one.loaded is loaded]
            try:
                found = loaded.answers([asked[place].row for place in places])
            except Exception as error:  # noqa: BLE001
                found = [
                    self.without_challenger(asked, place, rows[place], started, error) for place in places
                ]
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(asked))]

    def without_challenger(
        self, asked: list[Asked], place: int, sent: Mapping[str, Any], started: float, error: Exception
    ) -> Answer:
        """Has the champion answer what the challenger failed on.

        Args:
            asked: What is asked; the row's place is put anew.
            place: The row that failed.
            sent: The row as it was sent.
            started: `time.perf_counter` when the request came.
            error: How it failed; the champion's own failure is raised.

        Raises:
            Refusal: 422 when the row violates the champion's contract.
        """
        if asked[place].arm != CHALLENGER:
            raise error
        asked[place] = self._fall_back(asked[place], sent, started)
        return asked[place].loaded.package.answer(asked[place].row)

    def _fall_back(self, one: Asked, sent: Mapping[str, Any], started: float) -> Asked:
        """Notes the challenger's failure and gives the row to the champion."""
        self._keeping.note_refusal(one, "error", int((time.perf_counter() - started) * 1e6))
        self._metrics.add("everloop_fallbacks_total")
        champion = self._arms.serving.champion
        values, violations = champion.normalise(sent, joins=self._features.stored)
        if violations:
            raise refused("The row violates its contract.", [broken_rule(found) for found in violations])
        joined = self._features.join(champion, sent, values, one.time)
        return one._replace(row=values, arm=PINNED, loaded=champion, joined=joined, chance=1.0, read=None)
