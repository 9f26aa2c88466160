"""Sends rows of the past to a running server, as any client would."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from everloop.core.errors import OutsideFault, ServerUnreachable, UsageFault
from everloop.core.values import to_jsonable

if TYPE_CHECKING:
    import httpx

    from everloop.core.clock import Clock
    from everloop.loop.history import History

_TIMEOUT = 30.0
# A server that is started again is back within this time.
_PATIENCE = 30.0
_PAUSE = 0.2
_NAMED = re.compile(r"(?:rows|actuals)\[(\d+)\]")
_HINT = "everloop up --clock events"


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of rows that were sent.

    Attributes:
        predictions: From a row's place to the number of the version that answered, and what it predicted.
        refused: Places of rows that the server refused, each with the first reason.
    """

    predictions: dict[int, tuple[int, Any]]
    refused: dict[int, str]


class Sender:
    """A client of one server, with one connection kept open.

    Args:
        server: The server's URL.
        history: The rows.
        clock: Waits between attempts.

    Raises:
        MissingExtra: When httpx is not installed.
    """

    def __init__(self, server: str, history: History, clock: Clock) -> None:
        from everloop.core.extras import require

        client = require("httpx", extra="train").Client
        self.server = server.rstrip("/")
        self._history, self._clock = history, clock
        self._client: httpx.Client = client(timeout=_TIMEOUT, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def require_event_clock(self, lifecycle: str) -> None:
        """Makes sure that the server is there, serves this lifecycle and lives on the rows' time.

        Raises:
            ServerUnreachable: When nothing answers.
            UsageFault: When it serves another lifecycle, or tells the time by itself.
        """
        about = self._ask("GET", "/health/ready", None, patience=0.0).json()
        if about.get("lifecycle") != lifecycle:
            raise UsageFault(
                f"The server at {self.server} serves {about.get('lifecycle')!r}, not {lifecycle!r}.",
                hint=f"{_HINT}, in the folder of {lifecycle}",
            )
        if about.get("clock") != "events":
            raise UsageFault(
                f"The server at {self.server} lives on the system's clock; history needs that of the rows.",
                hint=f"stop it, then: {_HINT}",
            )

    def predict(self, places: list[int]) -> Answered:
        """Asks for predictions; rows that break the contract are left out and named.

        Raises:
            ServerUnreachable: When the server stays away.
        """
        refused: dict[int, str] = {}
        left = list(places)
        while left:
            response = self._ask("POST", "/predict", self._rows(left))
            if response.status_code == 422:
                left = _without_named(left, response.json(), refused)
                continue
            self._require_done(response)
            given = response.json()["predictions"]
            answers = {
                place: (answer["version"], answer["prediction"])
                for place, answer in zip(left, given, strict=True)
            }
            return Answered(answers, refused)
        return Answered({}, refused)

    def feedback(self, places: list[int]) -> int:
        """Sends actuals with the times when they became known.

        Returns:
            How many were taken.

        Raises:
            ServerUnreachable: When the server stays away.
        """
        left, refused = list(places), dict[int, str]()
        while left:
            response = self._ask("POST", "/feedback", self._actuals(left))
            if response.status_code == 422:
                left = _without_named(left, response.json(), refused)
                continue
            self._require_done(response)
            return len(left)
        return 0

    def settle(self) -> None:
        """Waits until all that was answered is on the server's disk."""
        while True:
            log = self._ask("GET", "/health/ready", None).json().get("log") or {}
            if log.get("lines_durable", 0) >= log.get("lines_appended", 0):
                return
            self._clock.sleep(0.005)

    def _rows(self, places: list[int]) -> bytes:
        import polars as pl

        rows = self._history.rows[places].select(pl.struct(pl.all()).struct.json_encode()).to_series()
        ids = json.dumps(self._history.facts["id"][places].to_list())
        return f'{{"rows":[{",".join(rows)}],"ids":{ids}}}'.encode()

    def _actuals(self, places: list[int]) -> bytes:
        taken = self._history.facts.select("id", "actual", "known_at")[places]
        entries = [
            {"id": identity, "actual": actual, "at": to_jsonable(known_at)}
            for identity, actual, known_at in taken.iter_rows()
        ]
        return json.dumps({"actuals": entries}).encode()

    def _ask(
        self, method: str, path: str, body: bytes | None, *, patience: float = _PATIENCE
    ) -> httpx.Response:
        """Sends a request, again where the server is away or overloaded for a moment."""
        import httpx

        headers = {"content-type": "application/json"} if body is not None else None
        waited = 0.0
        while True:
            try:
                response = self._client.request(method, f"{self.server}{path}", content=body, headers=headers)
            except httpx.InvalidURL as error:
                raise UsageFault(
                    f"{self.server!r} is no URL: {error}.", hint="http://127.0.0.1:8700"
                ) from None
            except httpx.UnsupportedProtocol:
                raise UsageFault(f"{self.server!r} is no URL.", hint="http://127.0.0.1:8700") from None
            except httpx.TransportError as error:
                if waited >= patience:
                    raise ServerUnreachable(
                        f"No server answers at {self.server}: {error}.", hint=_HINT
                    ) from None
                pause = _PAUSE
            else:
                if response.status_code != 503 or waited >= patience:
                    return response
                pause = float(response.headers.get("retry-after", _PAUSE))
            self._clock.sleep(pause)
            waited += pause

    def _require_done(self, response: httpx.Response) -> None:
        if response.status_code == 200:
            return
        try:
            problem = response.json()
        except ValueError:
            problem = {}
        told = " ".join(
            part
            for part in (problem.get("title", f"It answered {response.status_code}."), problem.get("detail"))
            if part
        )
        kind = UsageFault if response.status_code < 500 else OutsideFault
        raise kind(f"The server at {self.server} refused the request: {told}")


def _without_named(left: list[int], problem: dict[str, Any], refused: dict[int, str]) -> list[int]:
    """Takes the rows out that the answer names; where it names none, all are refused."""
    named: dict[int, str] = {}
    for error in problem.get("errors", []):
        found = _NAMED.match(error.get("field", ""))
        if found is not None and int(found[1]) < len(left):
            named.setdefault(
                int(found[1]), f"{error['field']}: {error['rule']}, expected {error['expected']}"
            )
    if not named:
        first = next(iter(problem.get("errors", [])), None)
        told = f"{first['field']}: {first['rule']}, expected {first['expected']}" if first else None
        named = dict.fromkeys(range(len(left)), told or str(problem.get("title", "refused")))
    refused |= {left[index]: reason for index, reason in named.items()}
    return [place for index, place in enumerate(left) if index not in named]
