"""What an engine of the data phase is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from everloop.table.contract import Contract, ContractReport
    from everloop.table.stored import StoredTable


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do, as data; the support table in the docs is made from it.

    Attributes:
        name: Its name in the lifecycle file.
        holds: Where the rows are while they are worked on, in words.
        beyond_memory: Whether a table may be larger than memory.
        beyond_machine: Whether a table may be larger than the machine.
        extra: The extra of Everloop that brings what it needs.
    """

    name: str
    holds: str
    beyond_memory: bool
    beyond_machine: bool
    extra: str


@runtime_checkable
class DataEngine(Protocol):
    """Where contract, cleaning, features and split are computed.

    An engine is made without arguments and reaches nothing until it is used. All engines give the same
    answers; `everloop.testing.engine_suite` holds them to it. What touches every cell is done where the
    rows are: finding equal rows, computing features, counting what breaks a contract. Decisions (which
    row repeats another, which part a row is in, what stands for a missing value) are one code for all
    engines, which asks for one column at a time.
    """

    capabilities: ClassVar[Capabilities]

    def open(self, table: Any) -> AbstractContextManager[StoredTable]:
        """Opens a table while the context lasts.

        Args:
            table: The path of a Parquet file, a table of the engine's own, or any that
                `everloop.table.tables.as_lazy` takes. It is not changed.
        """
        ...

    def check(
        self,
        table: Any,
        contract: Contract,
        *,
        now: datetime | None = None,
        tables: Mapping[str, Any] | None = None,
        without: Sequence[str] = (),
    ) -> ContractReport:
        """Holds a table against a contract, as `everloop.table.contract.check` does.

        Args:
            table: As for `open`.
            contract: What it must satisfy.
            now: The time at which freshness is judged.
            tables: The sources that references are judged with, by name.
            without: Columns that are not looked at.
        """
        ...
