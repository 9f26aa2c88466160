"""The lifecycles that one server process answers for, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from everloop.core.errors import EverloopError, UsageFault
from everloop.runtime.http import Refusal
from everloop.runtime.service.metrics import Metrics
from everloop.runtime.service.service import Service

if TYPE_CHECKING:
    from everloop.core.clock import Clock
    from everloop.runtime.service.settings import ServerSettings


class Lifecycles:
    """One or several lifecycles, each with its own versions, log, tokens, limits and numbers.

    Args:
        services: What serves each of them.
        metrics: Counts what concerns none of them; where there is one, its own.

    Attributes:
        services: What serves each of them.
        sole: The one, where there are not several.
        metrics: Counts what concerns none of them.
    """

    def __init__(self, services: Sequence[Service], metrics: Metrics) -> None:
        self.services = tuple(services)
        self.sole = self.services[0] if len(self.services) == 1 else None
        self.metrics = metrics
        self._by_name: dict[str, Service] = {}

    @staticmethod
    def of(settings: ServerSettings, clock: Clock) -> Lifecycles:
        """Gives what a server's settings say, not started yet."""
        services = [Service(one, clock) for one in settings.each()]
        return Lifecycles(services, services[0].metrics if len(services) == 1 else Metrics())

    def start(self) -> None:
        """Loads what is served and opens the logs.

        Raises:
            EverloopError: When a package is refused or a log cannot be opened; nothing is left open.
            UsageFault: When two have one name.
        """
        try:
            for service in self.services:
                service.start()
                name = service.routing.routing.lifecycle
                if name in self._by_name:
                    raise UsageFault(f"Two lifecycles of one server are called {name!r}.")
                self._by_name[name] = service
        except EverloopError:
            self.stop()
            raise

    def stop(self) -> None:
        """Commits every log, and lets go of everything.

        Raises:
            EverloopError: When a log cannot be committed; the others are.
        """
        faults = []
        for service in self.services:
            try:
                service.stop()
            except EverloopError as error:
                faults.append(error)
        if faults:
            raise faults[0]

    @property
    def named(self) -> dict[str, Service]:
        """Name to what serves it; empty before the start."""
        return self._by_name

    @property
    def able(self) -> bool:
        """Whether requests are answered now, for every lifecycle."""
        return all(service.able for service in self.services)

    def drain(self) -> None:
        """Says that no more requests should come."""
        for service in self.services:
            service.draining = True

    def only(self, services: Sequence[Service]) -> Lifecycles:
        """Gives some of them, as one who may know of no others sees the server."""
        if len(services) == len(self.services):
            return self
        some = Lifecycles(services, self.metrics)
        some._by_name = {name: one for name, one in self._by_name.items() if one in services}
        return some

    def find(self, name: str) -> Service:
        """Gives a lifecycle by its name.

        Raises:
            Refusal: 404 when it is not served here.
        """
        if name not in self._by_name:
            raise Refusal(404, "The model is not served.", f"This server serves {self._names()}.")
        return self._by_name[name]

    def unnamed(self, path: str) -> Refusal:
        """Gives the refusal of a request that does not say which of several lifecycles it is for."""
        return Refusal(
            400,
            "The request names no lifecycle, and there are several.",
            f"Expected /models/NAME{path}, with one of {self._names()}.",
        )

    def _names(self) -> str:
        return ", ".join(repr(name) for name in sorted(self._by_name))
