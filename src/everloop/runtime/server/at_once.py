"""The connection of the model server: plain predictions are answered as soon as their bytes are read.

A prediction needs nothing that would wait, so the task, the messages and the checks that ASGI asks for each
request would cost more than the answer. A request that the application can answer at once is handed over
whole, and its answer is written to the connection; every other goes the way of ASGI. Reading HTTP, keeping
connections alive and ending them stay uvicorn's.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from everloop.runtime.http import Response

if TYPE_CHECKING:
    from everloop.runtime.server.app import App

_STATUS_LINES = {one.value: f"HTTP/1.1 {one.value} {one.phrase}\r\n".encode() for one in HTTPStatus}


def protocol_of(app: App) -> type[HttpToolsProtocol]:
    """Gives the class of connections to an application."""
    return type("Connection", (_Connection,), {"application": app})


class _Connection(HttpToolsProtocol):
    """One connection. It reads a cycle's scope, body and end of uvicorn's."""

    application: ClassVar[App]
    listed: ClassVar[list[tuple[bytes, bytes]] | None] = None
    written: ClassVar[bytes] = b""
    _held: tuple[Any, Any] | None = None
    _reading = False

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        # A request behind another one, or after `Expect`, takes the ordinary way.
        coming = self._reading and cycle is self.cycle and cycle.more_body
        if coming and not cycle.waiting_for_100_continue and not self.flow.write_paused:
            self._held = cycle, app
        else:
            self._hand_over(cycle, app)

    def on_message_complete(self) -> None:
        """Answers a request that is whole, if that can be done at once."""
        super().on_message_complete()
        if self._held is None:
            return
        cycle, app = self._held
        self._held = None

        def reply(response: Response) -> None:
            self._write(cycle, response)

        if not self.application.answer_at_once(cycle.scope, cycle.body, reply):
            self._hand_over(cycle, app)

    def data_received(self, data: bytes) -> None:
        """Reads what has come; a request whose end has not takes the ordinary way, with its time limit."""
        self._reading = True
        super().data_received(data)
        self._reading = False
        if self._held is not None:
            held, self._held = self._held, None
            self._hand_over(*held)

    def _hand_over(self, cycle: Any, app: Any) -> None:
        self.application.waiting.read()
        super()._start_asgi_task(cycle, app)

    def _often(self) -> bytes:
        """Gives the fields that every answer has; uvicorn lists them anew each second."""
        listed = self.server_state.default_headers
        if self.listed is not listed:
            kind = type(self)
            kind.listed, kind.written = listed, _lines(listed)
        return self.written

    def _write(self, cycle: Any, response: Response) -> None:
        if cycle.disconnected or self.transport.is_closing():
            return
        status, often, fields = _STATUS_LINES[response.status], self._often(), _lines(response.fields())
        end = b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((status, often, fields, end, response.body)))
        cycle.response_started = cycle.response_complete = True
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()


def _lines(fields: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join([b"%b: %b\r\n" % field for field in fields])
