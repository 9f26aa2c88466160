"""Contracts: what a table or a row must satisfy, and one meaning of it for both.

Example:
    >>> from everloop.table.contract import ColumnRule, Contract, row_checker
    >>> contract = Contract((ColumnRule("amount", "number", nullable=False, minimum=0.0),))
    >>> row_checker(contract)({"amount": -5})
    [Violation(field='amount', rule='minimum', expected='at least 0', type='integer')]
    >>> row_checker(contract)({"amount": 12})
    []
"""

from everloop.table.contract.checking import check
from everloop.table.contract.column_rules import ColumnRule
from everloop.table.contract.file import contract_text, load_contract, parse_contract, save_contract
from everloop.table.contract.json_rows import JsonRowReader, ReadRow, json_row_reader
from everloop.table.contract.report import ContractReport, Example, Finding
from everloop.table.contract.rows import RowChecker, Violation, row_checker
from everloop.table.contract.rules import Contract
from everloop.table.contract.table_rules import TableRule

__all__ = [
    "ColumnRule",
    "Contract",
    "ContractReport",
    "Example",
    "Finding",
    "JsonRowReader",
    "ReadRow",
    "RowChecker",
    "TableRule",
    "Violation",
    "check",
    "contract_text",
    "json_row_reader",
    "load_contract",
    "parse_contract",
    "row_checker",
    "save_contract",
]
