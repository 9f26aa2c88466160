"""Secrets: the file names where they are, never what they are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from everloop.core.errors import OutsideFault

PREFIXES = ("env:", "file:")
PATTERN = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"


@dataclass(frozen=True, slots=True)
class Secret:
    """A reference such as ``env:DATABASE_URL`` or ``file:/run/secrets/url``.

    Attributes:
        reference: What the file says. Printing or saving a secret gives this, never the content.
    """

    reference: str

    def reveal(self) -> str:
        """Reads the content, at the moment of use.

        Raises:
            OutsideFault: When the variable is not set or the file cannot be read.
        """
        kind, _, name = self.reference.partition(":")
        if kind == "env":
            if name not in os.environ:
                raise OutsideFault(f"The environment variable {name} is not set.", hint=f"export {name}=...")
            return os.environ[name]
        try:
            return Path(name).read_text(encoding="utf-8").rstrip("\r\n")
        except OSError as error:
            raise OutsideFault(f"The secret's file {name} cannot be read: {error.strerror}.") from None

    def __str__(self) -> str:
        return self.reference


def is_reference(value: Any) -> bool:
    """Tells whether a text refers to a secret."""
    return isinstance(value, str) and value.startswith(PREFIXES)


def read_secret(value: Any) -> Secret:
    """Reads a reference to a secret."""
    if isinstance(value, Secret):
        return value
    if not is_reference(value) or len(value.partition(":")[2]) == 0:
        # The value itself may be the secret, so it is not shown.
        raise ValueError("expected env:NAME or file:PATH, so that the secret itself is not in the file")
    return Secret(value)


def read_address(value: Any) -> Secret | str:
    """Reads an address, or a reference to one; an address with a password in it is refused."""
    if isinstance(value, Secret) or is_reference(value):
        return read_secret(value)
    if not isinstance(value, str) or not value:
        raise ValueError("expected an address, env:NAME or file:PATH")
    credentials = value.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if ":" in credentials:
        raise ValueError("expected an address without a password; write env:NAME and keep the address there")
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
