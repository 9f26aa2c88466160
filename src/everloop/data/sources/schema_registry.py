"""Avro messages in the wire form of Confluent's schema registry.

A zero byte, four bytes with the schema's id, then Avro's binary form
(https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html#wire-format).
"""

from __future__ import annotations

import io
import json
import struct
from typing import Any
from urllib.parse import quote

from everloop.core.errors import SourceUnreachable, SourceUnreadable
from everloop.core.extras import require
from everloop.data.sources.streams import FlawedMessage, row_of

SECONDS = 10.0
_HEAD = struct.Struct(">bI")


class AvroReader:
    """Reads Avro messages; each schema is fetched once.

    Args:
        registry: The registry's address; a user and a password in it are sent as basic authentication.
    """

    def __init__(self, registry: str) -> None:
        httpx = require("httpx", extra="train")
        try:
            self._url = httpx.URL(registry.rstrip("/"))
        except httpx.InvalidURL:
            raise SourceUnreadable(
                "The schema registry's address is none.", hint="http://localhost:8081"
            ) from None
        self._name = str(self._url.copy_with(userinfo=b""))
        self._schemas: dict[int, Any] = {}

    def __repr__(self) -> str:
        return f"AvroReader({self._name!r})"

    def row(self, content: bytes | None) -> dict[str, Any]:
        """Reads a message.

        Raises:
            FlawedMessage: When it is not in the wire form, or is not what its schema says.
            SourceUnreachable: When the registry does not answer.
        """
        if not content:
            raise FlawedMessage("the message is empty")
        if len(content) < _HEAD.size or content[0]:
            raise FlawedMessage(
                "no Avro in the registry's form: it does not begin with a zero byte and an id"
            )
        schema = self._schema(_HEAD.unpack_from(content)[1])
        fastavro = require("fastavro", extra="kafka")
        body = io.BytesIO(content[_HEAD.size :])
        try:
            decoded = fastavro.schemaless_reader(body, schema)
        except Exception as error:  # noqa: BLE001  (the bytes may be anything)
            raise FlawedMessage(f"not what its schema says: {type(error).__name__}: {error}") from None
        if body.read(1):
            raise FlawedMessage("not what its schema says: bytes are left at its end")
        return row_of(decoded)

    def _schema(self, identity: int) -> Any:
        found = self._schemas.get(identity)
        if found is None:
            answer = self._ask(f"/schemas/ids/{identity}")
            if answer is None:
                raise FlawedMessage(f"its schema {identity} is not in the registry {self._name}")
            named: dict[str, Any] = {}
            found = self._schemas[identity] = self._parsed(answer, named, depth=0)
        return found

    def _parsed(self, answer: dict[str, Any], named: dict[str, Any], *, depth: int) -> Any:
        """Parses a schema after those that it refers to."""
        fastavro = require("fastavro.schema", extra="kafka")
        kind = answer.get("schemaType", "AVRO")
        if kind != "AVRO" or depth > 20:
            raise SourceUnreadable(
                f"The registry {self._name} gives a schema of the kind {kind}; AVRO is read."
            )
        for reference in answer.get("references") or []:
            subject = quote(str(reference["subject"]), safe="")
            other = self._ask(f"/subjects/{subject}/versions/{reference['version']}")
            if other is not None:
                self._parsed(other, named, depth=depth + 1)
        try:
            return fastavro.parse_schema(json.loads(answer["schema"]), named_schemas=named)
        except Exception as error:  # noqa: BLE001  (so may the schema)
            raise SourceUnreadable(
                f"The registry {self._name} gives a schema that is none: {error}."
            ) from None

    def _ask(self, path: str) -> dict[str, Any] | None:
        """Asks the registry; None where it has no such thing."""
        httpx = require("httpx", extra="train")
        url = self._url.copy_with(path=self._url.path.rstrip("/") + path)
        try:
            answer = httpx.get(url, timeout=SECONDS, headers={"accept": "application/json"})
        except httpx.HTTPError as error:
            raise SourceUnreachable(
                f"The schema registry {self._name} does not answer: {type(error).__name__}."
            ) from None
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            kind = SourceUnreachable if answer.status_code >= 500 else SourceUnreadable
            raise kind(f"The schema registry {self._name} answers {answer.status_code} for {path}.")
        try:
            told = answer.json()
        except ValueError:
            told = None
        if not isinstance(told, dict) or not isinstance(told.get("schema"), str):
            raise SourceUnreadable(
                f"The schema registry {self._name} answers with something else for {path}."
            )
        return told
