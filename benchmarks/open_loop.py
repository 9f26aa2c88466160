"""A client that asks at a stated rate whether answers come or not, as many independent clients do."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import cast

MOST_CONNECTIONS = 2_000


@dataclass
class Answers:
    """What came back.

    Attributes:
        statuses: How many answers of each status; 0 where none came.
        seconds: For each accepted request, the time from when it was due to its answer.
    """

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


class _Connection(asyncio.Protocol):
    """A connection with one request at a time under way."""

    def __init__(self, load: OpenLoop) -> None:
        self._load = load
        self._got = b""
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None
        self.answered = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keeps where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def ask(self, request: bytes, due: float) -> None:
        """Sends a request that was due at a time."""
        self._due = due
        self.answered.clear()
        if self._transport is not None:
            self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Reads an answer to its end."""
        self._got += data
        head, separator, body = self._got.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(body) < length or self._due is None:
            return
        closes = b"connection: close" in lower
        self._load.note(int(head[9:12]), self._due)
        self._got, self._due = b"", None
        self.answered.set()
        if closes and self._transport is not None:
            self._transport.close()
        elif not closes:
            self._load.idle.append(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Notes a request that nobody answered."""
        self._load.connections -= 1
        self.answered.set()
        if self._due is not None:
            self._load.note(0, self._due)
        elif self in self._load.idle:
            self._load.idle.remove(self)


class OpenLoop:
    """Asks one server.

    Args:
        port: Where it listens on loopback.
        body: What is posted to `/predict`.
    """

    def __init__(self, port: int, body: bytes) -> None:
        self.idle: deque[_Connection] = deque()
        self.connections = 0
        self.answers = Answers()
        self._port = port
        head = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        self._request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body

    def note(self, status: int, due: float) -> None:
        """Keeps an answer."""
        self.answers.statuses[status] += 1
        if status == 200:
            self.answers.seconds.append(time.perf_counter() - due)

    async def ask(self, rate: float, seconds: float) -> Answers:
        """Asks so many times a second for so long.

        Returns:
            What came back; a request for which there was no connection has the status -1.
        """
        start = time.perf_counter()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            if (early := due - time.perf_counter()) > 0:
                await asyncio.sleep(early)
            elif number % 16 == 0:
                await asyncio.sleep(0)
            await self._ask(due)
        await asyncio.sleep(2.0)
        return self.answers

    async def ask_in_turns(self, clients: int, seconds: float) -> Answers:
        """Asks as so many clients do that each wait for their answer: what a server can do at most."""
        end = time.perf_counter() + seconds

        async def one() -> None:
            connection = await self._connect()
            while time.perf_counter() < end:
                connection.ask(self._request, time.perf_counter())
                await connection.answered.wait()

        await asyncio.gather(*(one() for _ in range(clients)))
        return self.answers

    async def _ask(self, due: float) -> None:
        if not self.idle and self.connections >= MOST_CONNECTIONS:
            self.answers.statuses[-1] += 1
            return
        connection = self.idle.popleft() if self.idle else await self._connect()
        connection.ask(self._request, due)

    async def _connect(self) -> _Connection:
        self.connections += 1
        _, made = await asyncio.get_running_loop().create_connection(
            lambda: _Connection(self), "127.0.0.1", self._port
        )
        return made
