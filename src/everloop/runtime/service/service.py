"""What every protocol calls: rows in, answers out; actuals in. Routed, checked, logged, counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal
from everloop.runtime.log.lines import ActualLine
from everloop.runtime.service.answering import Answering
from everloop.runtime.service.arms import ArmTable, LoadedArm, LoadedRouting
from everloop.runtime.service.asking import Asking
from everloop.runtime.service.explaining import Explaining
from everloop.runtime.service.joining import FeatureJoin
from everloop.runtime.service.keeping import Keeping
from everloop.runtime.service.metrics import Metrics
from everloop.runtime.service.request_clock import RequestClock
from everloop.runtime.service.served import Asked, Served
from everloop.runtime.service.shadowing import Shadowing
from everloop.runtime.service.shedding import Shedding
from everloop.runtime.service.taking import actual_of, take_events

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.runtime.features import Added
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.package import Answer
    from everloop.runtime.service.settings import ServerSettings
    from everloop.table.contract import ReadRow


class Service:
    """One lifecycle in a server process: what it serves, its log, its numbers. Used from one event loop.

    Args:
        settings: What the server was told.
        clock: Tells the time, unless the settings say that rows do.
    """

    def __init__(self, settings: ServerSettings, clock: Clock) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.arms = ArmTable(settings.routing, settings.package, settings.trusted, settings.limits)
        self.features = FeatureJoin(settings.online)
        self.shedding = Shedding(settings.limits, self.metrics)
        self.keeping = Keeping(settings, self.arms, self.shedding, self.metrics)
        self.clock = RequestClock(settings, clock, self.arms)
        self.requests_now = 0
        self.draining = False
        self._waits = settings.durability == "fsync"
        self._asking = Asking(self.arms, self.clock, self.features, self.keeping, self.shedding, self.metrics)
        self._answering = Answering(self.arms, self.features, self.keeping, self.metrics)
        self._explaining = Explaining(self.shedding)
        self._shadowing = Shadowing(self.features, self.keeping, self.metrics)

    def start(self) -> None:
        """Loads what is served and opens the log.

        Raises:
            EverloopError: When a package is refused or the log cannot be opened.
        """
        self.arms.load()
        self.keeping.open()

    def stop(self) -> None:
        """Ends the shadow's work, commits the log and lets go of the online store."""
        self._shadowing.close(self.settings.drain_seconds)
        self.features.close()
        self.keeping.close()

    @property
    def routing(self) -> LoadedRouting:
        """What is served now.

        Raises:
            Refusal: 503 before anything is loaded.
        """
        return self.arms.serving

    @property
    def able(self) -> bool:
        """Whether requests are answered now."""
        return self.arms.current is not None and not self.draining and self.keeping.able

    @property
    def manifest(self) -> Manifest:
        """The champion's manifest."""
        return self.routing.champion.package.manifest

    def arm_of(self, version: int) -> tuple[str, LoadedArm]:
        """Gives a version that a client named, and what its answers are logged as.

        Raises:
            Refusal: 404 when it is not served now.
        """
        found = self.routing.arm_of(version)
        if found is None:
            raise Refusal(404, "The version is not served.", f"Version {version} is not one that serves now.")
        return found

    async def predict(
        self,
        rows: Sequence[Any],
        ids: Sequence[str | None],
        started: float,
        *,
        explain: int = 0,
        version: int | None = None,
    ) -> list[Served]:
        """Answers rows; each answer is in the log before it is given.

        Args:
            rows: Raw rows, as JSON gives them; they are not changed.
            ids: An id for each row; None gets a new one.
            started: `time.perf_counter` when the request came.
            explain: How many reasons to give, 0 for none.
            version: The version that answers, where the client names it; None leaves it to the routing.

        Returns:
            One answer for each row, in order.

        Raises:
            Refusal: 404 when the version is not served, 413 when reasons are asked for too many rows, 422
                when a row violates its contract or its version gives no reasons, 503 when the log cannot take
                it, the online store does not answer or there is too much to do.
        """
        asked = self._asking.check(rows, ids, None if version is None else self.arm_of(version))
        return await self._bounded(asked, rows, started, explain)

    def read_row(self, content: bytes | bytearray) -> ReadRow | None:
        """Gives a body's row where it is one that satisfies its contract and asks for nothing more."""
        reader = self.routing.reader
        return reader.read(content) if reader is not None and not self.clock.of_rows else None

    async def predict_checked(self, read: ReadRow, started: float, *, explain: int = 0) -> Served:
        """Answers a row that `read_row` gave, as `predict` does.

        Raises:
            Refusal: 503 when the log cannot take it.
        """
        return (await self._bounded([self._asking.one(read)], [read[0]], started, explain))[0]

    def predict_at_once(
        self,
        read: ReadRow,
        started: float,
        told: Callable[[Served | Exception], None],
        *,
        explain: int = 0,
    ) -> None:
        """Answers a row that `read_row` gave, as `predict_checked` does, without a task that waits.

        Args:
            read: The row.
            started: `time.perf_counter` when the request came.
            told: Called with the answer once it is in the log, or with what went wrong.
            explain: How many reasons to give, 0 for none; only where what is served explains at once.
        """
        one = self._asking.one(read)
        try:
            self.shedding.enter((one,))
        except Refusal as refusal:
            told(refusal)
            return

        def answered(answer: Answer | Exception) -> None:
            self.shedding.leave((one,))
            try:
                asked = [one]
                if isinstance(answer, Exception):
                    answer = self._answering.without_challenger(asked, 0, one.row, started, answer)
                by = asked[0].loaded
                reasons = by.package.explain(asked[0].row, explain) if explain else None
                self._keep(asked, (answer,), started)
            except Exception as error:  # noqa: BLE001  (whatever it is, one request fails and is told so)
                told(error)
            else:
                told(Served(asked[0].id, answer, by.version, reasons))

        one.loaded.together.ask(one.row, answered)

    async def feedback(self, actuals: Sequence[tuple[str, Any, int]]) -> None:
        """Takes actuals into the log.

        Args:
            actuals: Id, actual as sent, and time in microseconds since 1970.

        Raises:
            Refusal: 422 when an actual is none of the classes or no number, 503 when the log is full.
        """
        manifest = self.manifest
        lines = [
            ActualLine(identity, actual_of(manifest, value, index), moment)
            for index, (identity, value, moment) in enumerate(actuals)
        ]
        place = self.keeping.write(lines)
        self.metrics.add("everloop_actuals_total", amount=len(lines))
        if self._waits:
            await self.keeping.until_durable(place)

    async def take_events(self, source: str, events: Sequence[Any]) -> Added:
        """Takes events of a source, all of them or none, as `taking.take_events`."""
        now = self.clock.now()
        added = await take_events(self.features, self.routing, self.shedding, source, events, now)
        self.metrics.add("everloop_events_total", source, amount=added.events)
        return added

    async def _bounded(
        self, asked: list[Asked], rows: Sequence[Any], started: float, explain: int
    ) -> list[Served]:
        """Answers what was checked, if its versions have not too much to do."""
        taken = tuple(asked)
        with self._explaining.taken(taken) if explain else nullcontext():
            self.shedding.enter(taken)
            try:
                if self.features.stored:
                    asked = await self._asking.join(asked, rows)
                return await self._serve(asked, rows, started, explain)
            finally:
                self.shedding.leave(taken)

    async def _serve(
        self, asked: list[Asked], rows: Sequence[Any], started: float, explain: int
    ) -> list[Served]:
        """Answers what was checked, logs it, counts it."""
        answers = await self._answering.answers(asked, rows, started)
        reasons = await self._explaining.reasons(asked, explain) if explain else None
        place = self._keep(asked, answers, started)
        if self._waits:
            await self.keeping.until_durable(place)
        return [
            Served(one.id, answers[index], one.loaded.version, None if reasons is None else reasons[index])
            for index, one in enumerate(asked)
        ]

    def _keep(self, asked: list[Asked], answers: Sequence[Answer], started: float) -> int:
        """Keeps answers and has them shadowed; gives the place of the last in the log."""
        latency = int((time.perf_counter() - started) * 1e6)
        place = 0
        for one, answer in zip(asked, answers, strict=True):
            place = self.keeping.answer(one, answer, latency)
        self._shadowing.mirror(self.routing, asked)
        return place
