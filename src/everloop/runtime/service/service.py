"""What every protocol calls: rows in, answers out; actuals in. Routed, checked, logged, counted."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from everloop.core.clock import Clock
from everloop.core.errors import EverloopError, NotFound, OutsideFault, StorageFull
from everloop.core.ids import new_id_at
from everloop.core.tasks import decides_by
from everloop.runtime.explain import Reason
from everloop.runtime.features import Added
from everloop.runtime.http import Refusal
from everloop.runtime.log.lines import ActualLine, Line, PredictionLine, RefusalLine
from everloop.runtime.log.privacy import Privacy, key_in
from everloop.runtime.log.writing import PredictionLog
from everloop.runtime.manifest import Manifest
from everloop.runtime.package import Answer
from everloop.runtime.routing import CHALLENGER, PINNED, SHADOW, chance_of
from everloop.runtime.row_fill import microseconds
from everloop.runtime.service.arms import ArmTable, LoadedArm, LoadedRouting
from everloop.runtime.service.joining import FeatureJoin
from everloop.runtime.service.metrics import Metrics
from everloop.runtime.service.settings import ServerSettings
from everloop.runtime.service.shadowing import Mirrored, Shadowing
from everloop.table.labels import label_text

_UNKNOWN_FIELD = "(unknown)"
_MOST_ERRORS = 100


class Served(NamedTuple):
    """One answer with its id, and the version that gave it."""

    id: str
    answer: Answer
    version: int
    reasons: tuple[Reason, ...] | None


class _Asked(NamedTuple):
    """One row on its way: its id, its time, its arm."""

    id: str
    row: dict[str, Any]
    time: int
    arm: str
    loaded: LoadedArm
    joined: tuple[str, ...] = ()
    chance: float = 1.0


class Service:
    """One server process: what it serves, its log, its numbers. Used from one event loop.

    Args:
        settings: What the server was told.
        clock: Tells the time, unless the settings say that rows do.
    """

    def __init__(self, settings: ServerSettings, clock: Clock) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.arms = ArmTable(settings.routing, settings.package, settings.trusted)
        self.features = FeatureJoin(settings.online)
        self.requests_now = 0
        self.draining = False
        self._arrived = 0
        self._clock = clock
        self._log: PredictionLog | None = None
        self._latest = 0
        self._shadowing: Shadowing | None = None
        self._privacy: Privacy | None = None

    def start(self) -> None:
        """Loads what is served and opens the log.

        Raises:
            EverloopError: When a package is refused or the log cannot be opened.
        """
        self.arms.load()
        self._log = PredictionLog(Path(self.settings.log), self.settings.worker, self.settings.durability)
        if self.settings.private:
            key = self.settings.log_key or f"{self.settings.log}.key"
            self._privacy = Privacy(self.settings.private, key_in(Path(key)))
        self._shadowing = Shadowing(self.features, self._append, self._count_shadow)

    def stop(self) -> None:
        """Ends the shadow's work, commits the log and lets go of the online store."""
        if self._shadowing is not None:
            self._shadowing.close(self.settings.drain_seconds)
        self.features.close()
        if self._log is not None:
            self._log.close()

    @property
    def log(self) -> PredictionLog:
        """The open prediction log.

        Raises:
            Refusal: 503 before the server has started.
        """
        if self._log is None:
            raise self.unavailable("starting", "The server is starting.")
        return self._log

    @property
    def routing(self) -> LoadedRouting:
        """What is served now.

        Raises:
            Refusal: 503 before anything is loaded.
        """
        if self.arms.current is None:
            raise self.unavailable("starting", "The server is starting.")
        return self.arms.current

    @property
    def able(self) -> bool:
        """Whether requests are answered now."""
        loaded = self.arms.current is not None and self._log is not None
        return loaded and not self.draining and self.log.state.get("fault") is None

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

    def unavailable(self, reason: str, title: str) -> Refusal:
        """Gives the refusal that asks the client to come back, and counts it."""
        self.metrics.add("everloop_shed_total", reason)
        return Refusal(503, title, headers={"retry-after": str(self.settings.limits.retry_after)})

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
            Refusal: 404 when the version is not served, 422 when a row violates its contract, 503 when the
                log cannot take it or the online store does not answer.
        """
        asked = self._check(rows, ids, version)
        if self.settings.online is not None:
            asked = await self._join(asked, rows)
        return await self._serve(asked, rows, started, explain)

    def crowded(self) -> bool:
        """Counts a request of this turn of the event loop; says whether they are too many at once."""
        if self._arrived == 0:
            asyncio.get_running_loop().call_soon(self._end_turn)
        self._arrived += 1
        return self._arrived > self.settings.limits.concurrent

    def _end_turn(self) -> None:
        self._arrived = 0

    def read_row(self, content: bytes) -> dict[str, Any] | None:
        """Gives a body's row where it is one that satisfies its contract and asks for nothing more."""
        reader = self.routing.reader
        return reader.read(content) if reader is not None and self.settings.clock == "system" else None

    async def predict_checked(self, row: dict[str, Any], started: float, *, explain: int = 0) -> Served:
        """Answers a row that `read_row` gave, as `predict` does.

        Raises:
            Refusal: 503 when the log cannot take it.
        """
        return (await self._serve([self._choose(row)], [row], started, explain))[0]

    def predict_at_once(
        self, row: dict[str, Any], started: float, told: Callable[[Served | Exception], None]
    ) -> None:
        """Answers a row that `read_row` gave, as `predict_checked` does, without a task that waits.

        Args:
            row: The row.
            started: `time.perf_counter` when the request came.
            told: Called with the answer once it is in the log, or with what went wrong.
        """
        one = self._choose(row)

        def answered(answer: Answer | Exception) -> None:
            try:
                asked = [one]
                if isinstance(answer, Exception):
                    answer = self._without_challenger(asked, 0, row, started, answer)
                self._keep(asked, [answer], started)
            except Exception as error:  # noqa: BLE001  (whatever it is, one request fails and is told so)
                told(error)
            else:
                told(Served(asked[0].id, answer, asked[0].loaded.version, None))

        one.loaded.together.ask(row, answered)

    def _choose(self, row: dict[str, Any]) -> _Asked:
        """Gives a row that `read_row` gave its id, its time and its arm."""
        now = self.now()
        identity = new_id_at("prediction", now // 1000)
        arm, loaded = self.routing.choose(row, identity)
        return _Asked(identity, row, now, arm, loaded, chance=chance_of(self.routing.routing, arm))

    async def _serve(
        self, asked: list[_Asked], rows: Sequence[Any], started: float, explain: int
    ) -> list[Served]:
        """Answers what was checked, logs it, counts it."""
        answers = await self._answers(asked, rows, started)
        reasons = [self._reasons(one, explain) for one in asked] if explain else None
        place = self._keep(asked, answers, started)
        if self.settings.durability == "fsync":
            await self._until_durable(place)
        return [
            Served(one.id, answers[index], one.loaded.version, None if reasons is None else reasons[index])
            for index, one in enumerate(asked)
        ]

    def _keep(self, asked: list[_Asked], answers: list[Answer], started: float) -> int:
        """Logs answers, counts them and has them shadowed; gives the place of the last in the log."""
        latency = int((time.perf_counter() - started) * 1e6)
        place = self._write([_line(one, answers[index], latency) for index, one in enumerate(asked)])
        for one in asked:
            self.metrics.add("everloop_predictions_total", one.loaded.label, one.arm)
        self._mirror(asked)
        return place

    async def feedback(self, actuals: Sequence[tuple[str, Any, int]]) -> None:
        """Takes actuals into the log.

        Args:
            actuals: Id, actual as sent, and time in microseconds since 1970.

        Raises:
            Refusal: 422 when an actual is none of the classes or no number, 503 when the log is full.
        """
        lines = [
            ActualLine(identity, self._actual(value, index), moment)
            for index, (identity, value, moment) in enumerate(actuals)
        ]
        place = self._write(lines)
        self.metrics.add("everloop_actuals_total", amount=len(lines))
        if self.settings.durability == "fsync":
            await self._until_durable(place)

    async def take_events(self, source: str, events: Sequence[Any]) -> Added:
        """Takes events of a source, all of them or none.

        Args:
            source: The source's name in the lifecycle file.
            events: Column to value, as JSON gives them.

        Raises:
            Refusal: 404 when no feature reads the source, 422 when an event is flawed, 503 when the online
                store does not answer.
        """
        errors = [
            _error(f"events[{place}]", "type", "an object of column to value", _kind(event))
            for place, event in enumerate(events)
            if not isinstance(event, dict)
        ]
        try:
            if not errors:
                flaws = self.features.flaws(self.routing, source, events)
                errors = [
                    _error(f"events[{one.row}].{one.field}", "type", one.expected, one.type) for one in flaws
                ]
            if errors:
                raise Refusal(422, "Events are flawed; none was taken.", errors=errors[:_MOST_ERRORS])
            added = await self.features.take(self.routing, source, events, self.now())
        except NotFound as error:
            raise Refusal(404, "No feature reads this source.", error.message) from None
        except OutsideFault:
            raise self.unavailable("features", "The online store does not answer.") from None
        self.metrics.add("everloop_events_total", source, amount=added.events)
        return added

    def now(self) -> int:
        """Tells the time in microseconds: the clock's, or with `events` that of the latest row, 0 before."""
        return self._latest if self.settings.clock == "events" else microseconds(self._clock.now())

    def _check(self, rows: Sequence[Any], ids: Sequence[str | None], version: int | None) -> list[_Asked]:
        asked: list[_Asked] = []
        errors: list[dict[str, Any]] = []
        pinned = None if version is None else self.arm_of(version)
        several = len(rows) > 1
        for index, (row, given) in enumerate(zip(rows, ids, strict=True)):
            name = f"rows[{index}]" if several else ""
            if isinstance(row, dict):
                self._check_row(row, given, name, pinned, asked, errors)
            else:
                errors.append(_error(name or "row", "type", "an object of column to value", _kind(row)))
        if errors:
            title = "Rows violate their contract." if several else "The row violates its contract."
            raise Refusal(422, title, errors=errors[:_MOST_ERRORS])
        return asked

    def _check_row(
        self,
        row: dict[str, Any],
        given: str | None,
        name: str,
        pinned: tuple[str, LoadedArm] | None,
        asked: list[_Asked],
        errors: list[dict[str, Any]],
    ) -> None:
        now = self.now()
        identity = given or new_id_at("prediction", now // 1000)
        arm, loaded = pinned or self.routing.choose(row, identity)
        values, violations = loaded.normalise(row, joins=self.settings.online is not None)
        if not violations:
            time_of_row = self._time_of(values, now, name)
            chance = chance_of(self.routing.routing, arm)
            asked.append(_Asked(identity, values, time_of_row, arm, loaded, chance=chance))
            return
        self._note_refusal(_Asked(identity, row, now, arm, loaded), "contract", 0)
        for found in violations:
            known = found.field if found.field in loaded.columns else _UNKNOWN_FIELD
            self.metrics.add("everloop_contract_violations_total", known, found.rule)
            field = ".".join(part for part in (name, found.field) if part) or "row"
            errors.append(_error(field, found.rule, found.expected, found.type))

    async def _join(self, asked: list[_Asked], rows: Sequence[Any]) -> list[_Asked]:
        """Puts features of other sources into the rows."""
        if not any(one.loaded.package.features.features for one in asked):
            return asked
        try:
            if self.features.over_network:
                return await asyncio.to_thread(self._joined, asked, rows)
            return self._joined(asked, rows)
        except OutsideFault:
            raise self.unavailable("features", "The online store does not answer.") from None

    def _joined(self, asked: list[_Asked], rows: Sequence[Any]) -> list[_Asked]:
        return [
            one._replace(joined=self.features.join(one.loaded, sent, one.row, one.time))
            for one, sent in zip(asked, rows, strict=True)
        ]

    def _time_of(self, row: Mapping[str, Any], now: int, name: str) -> int:
        if self.settings.clock != "events":
            return now
        column = self.settings.time_column or self.manifest.time
        value = row.get(column) if column is not None else None
        if isinstance(value, datetime):
            value = microseconds(value)
        if not isinstance(value, int) or isinstance(value, bool):
            field = f"{name}.{column}" if name else str(column)
            errors = [_error(field, "time", "a time: the server's clock is that of the rows", _kind(value))]
            raise Refusal(422, "The row has no time.", errors=errors)
        self._latest = max(self._latest, value)
        return value

    async def _answers(self, asked: list[_Asked], rows: Sequence[Any], started: float) -> list[Answer]:
        """Answers all rows; the champion answers what the challenger fails on, outside the comparison."""
        if len(asked) == 1:
            one = asked[0]
            try:
                return [await one.loaded.together.answer(one.row)]
            except Exception as error:  # noqa: BLE001  (whatever it is, the champion is asked)
                return [self._without_challenger(asked, 0, rows[0], started, error)]
        answers: dict[int, Answer] = {}
        for loaded in {id(one.loaded): one.loaded for one in asked}.values():
            places = [place for place, one in enumerate(asked) if one.loaded is loaded]
            try:
                found = loaded.package.answers([asked[place].row for place in places])
            except Exception as error:  # noqa: BLE001
                found = [
                    self._without_challenger(asked, place, rows[place], started, error) for place in places
                ]
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(asked))]

    def _without_challenger(
        self, asked: list[_Asked], place: int, sent: Mapping[str, Any], started: float, error: Exception
    ) -> Answer:
        """Has the champion answer what the challenger failed on; the champion's own failure is raised."""
        if asked[place].arm != CHALLENGER:
            raise error
        asked[place] = self._fall_back(asked[place], sent, started)
        return asked[place].loaded.package.answer(asked[place].row)

    def _fall_back(self, one: _Asked, sent: Mapping[str, Any], started: float) -> _Asked:
        """Notes the challenger's failure and gives the row to the champion.

        Raises:
            Refusal: 422 when it violates the champion's contract.
        """
        self._note_refusal(one, "error", int((time.perf_counter() - started) * 1e6))
        self.metrics.add("everloop_fallbacks_total")
        champion = self.routing.champion
        values, violations = champion.normalise(sent, joins=self.settings.online is not None)
        if violations:
            errors = [_error(found.field, found.rule, found.expected, found.type) for found in violations]
            raise Refusal(422, "The row violates its contract.", errors=errors[:_MOST_ERRORS])
        joined = self.features.join(champion, sent, values, one.time)
        return one._replace(row=values, arm=PINNED, loaded=champion, joined=joined, chance=1.0)

    def _note_refusal(self, one: _Asked, kind: str, latency: int) -> None:
        """Logs that an arm did not answer, while two versions are compared: the guards count it."""
        routing = self.routing
        if routing.challenger is None or one.arm == PINNED:
            return
        unit = self._unit(routing, one)
        chance = chance_of(routing.routing, one.arm)
        self._write([RefusalLine(one.id, one.time, one.loaded.version, one.arm, kind, unit, latency, chance)])

    def _unit(self, routing: LoadedRouting, one: _Asked) -> str:
        """Gives what keeps the row's arm, hashed, from what the log may show of the row."""
        return routing.unit(one.row if self._privacy is None else self._privacy.row(one.row), one.id)

    def _reasons(self, one: _Asked, most: int) -> tuple[Reason, ...]:
        if not one.loaded.package.explains:
            raise Refusal(
                422,
                "This version gives no reasons.",
                "Its package has no explain.npz; ask without 'explain'.",
            )
        return one.loaded.package.explain(one.row, most)

    def _append(self, line: Line) -> int:
        return self.log.append(line if self._privacy is None else self._privacy.line(line))

    def _write(self, lines: Sequence[Line]) -> int:
        place = 0
        try:
            for line in lines:
                place = self._append(line)
        except OverflowError:
            raise Refusal(422, "A number is out of range.", "Expected integers of at most 64 bits.") from None
        except EverloopError as error:
            full = isinstance(error, StorageFull)
            title = "The prediction log is full." if full else "The prediction log cannot take more now."
            raise self.unavailable("storage-full" if full else "log", title) from None
        return place

    async def _until_durable(self, place: int) -> None:
        promise = asyncio.wrap_future(self.log.durable(place))
        try:
            await asyncio.wait_for(promise, self.settings.limits.durable_seconds)
        except (EverloopError, TimeoutError):
            raise self.unavailable("log", "The answer could not be written to disk.") from None

    def _mirror(self, asked: Sequence[_Asked]) -> None:
        """Gives what was answered to the shadow, after the answer."""
        loaded = self.routing
        shadow, routed = loaded.challenger, loaded.routing.challenger
        if shadow is None or routed is None or routed.strategy != SHADOW or self._shadowing is None:
            return
        self._shadowing.offer(
            shadow,
            [
                Mirrored(
                    one.id,
                    {name: value for name, value in one.row.items() if name not in one.joined},
                    one.time,
                    self._unit(loaded, one),
                )
                for one in asked
                if one.arm != PINNED
            ],
        )

    def _count_shadow(self, what: str, version: int) -> None:
        if what == "scored":
            self.metrics.add("everloop_predictions_total", str(version), SHADOW)
        else:
            name = "everloop_shadow_errors_total" if what == "failed" else "everloop_shadow_dropped_total"
            self.metrics.add(name)

    def _actual(self, value: Any, index: int) -> str | float:
        manifest = self.manifest
        field = f"actuals[{index}].actual"
        if manifest.task == "regression":
            if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf:
                return float(min(max(value, -1e308), 1e308))
            raise Refusal(
                422, "An actual is no number.", errors=[_error(field, "type", "a number", _kind(value))]
            )
        text = label_text(value) if isinstance(value, (str, bool, int, float)) else None
        if text is not None and decides_by(manifest.task, "items"):  # what was had may be no listed item
            return text
        if text is None or text not in manifest.classes:
            expected = f"one of {list(manifest.classes)}"
            raise Refusal(
                422, "An actual is no class.", errors=[_error(field, "class", expected, _kind(value))]
            )
        return text


def _line(one: _Asked, answer: Answer, latency: int) -> PredictionLine:
    return PredictionLine(
        one.id,
        one.time,
        one.loaded.version,
        one.arm,
        one.row,
        answer.score,
        answer.prediction,
        latency,
        one.chance,
    )


def _error(field: str, rule: str, expected: str, kind: str) -> dict[str, Any]:
    return {"field": field, "rule": rule, "expected": expected, "type": kind}


_KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "text", list: "array"}


def _kind(value: Any) -> str:
    return _KINDS.get(type(value), "object")
