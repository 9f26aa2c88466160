"""Requests, responses and refusals on plain ASGI."""

from __future__ import annotations

import asyncio
import json
import time
import types
from collections.abc import (
    Awaitable,
    Callable,
    Coroutine,
    Generator,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from functools import lru_cache, partial
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

    def fields(self) -> list[tuple[bytes, bytes]]:
        """Gives the header's fields."""
        fields = [(b"content-type", _kind_bytes(self.kind)), (b"content-length", b"%d" % len(self.body))]
        if self.headers:
            fields += [
                (name.encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
            ]
        return fields

    def lines(self) -> bytes:
        """Gives the header's fields as HTTP/1.1 writes them."""
        if self.headers:
            return field_lines(self.fields())
        return b"content-type: %b\r\ncontent-length: %d\r\n" % (_kind_bytes(self.kind), len(self.body))

    async def send(self, send: Send, *, with_body: bool = True) -> None:
        """Sends it to the client."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.fields()})
        await send({"type": "http.response.body", "body": self.body if with_body else b""})


class Request:
    """What is asked.

    Attributes:
        method: The method, in capitals.
        path: The path, decoded.
        parameters: What stands for the path's parameters.
        started: `time.perf_counter` when the request came.
    """

    __slots__ = ("_receive", "_scope", "method", "parameters", "path", "started")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._scope = scope
        self._receive = receive
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.parameters: dict[str, str] = {}
        self.started = time.perf_counter()

    def header(self, name: bytes) -> bytes:
        """Gives a header's value, or nothing; the name is in small letters."""
        for key, value in self._scope["headers"]:
            if key == name:
                found: bytes = value
                return found
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
            Refusal: 415 when it is compressed, 413 when it is too long, 408 when it takes too long.
            ClientGone: When the client went away.
        """
        coding = self.header(b"content-encoding")
        if coding and coding.strip().lower() != b"identity":
            raise _encoded()
        length = self.header(b"content-length")
        if length.isdigit() and int(length[:20]) > most_bytes:
            raise too_long(most_bytes)
        coming = self._gather(most_bytes)
        try:
            # Most bodies are there already, and a timer costs as much as reading one.
            waiting_for = coming.send(None)
        except StopIteration as arrived:
            whole: bytes = arrived.value
            return whole
        try:
            async with asyncio.timeout(seconds):
                return await _continued(coming, waiting_for)
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

    async def json_body(self, most_bytes: int, seconds: float) -> bytes:
        """Reads the body of a request that sends JSON, as it came.

        Raises:
            Refusal: 415 for another content type, 413, 408.
            ClientGone: When the client went away.
        """
        if not self.sends_json:
            raise Refusal(415, "The body is of another kind.", "Expected application/json.")
        return await self.body(most_bytes, seconds)

    @property
    def sends_json(self) -> bool:
        """Whether the body is JSON, by what the request says or does not say."""
        kind = self.header(b"content-type")
        if kind == _JSON or not kind:
            return True
        kind = kind.partition(b";")[0].strip().lower()
        return not kind or kind == _JSON or kind.endswith(b"+json")

    async def json(self, most_bytes: int, seconds: float, *, nan: bool = False) -> Any:
        """Reads the body as JSON.

        Args:
            most_bytes: The largest body.
            seconds: How long it may take to arrive.
            nan: Whether `NaN`, which is no JSON but what pandas writes, is read as null.

        Raises:
            Refusal: As `json_body` and `decode_json`.
            ClientGone: When the client went away.
        """
        return decode_json(await self.json_body(most_bytes, seconds), nan=nan)


def decode_json(body: bytes, *, nan: bool = False) -> Any:
    """Reads JSON.

    Raises:
        Refusal: 400 when it is none; the message gives the place and never repeats what was sent.
    """
    try:
        return _decoded(body) if nan and b"NaN" in body else _JSON_DECODER.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise Refusal(400, "The body is not JSON.", f"{error}.") from None


@types.coroutine
def _continued(coming: Coroutine[Any, Any, bytes], waiting_for: Any) -> Generator[Any, Any, bytes]:
    """Goes on with a coroutine that was begun by hand; what it waits for is handed to the event loop."""
    while True:
        try:
            answer = yield waiting_for
        except BaseException as error:  # noqa: BLE001  (a cancellation is the coroutine's to see)
            step: Callable[[], Any] = partial(coming.throw, error)
        else:
            step = partial(coming.send, answer)
        try:
            waiting_for = step()
        except StopIteration as arrived:
            whole: bytes = arrived.value
            return whole


def field_lines(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Writes a header's fields as HTTP/1.1 does, a line for each."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


@lru_cache(maxsize=64)
def _kind_bytes(kind: str) -> bytes:
    return kind.encode("latin-1")


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


def _encoded() -> Refusal:
    return Refusal(
        415,
        "The body is compressed.",
        "Expected it as it is, without Content-Encoding.",
        headers={"accept-encoding": "identity"},
    )


def phrase(status: int) -> str:
    """Gives a status code's name."""
    return HTTPStatus(status).phrase
