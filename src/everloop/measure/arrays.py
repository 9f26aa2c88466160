"""What every measure asks of its arrays, said once."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from everloop.core.errors import DataFault

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


def numbers(values: ArrayLike, name: str) -> Floats:
    """Reads a one-dimensional array of numbers without NaN.

    Args:
        values: Anything that numpy reads as numbers, shape (n,).
        name: What the values are, for the message.

    Returns:
        A float64 array of shape (n,).

    Raises:
        DataFault: When it has another shape, holds something else than numbers, or NaN.
    """
    array = possibly_missing(values, name)
    missing = int(np.count_nonzero(np.isnan(array)))
    if missing:
        raise DataFault(f"{missing} of {array.size} {name} are missing; every row needs one.")
    return array


def possibly_missing(values: ArrayLike, name: str) -> Floats:
    """Reads a one-dimensional array of numbers in which NaN means missing.

    Raises:
        DataFault: When it has another shape or holds something else than numbers.
    """
    array = _as_floats(values, name)
    if array.ndim != 1:
        raise DataFault(f"The {name} have shape {array.shape}; one number for each row was expected.")
    return array


def binary(values: ArrayLike, name: str) -> Booleans:
    """Reads a one-dimensional array of 0 and 1 (or booleans).

    Raises:
        DataFault: When another value is in it.
    """
    array = numbers(values, name)
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        raise DataFault(
            f"The {name} hold {array[wrong][0]:g}; only 0 (negative) and 1 (positive) were expected."
        )
    positive: Booleans = array == 1
    return positive


def classes(values: ArrayLike, name: str) -> Integers:
    """Reads a one-dimensional array of class indices, counted from 0.

    Raises:
        DataFault: When a value is negative or no whole number.
    """
    array = numbers(values, name)
    wrong = (array < 0) | (array != np.floor(array)) | ~np.isfinite(array)
    if wrong.any():
        raise DataFault(f"The {name} hold {array[wrong][0]:g}; class indices 0, 1, 2, ... were expected.")
    return array.astype(np.int64)


def matrix(values: ArrayLike, name: str, width: int | None = None) -> Floats:
    """Reads a two-dimensional array of numbers without NaN, of ``width`` columns when given.

    Raises:
        DataFault: When it has another shape, or a value is missing.
    """
    array = _as_floats(values, name)
    if array.ndim != 2 or (width is not None and array.shape[1] != width):
        expected = f"(n, {width})" if width is not None else "(n, classes)"
        raise DataFault(f"The {name} have shape {array.shape}; {expected} was expected.")
    if np.isnan(array).any():
        raise DataFault(f"Some {name} are missing; every row needs all of them.")
    return array


def weights_for(weights: ArrayLike | None, size: int) -> Floats:
    """Reads the rows' weights; all rows weigh 1 when there are none.

    Raises:
        DataFault: When their number is not ``size`` or one is negative or infinite.
    """
    if weights is None:
        return np.ones(size)
    array = numbers(weights, "weights")
    same_length(size, weights=array)
    if (array < 0).any() or not np.isfinite(array).all():
        raise DataFault("A weight is negative or infinite; weights must be finite and at least 0.")
    return array


def weight_by(groups: Integers, weights: Floats, size: int) -> Floats:
    """Sums the weights of each group 0, 1, ..., size - 1."""
    return np.bincount(groups, weights, size).astype(np.float64)


def same_length(size: int, **arrays: NDArray[Any]) -> None:
    """Checks that every array has ``size`` rows.

    Raises:
        DataFault: When one has not.
    """
    for name, array in arrays.items():
        if len(array) != size:
            raise DataFault(f"There are {len(array)} {name} for {size} rows; one for each row was expected.")


def _as_floats(values: ArrayLike, name: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise DataFault(f"The {name} are not numbers; an array of numbers was expected.") from None
