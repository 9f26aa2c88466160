"""A store closes itself at the end of its ``with`` block."""

from __future__ import annotations

from types import TracebackType
from typing import Self


class Closing:
    """Gives a store its ``with`` block."""

    def close(self) -> None:
        """Lets go of the store."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
