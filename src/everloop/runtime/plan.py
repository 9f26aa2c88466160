"""The plan: how one raw row becomes the vector of doubles that the model reads.

A plan is the preparation that was fitted in training, folded into constants. It is data, written
as JSON into the package; `compile_row` turns it into a function for the server, and
`everloop.runtime.plan_table.encode_table` applies the same plan to a table. The two agree exactly.

What counts as missing is None and NaN. A time is a number of microseconds since 1970 in UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from everloop.core.errors import PackageRefused
from everloop.core.files import write_file
from everloop.runtime.encoders import (
    INPUT_TYPES,
    MOST_SLOTS,
    DerivedColumn,
    Encoder,
    GridEncoder,
    LookupEncoder,
    NumberEncoder,
    OneHotEncoder,
    PlanInput,
    TextEncoder,
    check_constants,
)
from everloop.runtime.json_form import encode_json
from everloop.runtime.row_fill import Row, fills

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = [
    "PLAN_FORMAT",
    "DerivedColumn",
    "Encoder",
    "GridEncoder",
    "LookupEncoder",
    "NumberEncoder",
    "OneHotEncoder",
    "Plan",
    "PlanInput",
    "TextEncoder",
    "compile_row",
    "compile_rows",
    "derived_order",
    "numbers_in_text",
]

PLAN_FORMAT = 1


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole preparation.

    Attributes:
        inputs: The raw columns that are read.
        derived: Columns computed from them, in any order; they may read each other.
        encoders: What writes each slot of the vector.
        width: The length of the vector.
        format: The version of this form.

    Raises:
        PackageRefused: When columns or slots do not fit together.
    """

    inputs: tuple[PlanInput, ...]
    encoders: tuple[Encoder, ...]
    width: int
    derived: tuple[DerivedColumn, ...] = ()
    format: int = PLAN_FORMAT

    def __post_init__(self) -> None:
        _check_columns(self)
        _check_slots(self)
        for encoder in self.encoders:
            check_constants(encoder)

    def to_json(self) -> bytes:
        """Gives the plan as JSON."""
        return encode_json(self)

    def save(self, path: Path) -> None:
        """Writes the plan's JSON to a file, whole or not at all."""
        write_file(path, self.to_json())

    @staticmethod
    def from_json(text: bytes | str) -> Plan:
        """Reads a plan.

        Raises:
            PackageRefused: When the text is no plan, or one of a newer form.
        """
        try:
            newer = msgspec.json.decode(text, type=_FormatOnly).format > PLAN_FORMAT
            if newer:
                raise PackageRefused(
                    "The plan has a newer form than this Everloop reads.", hint="pip install -U everloop"
                )
            return msgspec.json.decode(text, type=Plan)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
            raise PackageRefused(f"The plan cannot be read: {error}.") from None

    @staticmethod
    def load(path: Path) -> Plan:
        """Reads a plan's file.

        Raises:
            PackageRefused: When it is no plan.
        """
        return Plan.from_json(path.read_bytes())


class _FormatOnly(msgspec.Struct):
    format: int = PLAN_FORMAT


def _check_columns(plan: Plan) -> None:
    names = [item.name for item in plan.inputs] + [item.name for item in plan.derived]
    known = set(names)
    if len(known) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise PackageRefused(f"The plan names the column {twice!r} twice.")
    for item in plan.inputs:
        if item.type not in INPUT_TYPES:
            raise PackageRefused(
                f"The plan's column {item.name!r} has the type {item.type!r}; expected one of {INPUT_TYPES}."
            )
    for encoder in plan.encoders:
        if encoder.column not in known:
            raise PackageRefused(f"The plan encodes the column {encoder.column!r}, which it does not read.")


