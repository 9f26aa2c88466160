"""The connection of the model server: plain predictions are answered as soon as their bytes are read.

A prediction needs nothing that would wait, so the task, the messages and the checks that ASGI asks for each
request would cost more than the answer. A request that the application can answer at once is handed over
whole, and its answer is written to the connection; every other goes the way of ASGI. Reading HTTP, keeping
connections alive and ending them stay uvicorn's.

A client sends the same head with each of its requests. What a head was read as is remembered, so that a
request that begins with the same bytes, between requests and with its whole body behind it, is not read anew.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.runtime.http import Response, field_lines
from everloop.runtime.server.bounded import BoundedConnection

if TYPE_CHECKING:
    from everloop.runtime.server.app import App, Plain

MOST_HEADS = 256
"""Heads that are remembered; clients whose heads are never the same do not take more."""
LONGEST_HEAD = 2048
"""Bytes of a head that is remembered."""

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}
_HEAD_ENDS = b"\r\n\r\n"


def protocol_of(app: App) -> type[BoundedConnection]:
    """Gives the class of connections to an application."""
    limits = app.lifecycles.services[0].settings.limits
    return type("Connection", (_Connection,), {"application": app, "limits": limits, "heads": {}})


class _Nobody:
    """Stands where a task would wait for the request's messages."""

    @staticmethod
    def set() -> None:
        """Wakes nobody."""


class _Again:
    """A request whose head is known, with what uvicorn looks at in one that is under way."""

    __slots__ = ("disconnected", "keep_alive", "response_complete", "response_started")
    message_event = _Nobody()

    def __init__(self) -> None:
        self.disconnected = self.response_started = self.response_complete = False
        self.keep_alive = True


class _Connection(BoundedConnection):
    """One connection. It reads a cycle's scope, body and end of uvicorn's."""

    heads: ClassVar[dict[bytes, tuple[Plain, int]]]
    listed: ClassVar[list[tuple[bytes, bytes]] | None] = None
    written: ClassVar[bytes] = b""
    _held: tuple[Any, Any] | None = None
    _reading = False
    _between = True  # the parser stands where a request may begin
    _begun = 0
    _plain: Plain | None = None
    _length = 0
    _asked = False

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # A request behind another one, or after `Expect`, takes the ordinary way.
        coming = self._reading and cycle is self.cycle and cycle.more_body
        if coming and not cycle.waiting_for_100_continue and not self.flow.write_paused:
            self._held = cycle, app
        else:
            self._hand_over(cycle, app)

    def on_message_begin(self) -> None:
        """Notes that the bytes that follow belong to a request."""
        self._between = False
        self._begun += 1
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """Answers a request that is whole, if that can be done at once."""
        super().on_message_complete()
        self._between = self.parser.should_keep_alive() and not self.parser.should_upgrade()
        if self._held is None:
            return
        cycle, app = self._held
        self._held = None
        self._plain = None if self._asked else self.application.plain(cycle.scope)
        if self._plain is None or not self._answered(self._plain, cycle, cycle.body):
            self._plain = None
            self._hand_over(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Reads what has come; a request whose end has not takes the ordinary way, with its time limit."""
        self._asked = False
        if self._between and self._answered_again(data):
            return
        alone = self._begin()
        super().data_received(data)
        self._reading = False
        if self._held is not None:
            held, self._held = self._held, None
            self._hand_over(*held)
        elif self._plain is not None and alone and self._between and self._begun == 1:
            self._remember(data, self._plain)

    def _begin(self) -> bool:
        """Prepares for reading; tells whether a request may begin."""
        self._begun, self._plain, self._reading = 0, None, True
        return self._between

    def _remember(self, data: bytes, asked: Plain) -> None:
        """Keeps the head of a request that came in one piece, where it says how long the body is."""
        end = data.find(_HEAD_ENDS, 0, LONGEST_HEAD) + len(_HEAD_ENDS)
        body = len(data) - end
        if end < len(_HEAD_ENDS) or body != self._length:
            return
        if len(self.heads) >= MOST_HEADS:
            self.heads.clear()
        self.heads[data[:end]] = asked, body

    def _answered_again(self, data: bytes) -> bool:
        """Answers a request whose head is known, if it is whole and nothing is before or behind it."""
        end = data.find(_HEAD_ENDS, 0, LONGEST_HEAD) + len(_HEAD_ENDS)
        known = self.heads.get(data[:end])
        if known is None or len(data) - end != known[1] or self.flow.write_paused:
            return False
        before: Any = self.cycle
        if before is not None and not before.response_complete:
            return False
        self._unset_keepalive_if_required()
        again: Any = _Again()
        self.cycle = again
        self._asked = True  # what is no plain row is not asked for a second time
        if self._answered(known[0], again, data[end:]):
            return True
        self.cycle = before
        return False

    def _answered(self, asked: Plain, cycle: Any, body: bytes | bytearray) -> bool:
        def reply(response: Response) -> None:
            self._write(cycle, response)

        self._length = len(body)
        return self.application.answer_at_once(asked, body, reply)

    def _hand_over(self, cycle: Any, app: Any) -> None:
        self.application.waiting.read()
        super()._start_asgi_task(cycle, app)

    def _often(self) -> bytes:
        """Gives the fields that every answer has; uvicorn lists them anew each second."""
        listed = self.server_state.default_headers
        if self.listed is not listed:
            kind = type(self)
            kind.listed, kind.written = listed, field_lines(listed)
        return self.written

    def _write(self, cycle: Any, response: Response) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        if response.status != HTTPStatus.OK:
            self._plain = None  # a refusal says nothing of what was asked
        status, often, fields = _STATUS_LINES[response.status], self._often(), response.lines()
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((status, often, fields, end, response.body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        self.on_response_complete()
