"""What a table or a row must be: its schema, its contract, SQL expressions over a row, prices, a dataset.

Example:
    >>> from everloop.table.expression import parse, to_row
    >>> to_row(parse("amount * 0.04", {"amount": "number"}))({"amount": 100})
    4.0
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.table.contract import (
        Contract,
        ContractReport,
        check,
        load_contract,
        row_checker,
        save_contract,
    )
    from everloop.table.dataset import Dataset
    from everloop.table.prices import Prices
    from everloop.table.schema import Column, Schema, schema_of
    from everloop.table.tables import as_frame, as_lazy

_HOME = {
    **dict.fromkeys(
        ("Contract", "ContractReport", "check", "load_contract", "row_checker", "save_contract"), "contract"
    ),
    "Dataset": "dataset",
    "Prices": "prices",
    **dict.fromkeys(("Column", "Schema", "schema_of"), "schema"),
    **dict.fromkeys(("as_frame", "as_lazy"), "tables"),
}

__all__ = [
    "Column",
    "Contract",
    "ContractReport",
    "Dataset",
    "Prices",
    "Schema",
    "as_frame",
    "as_lazy",
    "check",
    "load_contract",
    "row_checker",
    "save_contract",
    "schema_of",
]

__getattr__ = lazy_names(__name__, _HOME)
