"""An expression as a small typed tree, which JSON can carry.

Three kinds of node are enough: a literal, a column, and a call of one of the operators. The server
reads a tree from JSON; it needs no SQL parser.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

ValueType = Literal["boolean", "number", "text", "time"]
"""What an expression can be. Integers are numbers: arithmetic is in double precision."""


class Constant(msgspec.Struct, frozen=True, tag="constant", tag_field="kind"):
    """A value written in the expression; a time is in microseconds since 1970, UTC."""

    value: bool | float | str | None
    type: ValueType


class ColumnRef(msgspec.Struct, frozen=True, tag="column", tag_field="kind"):
    """A column of the row."""

    name: str
    type: ValueType


class Call(msgspec.Struct, frozen=True, tag="call", tag_field="kind"):
    """An operator over its arguments."""

    operator: str
    arguments: tuple[Constant | ColumnRef | Call, ...]
    type: ValueType


Node = Constant | ColumnRef | Call


def columns_of(node: Node) -> tuple[str, ...]:
    """Names the columns that a tree reads, each once, in the order of their first use."""
    found: dict[str, None] = {}
    _collect(node, found)
    return tuple(found)


def _collect(node: Node, found: dict[str, None]) -> None:
    if isinstance(node, ColumnRef):
        found[node.name] = None
    elif isinstance(node, Call):
        for argument in node.arguments:
            _collect(argument, found)


def _renamed(node: Node, names: Mapping[str, str]) -> Node:
    if isinstance(node, ColumnRef):
        return ColumnRef(names.get(node.name, node.name), node.type)
    if isinstance(node, Call):
        return Call(node.operator, tuple(_renamed(one, names) for one in node.arguments), node.type)
    return node


class Expression(msgspec.Struct, frozen=True):
    """An expression over one row: its SQL text and its tree.

    Attributes:
        sql: What was written.
        tree: What it means.
    """

    sql: str
    tree: Node

    @property
    def type(self) -> ValueType:
        """What the expression gives."""
        return self.tree.type

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns it reads, each once, in the order of their first use."""
        return columns_of(self.tree)

    def to_dict(self) -> dict[str, Any]:
        """Gives the expression as what JSON can carry."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @staticmethod
    def from_dict(data: dict[str, Any]) -> Expression:
        """Reads what `to_dict` gave and checks it against the operators.

        Raises:
            SpecFault: It is not an expression, or uses an operator that is not known.
        """
        from everloop.table.expression.building import rebuild

        return rebuild(data)


def renamed(expression: Expression, names: Mapping[str, str]) -> Expression:
    """Gives an expression that reads other columns: each one that is named here under its new name."""
    return Expression(expression.sql, _renamed(expression.tree, names))