def _check_slots(plan: Plan) -> None:
    if plan.width > MOST_SLOTS:
        raise PackageRefused(f"The plan has {plan.width} slots; expected at most {MOST_SLOTS}.")
    taken = [slot for encoder in plan.encoders for slot in (encoder.offset, encoder.offset + encoder.width)]
    if min(taken, default=0) < 0 or max(taken, default=0) > plan.width:
        raise PackageRefused(f"The plan writes outside its {plan.width} slots.")
    slots = sorted((encoder.offset, encoder.width) for encoder in plan.encoders)
    position = 0
    for offset, width in slots:
        if offset != position:
            raise PackageRefused(f"Slot {position} of the plan is written by none or by two encoders.")
        position += width
    if position != plan.width:
        raise PackageRefused(f"Slot {position} of the plan is written by no encoder.")


def derived_order(plan: Plan, reads: Mapping[str, frozenset[str]]) -> tuple[DerivedColumn, ...]:
    """Puts derived columns in an order in which each comes after those that it reads.

    Args:
        plan: The plan.
        reads: For each derived column, the columns that its expression reads.

    Raises:
        PackageRefused: When one reads a column that is not there, or they read each other in a circle.
    """
    known = {item.name for item in plan.inputs}
    waiting = list(plan.derived)
    ordered: list[DerivedColumn] = []
    while waiting:
        ready = [item for item in waiting if reads[item.name] <= known]
        if not ready:
            item = waiting[0]
            absent = sorted(reads[item.name] - known)
            raise PackageRefused(
                f"The derived column {item.name!r} reads {absent}, which is not there or reads it in turn."
            )
        ordered.extend(ready)
        known.update(item.name for item in ready)
        waiting = [item for item in waiting if item.name not in known]
    return tuple(ordered)


def numbers_in_text(plan: Plan) -> frozenset[str]:
    """Names the columns of text that the plan reads as numbers, such as ``"1,234"``."""
    from everloop.table.expression import Expression

    texts = {item.name for item in plan.inputs if item.type == "text"}
    trees = [Expression.from_dict(item.expression) for item in plan.derived]
    read = [tree.columns[0] for tree in trees if tree.type == "number" and len(tree.columns) == 1]
    return frozenset(texts.intersection(read))


def compile_row(plan: Plan) -> Callable[[Row], NDArray[np.float64]]:
    """Gives the function that encodes one row.

    Args:
        plan: The preparation.

    Returns:
        A function from a mapping (column to float, int, bool, text, time or None; a column that is
        not there is missing; a time is an integer of microseconds since 1970 or a datetime) to a
        vector of `plan.width` doubles. It is safe to call from several threads.

    Raises:
        PackageRefused: When derived columns read each other in a circle.
    """
    encode = compile_rows(plan)
    return lambda row: encode((row,))[0]


def compile_rows(plan: Plan) -> Callable[[Iterable[Row]], NDArray[np.float64]]:
    """Gives the function that encodes rows, as `compile_row` does each: (rows, `plan.width`) doubles."""
    blank = [0.0] * plan.width
    writers = fills(plan.encoders)
    derive = _compile_derived(plan)
    single = np.array([e.offset for e in plan.encoders if isinstance(e, NumberEncoder) and e.float32])

    def encode(rows: Iterable[Row]) -> NDArray[np.float64]:
        encoded = []
        for row in rows:
            values = blank.copy()
            wider = row if derive is None else derive(row)
            for fill in writers:
                fill(wider, values)
            encoded.append(values)
        return np.array(encoded, dtype=np.float64)

    def encode_and_round(rows: Iterable[Row]) -> NDArray[np.float64]:
        vectors = encode(rows)
        with np.errstate(over="ignore"):
            vectors[:, single] = vectors[:, single].astype(np.float32)
        return vectors

    return encode_and_round if single.size else encode


def _compile_derived(plan: Plan) -> Callable[[Row], Row] | None:
    if not plan.derived:
        return None
    from everloop.table.expression import Expression, to_row

    trees = {item.name: Expression.from_dict(item.expression) for item in plan.derived}
    order = derived_order(plan, {name: frozenset(tree.columns) for name, tree in trees.items()})
    functions = [(item.name, to_row(trees[item.name])) for item in order]

    def derive(row: Row) -> Row:
        wider = dict(row)
        for name, function in functions:
            wider[name] = function(wider)
        return wider

    return derive
