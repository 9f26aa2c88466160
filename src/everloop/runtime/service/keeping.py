"""What the server keeps: every answer, refusal and actual in the prediction log, private columns apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from everloop.core.errors import EverloopError, StorageFull
from everloop.runtime.http import Refusal
from everloop.runtime.log.lines import Line, PredictionLine, RefusalLine, Written
from everloop.runtime.log.opening import WrittenLog, open_log
from everloop.runtime.log.privacy import Privacy, key_of
from everloop.runtime.log.short_lines import TAG
from everloop.runtime.routing import PINNED, chance_of
from everloop.runtime.service.metrics import COUNTED_TOGETHER

if TYPE_CHECKING:
    from everloop.runtime.package import Answer
    from everloop.runtime.service.arms import ArmTable, LoadedRouting
    from everloop.runtime.service.metrics import Metrics
    from everloop.runtime.service.served import Asked
    from everloop.runtime.service.settings import ServerSettings
    from everloop.runtime.service.shedding import Shedding


class Keeping:
    """Writes the prediction log of one server process.

    Args:
        settings: Where the log is, what it may show.
        arms: What is served.
        shedding: Gives the refusal where a line cannot be taken.
        metrics: Where answers are counted.
    """

    def __init__(
        self, settings: ServerSettings, arms: ArmTable, shedding: Shedding, metrics: Metrics
    ) -> None:
        self._settings, self._arms, self._shedding = settings, arms, shedding
        self._metrics, self._predicted = metrics, metrics.predicted
        self._log: WrittenLog | None = None
        self._privacy: Privacy | None = None
        # One call for each line: what a line passes on its way is found when the log is opened.
        self._take: Callable[[Written], int] = self._not_open
        self._names: tuple[str, ...] = ()  # those of the last row
        self._number: int | None = None  # by which the log knows them; None where its lines are whole

    def open(self) -> None:
        """Opens the log.

        Raises:
            EverloopError: When it cannot be opened.
        """
        settings = self._settings
        self._log = log = open_log(settings)
        self._take, self._names = log.append, ()
        if settings.private:
            hashes = "hash" in settings.private.values()
            key = key_of(settings.log_key or f"{settings.log}.key") if hashes else b""
            self._privacy = privacy = Privacy(settings.private, key)
            self._take = lambda line: log.append(privacy.line(line))

    def close(self) -> None:
        """Commits the log."""
        if self._log is not None:
            self._log.close()

    @property
    def log(self) -> WrittenLog:
        """The open log.

        Raises:
            Refusal: 503 before the server has started.
        """
        if self._log is None:
            raise self._shedding.unavailable("starting", "The server is starting.")
        return self._log

    @property
    def able(self) -> bool:
        """Whether lines are taken now."""
        return self._log is not None and self._log.fault is None

    def append(self, line: Line) -> int:
        """Takes a line as it may be kept; gives its place. Safe to call from any thread."""
        return self._take(line)

    def answer(self, one: Asked, answer: Answer, latency: int) -> int:
        """Takes an answer and counts it; gives its place.

        Args:
            one: What was asked.
            answer: What was answered.
            latency: How long it took, in microseconds.

        Raises:
            Refusal: As `write`.
        """
        identity, row, moment, arm, loaded, _, chance, read = one
        prediction, score = answer
        version, values, number = loaded.version, None, None
        if read is not None:
            _, values, names = read
            if names is not self._names:
                self._name(names)
            number = self._number
        line: Written
        if values is None or number is None:
            line = PredictionLine(identity, moment, version, arm, row, score, prediction, latency, chance)
        else:
            line = (TAG, identity, moment, version, arm, number, values, score, prediction, latency, chance)
        try:
            place = self._take(line)
        except EverloopError as error:
            raise self._refusal(error) from None
        predicted = self._predicted
        predicted.append((version, arm))
        if len(predicted) >= COUNTED_TOGETHER:
            self._metrics.count()
        return place

    def _name(self, names: tuple[str, ...]) -> None:
        """Has the log know the names of a row's columns, where rows are kept as they are."""
        log = self._log
        self._number = log.number_of(names) if log is not None and self._privacy is None else None
        self._names = names

    def write(self, lines: Sequence[Line]) -> int:
        """Takes lines; gives the place of the last.

        Raises:
            Refusal: 503 when the log cannot take them.
        """
        place = 0
        try:
            for line in lines:
                place = self._take(line)
        except EverloopError as error:
            raise self._refusal(error) from None
        return place

    def _refusal(self, error: EverloopError) -> Refusal:
        """Gives what a request is told whose line was not taken."""
        full = isinstance(error, StorageFull)
        title = "The prediction log is full." if full else "The prediction log cannot take more now."
        return self._shedding.unavailable("storage-full" if full else "log", title)

    async def until_durable(self, place: int) -> None:
        """Waits until a line and all before it are durable.

        Raises:
            Refusal: 503 when they cannot be made so in time.
        """
        promise = asyncio.wrap_future(self.log.durable(place))
        try:
            await asyncio.wait_for(promise, self._settings.limits.durable_seconds)
        except (EverloopError, TimeoutError):
            raise self._shedding.unavailable("log", "The answer could not be made durable.") from None

    def _not_open(self, line: Written) -> int:
        return self.log.append(line)  # the log's own refusal: it is not open

    def note_refusal(self, one: Asked, kind: str, latency: int) -> None:
        """Logs that an arm did not answer, while two versions are compared: the guards count it.

        Args:
            one: What was asked.
            kind: `contract` or `error`.
            latency: How long it took to fail, in microseconds.
        """
        routing = self._arms.serving
        if routing.challenger is None or one.arm == PINNED:
            return
        unit = self.unit(routing, one)
        chance = chance_of(routing.routing, one.arm)
        self.write([RefusalLine(one.id, one.time, one.loaded.version, one.arm, kind, unit, latency, chance)])

    def unit(self, routing: LoadedRouting, one: Asked) -> str:
        """Gives what keeps the row's arm, hashed, from what the log may show of the row."""
        return routing.unit(one.row if self._privacy is None else self._privacy.row(one.row), one.id)
