"""A connection within bounds: of how long a head may be, and how long it may take to come.

The bounds of a body are held where it is read. What comes before it, or behind it in chunks, nobody reads but
the parser, which would gather it without end; and uvicorn waits without end for the first request of a
connection and for the rest of one that has begun.
"""

from __future__ import annotations

from asyncio import TimerHandle, Transport
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from everloop.runtime.http import Refusal, field_lines

if TYPE_CHECKING:
    from everloop.runtime.server.app import App
    from everloop.runtime.service.settings import ServerLimits

_CLOSE = {"connection": "close"}


class _Stage(Enum):
    """Where in a request the parser stands."""

    BETWEEN = 0
    HEAD = 1
    BODY = 2


class _HeadTooLong(Exception):
    """A head that came whole is longer than it may be."""


class BoundedConnection(HttpToolsProtocol):
    """One connection. A head that is too long is answered 431, one that takes too long 408."""

    application: ClassVar[App]
    limits: ClassVar[ServerLimits]
    _stage = _Stage.BETWEEN
    _unread = 0  # bytes since the parser last gave a head or a part of a body
    _gave = False
    _refusal: Refusal | None = None
    _deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """Waits for the first request, but not for ever."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Waits no more."""
        self._wait_no_more()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Reads what has come; of a request that is not whole by then the bounds are held."""
        began = self._stage is _Stage.BETWEEN
        self._gave = False
        self._unread += len(data)
        super().data_received(data)
        if self._stage is _Stage.BETWEEN:
            self._unread = 0
            return
        if self._gave:
            self._unread = 0
        elif self._unread > self.limits.head_bytes:
            self._end(self._too_long())
            return
        if began or self._deadline is None:
            self._wait()

    def on_message_begin(self) -> None:
        """Notes that a head begins."""
        self._stage = _Stage.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Lets a head pass, or refuses it."""
        # Only where so much came at once is there anything to count.
        if self._unread > self.limits.head_bytes and self._head_bytes() > self.limits.head_bytes:
            self._refusal = self._too_long()
            raise _HeadTooLong
        self._stage, self._gave = _Stage.BODY, True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Takes a part of a body."""
        self._gave = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Notes that a request is whole."""
        self._stage = _Stage.BETWEEN
        if self._deadline is not None:
            self._wait_no_more()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuses what is no request, or has too long a head."""
        if self._refusal is None:
            super().send_400_response(msg)
        else:
            self._end(self._refusal)

    def _head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) for name, value in self.headers)

    def _too_long(self) -> Refusal:
        expected = f"Expected at most {self.limits.head_bytes} bytes."
        return Refusal(431, "The request's head is too long.", expected, headers=_CLOSE)

    def _wait(self) -> None:
        self._wait_no_more()
        self._deadline = self.loop.call_later(self.limits.body_seconds, self._late)

    def _wait_no_more(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        """Ends the connection, unless it waits for an answer; between requests uvicorn's time counts."""
        self._deadline = None
        if self._answering():
            self._wait()
        elif self._stage is _Stage.HEAD:
            expected = f"Expected within {self.limits.body_seconds} s."
            self._end(Refusal(408, "The request's head took too long.", expected, headers=_CLOSE))
        elif self._stage is _Stage.BODY or self.cycle is None:
            self.transport.close()

    def _answering(self) -> bool:
        cycle: Any = self.cycle
        return cycle is not None and not cycle.response_complete

    def _end(self, refusal: Refusal) -> None:
        """Refuses what has come so far; where an answer is under way it would be taken for that."""
        response = self.application.refused_unread(refusal)
        if not self._answering() and not self.transport.is_closing():
            often = field_lines(self.server_state.default_headers)
            head = (STATUS_LINE[response.status], often, response.lines(), b"\r\n")
            self.transport.write(b"".join((*head, response.body)))
        self.transport.close()
