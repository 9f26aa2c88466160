"""Polars: the engine that is used unless another is named."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from everloop.data.engines.protocol import Capabilities
from everloop.table.stored import StoredTable


class PolarsEngine:
    """Polars, through memory by columns and blocks of rows."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        name="polars",
        holds="in a file, through memory by columns and blocks of rows",
        beyond_memory=True,
        beyond_machine=False,
        extra="train",
    )

    @contextmanager
    def open(self, table: Any) -> Iterator[StoredTable]:
        """Opens a file, or takes a table as a lazy frame."""
        yield StoredTable.of(table)
