"""From rows as they were sent to rows that can be answered: contract, arm, time, joined features."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.core.errors import OutsideFault
from everloop.core.ids import new_id_at
from everloop.runtime.routing import chance_of
from everloop.runtime.service.problems import broken_rule, problem, refused
from everloop.runtime.service.served import Asked

if TYPE_CHECKING:
    from everloop.runtime.service.arms import ArmTable, LoadedArm
    from everloop.runtime.service.joining import FeatureJoin
    from everloop.runtime.service.keeping import Keeping
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.request_clock import RequestClock
    from everloop.runtime.service.shedding import Shedding
    from everloop.table.contract import ReadRow

_UNKNOWN_FIELD = "(unknown)"


class Asking:
    """Checks rows and says who answers them. Used from one event loop.

    Args:
        arms: What is served.
        clock: Tells the time of a request.
        features: Joins what rows leave out.
        keeping: Where refused rows are noted.
        shedding: Gives the refusal where the online store does not answer.
        metrics: Where violations are counted.
    """

    def __init__(
        self,
        arms: ArmTable,
        clock: RequestClock,
        features: FeatureJoin,
        keeping: Keeping,
        shedding: Shedding,
        metrics: Metrics,
    ) -> None:
        self._arms, self._clock, self._features = arms, clock, features
        self._keeping, self._shedding, self._metrics = keeping, shedding, metrics

    def one(self, read: ReadRow) -> Asked:
        """Gives a row that satisfies its contract its id, its time and its arm."""
        now = self._clock.now()
        identity = new_id_at("prediction", now // 1000)
        routing = self._arms.serving
        row = read[0]
        arm, loaded = routing.choose(row, identity)
        chance = chance_of(routing.routing, arm)
        return Asked(identity, row, now, arm, loaded, (), chance, read)

    def check(
        self, rows: Sequence[Any], ids: Sequence[str | None], pinned: tuple[str, LoadedArm] | None
    ) -> list[Asked]:
        """Holds rows against the contract of the version that will answer each.

        Args:
            rows: Raw rows, as JSON gives them; they are not changed.
            ids: An id for each row; None gets a new one.
            pinned: The version that answers all of them, where the client names it, and its arm.

        Raises:
            Refusal: 422 when a row violates its contract; every violation is told.
        """
        asked: list[Asked] = []
        problems: list[dict[str, Any]] = []
        several = len(rows) > 1
        for index, (row, given) in enumerate(zip(rows, ids, strict=True)):
            name = f"rows[{index}]" if several else ""
            if isinstance(row, dict):
                self._check_row(row, given, name, pinned, asked, problems)
            else:
                problems.append(problem(name or "row", "type", "an object of column to value", row))
        if problems:
            title = "Rows violate their contract." if several else "The row violates its contract."
            raise refused(title, problems)
        return asked

    async def join(self, asked: list[Asked], rows: Sequence[Any]) -> list[Asked]:
        """Puts features of other sources into rows.

        Args:
            asked: The rows in their contracts' types.
            rows: The same as they were sent.

        Raises:
            Refusal: 503 when the online store does not answer.
        """
        if not any(one.loaded.package.features.features for one in asked):
            return asked
        try:
            if self._features.over_network:
                return await asyncio.to_thread(self._joined, asked, rows)
            return self._joined(asked, rows)
        except OutsideFault:
            raise self._shedding.unavailable("features", "The online store does not answer.") from None

    def _check_row(
        self,
        row: dict[str, Any],
        given: str | None,
        name: str,
        pinned: tuple[str, LoadedArm] | None,
        asked: list[Asked],
        problems: list[dict[str, Any]],
    ) -> None:
        now, routing = self._clock.now(), self._arms.serving
        identity = given or new_id_at("prediction", now // 1000)
        arm, loaded = pinned or routing.choose(row, identity)
        values, violations = loaded.normalise(row, joins=self._features.stored)
        if not violations:
            time_of_row = self._clock.time_of(values, now, name)
            chance = chance_of(routing.routing, arm)
            asked.append(Asked(identity, values, time_of_row, arm, loaded, chance=chance))
            return
        self._keeping.note_refusal(Asked(identity, row, now, arm, loaded), "contract", 0)
        for found in violations:
            known = found.field if found.field in loaded.columns else _UNKNOWN_FIELD
            self._metrics.add("everloop_contract_violations_total", known, found.rule)
            problems.append(broken_rule(found, name))

    def _joined(self, asked: list[Asked], rows: Sequence[Any]) -> list[Asked]:
        return [
            one._replace(joined=self._features.join(one.loaded, sent, one.row, one.time))
            for one, sent in zip(asked, rows, strict=True)
        ]
