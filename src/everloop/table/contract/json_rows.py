"""A row read straight into the contract's types, from JSON or from values: what nearly every request is.

The types say what `RowChecker` tests, so that reading is checking. Only rows that satisfy the contract are
given; of every other the checker says what is wrong with it. The two give the same values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from everloop.table.contract.rows import RowChecker, Violation

if TYPE_CHECKING:
    from everloop.table.contract.column_rules import ColumnRule
    from everloop.table.contract.rules import Contract

_LEAST, _MOST = -(2**63), 2**63 - 1
_WRAPPED = ("row", "rows")
"""Members that hold rows, where a body is not a row itself."""

ReadRow = tuple[dict[str, Any], tuple[Any, ...] | None, tuple[str, ...]]
"""A row as column to value; its values alone, in the order of the names behind them, or None where one of
these is not in the row."""


def json_row_reader(
    contract: Contract, checker: RowChecker, also: Sequence[str] = ()
) -> JsonRowReader | None:
    """Gives what reads rows of a contract from JSON; None where a column is called as what wraps rows.

    Args:
        contract: What the row must satisfy.
        checker: The same contract, compiled for rows.
        also: Fields that the contract does not name and that are kept as they come.
    """
    return None if {*contract.types, *also}.intersection(_WRAPPED) else JsonRowReader(contract, checker, also)


class JsonRowReader:
    """Reads one row. Threads may share it; made by `json_row_reader`.

    Attributes:
        contract: What the row must satisfy.
    """

    def __init__(self, contract: Contract, checker: RowChecker, also: Sequence[str]) -> None:
        self.contract = contract
        self._checker = checker
        self._names = (*contract.types, *also)
        self._also = tuple(also)
        # What no type says, a pattern, an image or a time, is tested behind it.
        self._tested = tuple(rule.name for rule in contract.columns if _type_of(rule) is None)
        self._type = _row_type(contract, self._also)
        self._decoder = msgspec.json.Decoder(self._type)
        self._numbers = tuple(place for place, rule in enumerate(contract.columns) if rule.type == "number")

    def read(self, content: bytes | bytearray) -> ReadRow | None:
        """Gives a body's row as `RowChecker.normalise` gives it.

        Args:
            content: JSON.

        Returns:
            The row; None where the body is none, or one that breaks the contract.
        """
        try:
            found = self._decoder.decode(content)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError, ValueError):
            return None
        return self._read(msgspec.structs.astuple(found))

    def take(self, row: Mapping[str, Any]) -> ReadRow | None:
        """Gives a row as `read` does, of values as JSON gives them or of those of a table.

        Args:
            row: Column to value; it is not changed.

        Returns:
            The row; None where it breaks the contract or is in need of a closer look, such as one with NaN.
        """
        try:
            fields = msgspec.structs.astuple(msgspec.convert(row, self._type))
        except (msgspec.MsgspecError, RecursionError, ValueError, TypeError):
            return None
        total = 0.0
        for place in self._numbers:
            value = fields[place]
            if value.__class__ is float:
                total += value
        # JSON has neither NaN nor infinity, so no type refuses them.
        return self._read(fields) if total - total == 0.0 else None

    def _read(self, fields: tuple[Any, ...]) -> ReadRow | None:
        if fields[-1] is not msgspec.UNSET or fields[-2] is not msgspec.UNSET:
            return None
        values: dict[str, Any] = dict(zip(self._names, fields, strict=False))  # the wrappers have no name
        bare: tuple[Any, ...] | None = fields[: -len(_WRAPPED)]
        for name in self._also:
            if values[name] is msgspec.UNSET:
                bare = None
                del values[name]
        for name in self._tested:
            value = self._checker.tested(name, values[name])
            if value.__class__ is Violation:
                return None
            values[name] = value
        if not self._checker.holds(values):
            return None
        if self._tested and bare is not None:
            bare = tuple(values.values())
        return values, bare, self._names


def _row_type(contract: Contract, also: Sequence[str]) -> type[msgspec.Struct]:
    """Makes the type of a row; members get names of their own, since a column's may be any text."""
    names = (*contract.types, *also)
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for place, rule in enumerate(contract.columns):
        needed = rule.severity == "error" and not rule.nullable
        kind = _type_of(rule)
        wanted = Any if kind is None else kind if needed else kind | None
        fields.append((f"f{place}", wanted) if needed and kind is not None else (f"f{place}", wanted, None))
    first = len(contract.columns)
    fields += [(f"f{first + place}", Any, msgspec.UNSET) for place in range(len(also))]
    unset = msgspec.Raw | msgspec.UnsetType
    fields += [(f"w{place}", unset, msgspec.UNSET) for place in range(len(_WRAPPED))]
    wrapped = {f"w{place}": name for place, name in enumerate(_WRAPPED)}
    return msgspec.defstruct(
        "Row",
        fields,
        rename={f"f{place}": name for place, name in enumerate(names)} | wrapped,
        kw_only=True,
        forbid_unknown_fields=contract.extra == "reject",
        gc=False,
    )


def _type_of(rule: ColumnRule) -> Any:
    """Gives the type that says all that a rule tests, None where there is no such type."""
    enforced = rule.severity == "error"
    allowed = rule.allowed if enforced else None
    if rule.content is not None or (enforced and rule.pattern is not None):
        return None
    if rule.type == "text":
        return str if allowed is None else Literal[tuple(allowed)] if allowed else None
    make = _NUMBERS.get(rule.type)
    if allowed is not None or make is None:
        return bool if allowed is None and rule.type == "boolean" else None
    return make(rule.minimum if enforced else None, rule.maximum if enforced else None)


def _number(low: Any, high: Any) -> Any:
    least, most = (None if one is None else float(one) for one in (low, high))
    # A limit that is no double would be another one.
    return Annotated[float, msgspec.Meta(ge=least, le=most)] if (least, most) == (low, high) else None


def _integer(low: Any, high: Any) -> Any:
    least = _LEAST if low is None else max(_LEAST, math.ceil(low))
    most = _MOST if high is None else min(_MOST, math.floor(high))
    return Annotated[int, msgspec.Meta(ge=least, le=most)] if least <= most else None


_NUMBERS: dict[str, Callable[[Any, Any], Any]] = {"number": _number, "integer": _integer}
