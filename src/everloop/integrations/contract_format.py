"""What a format for the exchange of contracts promises, and what its reading and writing give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from everloop.table.contract import Contract


@dataclass(frozen=True)
class Written:
    """A contract in another format.

    Attributes:
        document: What the file holds, as JSON or YAML can carry it.
        left_out: What the format cannot say, each in words; nothing is left out silently.
    """

    document: dict[str, Any]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True)
class Read:
    """A contract that was read from another format.

    Attributes:
        contract: It.
        left_out: What of the file no contract can say, each in words.
    """

    contract: Contract
    left_out: tuple[str, ...] = ()


def carried(contract: Contract) -> list[str]:
    """Says which columns carry images or sounds, which no other format knows of."""
    return [f"{one.name}: what it carries, {one.content}s" for one in contract.columns if one.content]


class ContractFormat(Protocol):
    """Reads and writes contracts; found by the entry point group ``everloop.contract_formats``.

    Neither direction changes a verdict: what is read or written judges every table as the original
    does, and what cannot be said so is named in `left_out`.
    """

    suffix: str

    def knows(self, document: Mapping[str, Any]) -> bool:
        """Tells whether a file's content is of this format."""

    def write(self, contract: Contract, name: str) -> Written:
        """Gives a contract in this format, under a name."""

    def read(self, document: Mapping[str, Any], types: Mapping[str, str]) -> Read:
        """Reads a contract; `types` are those of columns of which the file says no type."""
