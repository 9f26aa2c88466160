"""Secrets: the file names where they are, never what they are."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, PlainSerializer, PlainValidator, WithJsonSchema

from everloop.core.secret import PREFIXES, Secret

EXPECTED_REFERENCE = "expected env:NAME or file:PATH, so that the secret itself is not in the file"
PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"
_PASSWORD_PARAMETER = re.compile(
    r"[?&;]\w*(password|passwd|pwd|secret|token|api_?key|access_?key)\w*=", re.IGNORECASE
)


def is_reference(value: Any) -> bool:
    """Tells whether a text refers to a secret."""
    return isinstance(value, str) and value.startswith(PREFIXES)


def holds_password(value: Any) -> bool:
    """Tells whether an address carries a password, before its `@` or in its query."""
    if not isinstance(value, str):
        return False
    if _PASSWORD_PARAMETER.search(value):
        return True
    head, found, _ = value.partition("://")[2 if "://" in value else 0].rpartition("@")
    password = head.partition(":")[2]
    # In https://host:8080/a@b what follows the colon is a port.
    return bool(found and password) and re.match(r"\d+/", password) is None


def read_secret(value: Any) -> Secret:
    """Reads a reference to a secret."""
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str) or re.match(PATTERN, value) is None:
        # The value itself may be the secret, so it is not shown.
        raise ValueError(EXPECTED_REFERENCE)
    return Secret(value)


def read_address(value: Any) -> Secret | str:
    """Reads an address, or a reference to one; an address with a password in it is refused."""
    if isinstance(value, Secret) or is_reference(value):
        return read_secret(value)
    if not isinstance(value, str) or not value:
        raise ValueError("expected text, env:NAME or file:PATH")
    if holds_password(value):
        raise ValueError("expected an address without a password; write env:NAME and keep the address there")
    return value


def _read_open_address(value: str) -> str:
    if holds_password(value):
        raise ValueError("expected an address without a password")
    return value


SecretField = Annotated[
    Secret,
    PlainValidator(read_secret),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": PATTERN}),
]
AddressField = Annotated[
    Secret | str,
    PlainValidator(read_address),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string"}),
]
"""An address that may be kept as a secret."""
OpenAddress = Annotated[str, AfterValidator(_read_open_address)]
"""An address that is always in the file, and so carries no password."""
