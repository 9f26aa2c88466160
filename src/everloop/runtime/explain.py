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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import PackageRefused
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.runtime.file_forms import refuse_archive

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

EXPLAIN_NAME = "explain.npz"
_MOST_BYTES = 64 * 2**20


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


def reasons(
    row: Mapping[str, Any],
    reference: Mapping[str, Any],
    encode: Callable[[Mapping[str, Any]], NDArray[np.float64]],
    scores: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    most: int,
) -> tuple[Reason, ...]:
    """Gives the strongest reasons for a row's score.

    Args:
        row: The raw row.
        reference: A typical value for each raw input.
        encode: From a row to its vector.
        scores: From vectors (rows, width) to scores (rows, k); of several, the row's highest is explained.
        most: How many reasons at most.

    Returns:
        Reasons by falling size of their effect; equal ones by name. Inputs without effect are left out.
    """
    columns = list(reference)
    variants = [encode(row), *(encode({**row, column: reference[column]}) for column in columns)]
    answers = scores(np.stack(variants))
    effects = answers[0, answers[0].argmax()] - answers[1:, answers[0].argmax()]
    found = [
        Reason(column, row.get(column), reference[column], float(effect))
        for column, effect in zip(columns, effects, strict=True)
        if effect != 0
    ]
    return tuple(sorted(found, key=lambda reason: (-abs(reason.effect), reason.column))[:most])
