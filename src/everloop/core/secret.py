"""A secret: the reference that says where it is, never what it is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from everloop.core.errors import OutsideFault

PREFIXES = ("env:", "file:")


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
        except UnicodeDecodeError:
            raise OutsideFault(f"The secret's file {name} cannot be read: it is not UTF-8 text.") from None

    def __str__(self) -> str:
        return self.reference
