"""Polars: the engine that is used unless another is named."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, ClassVar

from everloop.data.engines.protocol import Capabilities
from everloop.table.contract import Contract, ContractReport, check
from everloop.table.parsed import parsed_once
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
        with parsed_once(table) as rows:
            yield StoredTable.of(rows)

    def check(
        self,
        table: Any,
        contract: Contract,
        *,
        now: datetime | None = None,
        tables: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> ContractReport:
        """Judges all rules in one lazy pass."""
        with parsed_once(table) as rows:
            return check(rows, contract, now=now, tables=tables, without=without)
