"""What is wrong with which field, as a refusal's `errors` say it; never what was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.runtime.http import Refusal

if TYPE_CHECKING:
    from everloop.table.contract.rows import Violation

_MOST = 100
_KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "text", list: "array"}


def problem(field: str, rule: str, expected: str, value: Any) -> dict[str, Any]:
    """Says which field breaks which rule, what was expected, and of which type its value is."""
    return {"field": field, "rule": rule, "expected": expected, "type": _KINDS.get(type(value), "object")}


def broken_rule(found: Violation, row: str = "") -> dict[str, Any]:
    """Says how a row breaks its contract.

    Args:
        found: What was found.
        row: The row's name where there are several.
    """
    field = ".".join(part for part in (row, found.field) if part) or "row"
    return {"field": field, "rule": found.rule, "expected": found.expected, "type": found.type}


def refused(title: str, problems: Sequence[dict[str, Any]]) -> Refusal:
    """Gives the refusal of what was sent, 422, with the first of its problems."""
    return Refusal(422, title, errors=problems[:_MOST])
