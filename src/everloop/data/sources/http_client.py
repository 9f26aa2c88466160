"""One page of an HTTP API: asked for, waited for, asked for again where that can help."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from everloop.core.clock import as_utc
from everloop.core.digest import digest_bytes
from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.sources.http_auth import credentials, revealed, secrets_of
from everloop.data.sources.trying import Attempts

if TYPE_CHECKING:
    import httpx

    from everloop.data.sources.protocol import Surroundings
    from everloop.spec import HttpSource

# Statuses after which the same question can be answered later.
_BUSY = frozenset((408, 425, 429, 500, 502, 503, 504))
# An answer that trickles is given up after so many times the time-out.
_PATIENCE = 10
_HINTS = {
    401: "look at auth; the secret may have expired",
    403: "look at auth; the secret may not be allowed to read this",
    404: "look at the address and at pages",
}


@dataclass(frozen=True, slots=True)
class Question:
    """A page that is asked for.

    Attributes:
        number: Its number, from 1, for messages.
        address: Where it is.
        parameters: What is added to the address.
    """

    number: int
    address: str
    parameters: Mapping[str, str]

    @property
    def name(self) -> str:
        """Names the page, without what the address has after its path: that may be secret."""
        parts = urlsplit(self.address)
        return f"page {self.number} of {parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


@dataclass(frozen=True, slots=True)
class Page:
    """What came.

    Attributes:
        question: What was asked.
        body: The JSON.
        links: The addresses of the `Link` header by their relation.
        digest: The SHA-256 of the body.
    """

    question: Question
    body: Any
    links: Mapping[str, str]
    digest: str


class PageReader:
    """Reads pages of one API; close it, or use it in a `with` block."""

    def __init__(self, spec: HttpSource, surroundings: Surroundings) -> None:
        client = require("httpx", extra="train").Client
        self._spec = spec
        self._surroundings = surroundings
        self._patience = spec.timeout.total_seconds()
        self._client: httpx.Client = client(timeout=self._patience, follow_redirects=False)
        self._credentials: dict[str, str] | None = None
        self._secrets = secrets_of(spec.auth, {**spec.headers, **_apart(spec.parameters)})

    def __enter__(self) -> Self:
        """Gives the reader itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Closes the connections."""
        self._client.close()

    def read(self, question: Question) -> Page:
        """Asks for a page until it is there; waits as long as `Retry-After` says between attempts.

        Raises:
            SourceUnreachable: When it is not there after some attempts; page and status are named.
            SourceUnreadable: When the API refuses, or answers with what is no JSON.
        """
        attempts = Attempts(self._surroundings)
        while True:
            try:
                answer, content = self._ask(question)
                if answer.status_code not in _BUSY:
                    return self._page(question, answer, content)
                wait = _seconds_asked(answer.headers.get("Retry-After"), self._surroundings.clock.now())
                fault = SourceUnreachable(
                    f"{_capital(question.name)} answers {answer.status_code} {answer.reason_phrase}."
                )
            except SourceUnreachable as error:
                wait, fault = None, error
            attempts.failed(fault, wait)

    def _ask(self, question: Question) -> tuple[httpx.Response, bytes]:
        answer, content = self._ask_once(question)
        if answer.status_code == 401 and self._spec.auth is not None and self._spec.auth.kind == "oauth":
            self._credentials = None  # the token has expired
            answer, content = self._ask_once(question)
        return answer, content

    def _ask_once(self, question: Question) -> tuple[httpx.Response, bytes]:
        httpx = require("httpx", extra="train")
        if self._credentials is None:
            self._credentials = credentials(self._spec.auth, self._client) if self._spec.auth else {}
        headers = {
            "Accept": "application/json",
            **{name: revealed(value) for name, value in self._spec.headers.items()},
            **self._credentials,
        }
        began = time.perf_counter()
        try:
            address = httpx.URL(question.address).copy_merge_params(dict(question.parameters))
            with self._client.stream("GET", address, headers=headers) as answer:
                content = bytearray()
                for piece in answer.iter_bytes():
                    content += piece
                    if time.perf_counter() - began > _PATIENCE * self._patience:
                        raise httpx.ReadTimeout("it trickles")
        except httpx.TimeoutException:
            raise SourceUnreachable(
                f"{_capital(question.name)} is not there after {self._patience:g} s.",
                hint="timeout: a longer time, where the API is slow",
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = self._hidden(str(error) or type(error).__name__)
            raise SourceUnreachable(f"{_capital(question.name)} does not come: {reason}.") from None
        return answer, bytes(content)

    def _page(self, question: Question, answer: httpx.Response, content: bytes) -> Page:
        status = answer.status_code
        if status >= 300:
            where = f", which leads to {_place(answer.headers.get('Location', ''))}" if status < 400 else ""
            raise SourceUnreadable(
                f"{_capital(question.name)} answers {status} {answer.reason_phrase}{where}.",
                hint="write that address" if where else _HINTS.get(status),
            )
        try:
            body = json.loads(content)
        except ValueError as error:
            shown = self._hidden(content[:60].decode("utf-8", "replace"))
            raise SourceUnreadable(
                f"{_capital(question.name)} is no JSON: {error}; it begins with {shown!r}."
            ) from None
        links = {name: link["url"] for name, link in answer.links.items() if name and "url" in link}
        return Page(question, body, links, digest_bytes(content))

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***") if secret else text
        return " ".join(text.split()).rstrip(".")


def _apart(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {f"parameter {name}": value for name, value in parameters.items()}


def _seconds_asked(text: str | None, now: datetime) -> float | None:
    """Reads `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3)."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, (as_utc(parsedate_to_datetime(text)) - now).total_seconds())
    except ValueError:
        return None


def _place(location: str) -> str:
    parts = urlsplit(location)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
