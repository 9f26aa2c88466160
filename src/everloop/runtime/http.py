"""Requests, responses and refusals on plain ASGI."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

import msgspec

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_JSON = b"application/json"
_JSON_DECODER = msgspec.json.Decoder()


class Refusal(Exception):
    """A request that is answered with problem details (RFC 9457).

    Args:
        status: The HTTP status.
        title: What is wrong, in a sentence.
        detail: What was expected, in a sentence.
        errors: What is wrong with which field.
        headers: Further headers.
    """

    def __init__(
        self,
        status: int,
        title: str,
        detail: str = "",
        *,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    @property
    def sentence(self) -> str:
        """All of it in a line, for protocols that have one text for it."""
        fields = "; ".join(
            f"{error['field']}: {error['rule']}, expected {error['expected']}, not {error['type']}"
            for error in self.errors
        )
        return " ".join(part for part in (self.title, self.detail, fields) if part)

    def response(self, **members: Any) -> Response:
        """Gives the answer that says so; a protocol's clients may look for further members."""
        problem: dict[str, Any] = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            **members,
        }
        if self.detail:
            problem["detail"] = self.detail
        if self.errors:
            problem["errors"] = list(self.errors)
        body = msgspec.json.encode(problem)
        return Response(body, self.status, "application/problem+json", self.headers)


class ClientGone(Exception):
    """The client went away before its request had arrived."""


class Response:
    """What is answered."""

    __slots__ = ("body", "headers", "kind", "status")

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status = status
        self.kind = kind
        self.headers = headers

    @staticmethod
    def of(value: Any, status: int = 200) -> Response:
        """Gives a value as JSON."""
        return Response(msgspec.json.encode(value), status)

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        """Sends it to the client."""
        headers = [
            (b"content-type", self.kind.encode("latin-1")),
            (b"content-length", str(len(self.body)).encode("ascii")),
        ]
        if self.headers:
            headers += [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
            ]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": self.body if with_body else b""})


class Request:
    """What is asked.

    Attributes:
        parameters: What stands for the path's parameters.
        started: `time.perf_counter` when the request came.
    """

    __slots__ = ("_receive", "_scope", "parameters", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.parameters: dict[str, str] = {}
        self.started = time.perf_counter()

    @property
    def method(self) -> str:
        """The method, in capitals."""
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        """The path, decoded."""
        return str(self._scope["path"])

    def header(self, name: bytes) -> bytes:
        """Gives a header's value, or nothing; the name is in small letters."""
        for key, value in self._scope["headers"]:
            if key == name:
                return bytes(value)
        return b""

    def query(self, name: str) -> str | None:
        """Gives a query parameter's first value.

        Raises:
            Refusal: 400 when the query cannot be read.
        """
        if not self._scope["query_string"]:
            return None
        try:
            values = parse_qs(
                self._scope["query_string"].decode("ascii"), max_num_fields=20, keep_blank_values=True
            )
        except ValueError:
            raise Refusal(400, "The query cannot be read.", "Expected at most 20 fields in ASCII.") from None
        return values[name][0] if name in values else None

    async def body(self, most_bytes: int, seconds: float) -> bytes:
        """Reads the body.

        Raises:
            Refusal: 413 when it is too long, 408 when it takes too long.
            ClientGone: When the client went away.
        """
        length = self.header(b"content-length")
        if length.isdigit() and int(length[:20]) > most_bytes:
            raise too_long(most_bytes)
        try:
            async with asyncio.timeout(seconds):
                return await self._gather(most_bytes)
        except TimeoutError:
            raise Refusal(
                408,
                "The body took too long.",
                f"Expected within {seconds} s.",
                headers={"connection": "close"},
            ) from None

    async def _gather(self, most_bytes: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > most_bytes:
                raise too_long(most_bytes)
            if not message.get("more_body"):
                return b"".join([*pieces, piece]) if pieces else piece
            pieces.append(piece)

    async def json(self, most_bytes: int, seconds: float, *, nan: bool = False) -> Any:
        """Reads the body as JSON.

        Args:
            most_bytes: The largest body.
            seconds: How long it may take to arrive.
            nan: Whether `NaN`, which is no JSON but what pandas writes, is read as null.

        Raises:
            Refusal: 415 for another content type, 413, 408, or 400 when it is no JSON.
            ClientGone: When the client went away.
        """
        kind = self.header(b"content-type").partition(b";")[0].strip().lower()
        if kind and kind != _JSON and not kind.endswith(b"+json"):
            raise Refusal(415, "The body is of another kind.", "Expected application/json.")
        body = await self.body(most_bytes, seconds)
        try:
            return _decoded(body) if nan and b"NaN" in body else _JSON_DECODER.decode(body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
            # The message gives the place; it never repeats what was sent.
            raise Refusal(400, "The body is no JSON.", f"{error}.") from None


def _decoded(body: bytes) -> Any:
    """Reads JSON in which `NaN` stands for null; other numbers that are none are refused as ever."""
    return json.loads(body, parse_constant=_missing)


def _missing(word: str) -> None:
    if word != "NaN":
        raise ValueError(f"JSON is malformed: {word} is no number")


def too_long(most_bytes: int) -> Refusal:
    """Gives the refusal of a body that is too long."""
    return Refusal(
        413, "The body is too long.", f"Expected at most {most_bytes} bytes.", headers={"connection": "close"}
    )


def phrase(status: int) -> str:
    """Gives a status code's name."""
    return HTTPStatus(status).phrase
