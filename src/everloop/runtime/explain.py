"""Reason codes: which inputs moved a row's score away from what it would otherwise have been.

For one row and each raw input the model is asked again with that input alone replaced by its
reference value (a typical value, kept in the package), and the change of the score is the input's
effect. Where inputs act together each of them carries the joint effect, so effects need not add up
to the score; for a model without interactions they equal the Shapley values against that reference.
One batch of as many vectors as there are inputs, plus one.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.runtime.file_forms import refuse_archive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from everloop.runtime.plan import Plan

EXPLAIN_NAME = "explain.npz"
_MOST_BYTES = 64 * 2**20
_MOST_CELLS = 1 << 20
"""Rows x slots that are scored at once: of thousands of columns all would be hundreds of megabytes."""


@dataclass(frozen=True)
class Reason:
    """One input's part in a score.

    Attributes:
        column: The raw input.
        value: Its value in the row.
        reference: What it was replaced by.
        effect: The score of the row less the score with the reference value.
    """

    column: str
    value: Any
    reference: Any
    effect: float


def save_reference_row(path: Path, reference: Mapping[str, Any]) -> None:
    """Writes what reason codes need: a typical value for each raw input.

    Args:
        path: The package's `explain.npz`.
        reference: Column to value, such as the training part's median or most frequent category;
            times as integers of microseconds since 1970.
    """
    texts = [json.dumps(to_jsonable(value)) for value in reference.values()]
    buffer = io.BytesIO()
    np.savez_compressed(buffer, columns=np.array(list(reference), dtype=np.str_), values=np.array(texts))
    write_file(path, buffer.getvalue())


def read_reference_row(content: bytes) -> dict[str, Any]:
    """Reads the content of `explain.npz`; no pickle is ever loaded.

    Raises:
        PackageRefused: When the content is no such file.
    """
    refuse_archive(content, EXPLAIN_NAME, _MOST_BYTES)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            columns, values = arrays["columns"].tolist(), arrays["values"].tolist()
        return {column: json.loads(value) for column, value in zip(columns, values, strict=True)}
    except (ValueError, KeyError, TypeError, OSError, MemoryError, RecursionError) as error:
        raise PackageRefused(f"{EXPLAIN_NAME} cannot be read: {error}.") from None


class Reasons:
    """Finds reasons with one model; safe to share between threads.

    Of a column that alone decides its slots of the vector only those slots are written anew: the row and
    the reference are encoded once each. Of others the row is encoded again.

    Args:
        reference: A typical value for each raw input.
        encode: From rows to vectors, (rows, width).
        scores: From vectors (rows, width) to scores (rows, k); of several, the row's highest is explained.
        plan: The preparation that encodes.
    """

    def __init__(
        self,
        reference: Mapping[str, Any],
        encode: Callable[[Sequence[Mapping[str, Any]]], NDArray[Any]],
        scores: Callable[[NDArray[Any]], NDArray[np.float64]],
        plan: Plan,
    ) -> None:
        self._reference, self._encode, self._scores = reference, encode, scores
        slots = _slots_of(plan)
        self._apart = [column for column in reference if column not in slots]
        self._alone = [column for column in reference if column in slots]
        self._columns = (*self._apart, *self._alone)
        pairs = [(place, slot) for place, column in enumerate(self._alone) for slot in slots[column]]
        rows, places = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        typical = encode((reference,))[0][places] if pairs else np.zeros(0)
        self._parts = list(_parts(len(self._alone), plan.width, rows, places, typical))

    def of(self, row: Mapping[str, Any], most: int) -> tuple[Reason, ...]:
        """Gives the strongest reasons for a row's score.

        Args:
            row: The raw row.
            most: How many reasons at most.

        Returns:
            Reasons by falling size of their effect; equal ones by name. Inputs without effect are left out.
        """
        reference = self._reference
        answers = [self._scores(each) for each in self._batches(row)]
        # A score is held against one of the same batch: alone it may come out otherwise in its last bits.
        explained = answers[0][0].argmax()
        effects = np.concatenate([each[0, explained] - each[1:, explained] for each in answers]).tolist()
        ranked = sorted(
            (-abs(effect), column, effect)
            for column, effect in zip(self._columns, effects, strict=True)
            if effect
        )
        return tuple(
            Reason(column, row.get(column), reference[column], effect) for _, column, effect in ranked[:most]
        )

    def _batches(self, row: Mapping[str, Any]) -> Iterator[NDArray[Any]]:
        """Gives vectors: each time the row's own, and behind it those with one column replaced each."""
        reference = self._reference
        together = max(1, _MOST_CELLS // max(1, len(reference)))
        for start in range(0, len(self._apart), together):
            changed = ({**row, column: reference[column]} for column in self._apart[start : start + together])
            yield self._encode((row, *changed))
        if self._apart and not self._alone:
            return
        vector = self._encode((row,))[0]
        for part in self._parts:
            variants = np.empty((part.columns + 1, len(vector)))
            variants[:] = vector
            variants[part.rows, part.slots] = part.typical
            yield variants


class _Part(NamedTuple):
    """Columns that alone decide their slots: which slots of which row of a batch are written anew."""

    columns: int
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]
    typical: NDArray[np.float64]


def _parts(
    columns: int, width: int, rows: NDArray[Any], slots: NDArray[Any], typical: NDArray[Any]
) -> Iterator[_Part]:
    """Divides columns into batches of bounded size; without any there is one of the row alone."""
    together = max(1, _MOST_CELLS // max(1, width))
    for start in range(0, max(1, columns), together):
        stop = min(start + together, columns)
        here = slice(*np.searchsorted(rows, (start, stop)))
        yield _Part(stop - start, rows[here] - start + 1, slots[here], typical[here])


def _slots_of(plan: Plan) -> dict[str, list[int]]:
    """Gives the slots of each raw column that no derived column reads; nothing of a plan without slots."""
    from everloop.table.expression import Expression

    if not plan.width:
        return {}
    slots: dict[str, list[int]] = {item.name: [] for item in plan.inputs}
    for encoder in plan.encoders:
        if encoder.column in slots:
            slots[encoder.column] += range(encoder.offset, encoder.offset + encoder.width)
    for item in plan.derived:
        for column in Expression.from_dict(item.expression).columns:
            slots.pop(column, None)
    return slots
