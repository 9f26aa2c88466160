"""Exact sums of many overlapping sets of doubles, each rounded once, as `math.fsum` rounds.

A double is a whole number of small units. Values are cut into limbs, whole numbers in units of falling
powers of two that are small enough for any sum of them to be exact in 64 bits. Sums of limbs may be added
and taken away freely, so running sums serve every window; rounding happens once, at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WORD_BITS = 62
# A limb must be exact as a double too.
_MOST_BITS = 52
# Above it a sum might overflow before it is rounded, so it is rounded in smaller units.
_LARGE_EXPONENT = 960
_SMALLER = 128


@dataclass(frozen=True)
class Limbs:
    """Numbers as sums of whole multiples of powers of two.

    Attributes:
        parts: Each limb of each number, int64, the greatest first.
        exponents: The power of two of each limb's unit.
        bits: How many bits a limb of one value has at most.
    """

    parts: tuple[NDArray[np.int64], ...]
    exponents: tuple[int, ...]
    bits: int


def cut(values: NDArray[np.float64], most: int) -> Limbs:
    """Cuts finite numbers into limbs, without any loss.

    Args:
        values: The numbers, (n,).
        most: How many of them are in one sum at most.
    """
    bits = min(_MOST_BITS, _WORD_BITS - max(most, 1).bit_length())
    rest = values
    exponent = int(np.frexp(np.abs(values).max())[1]) if values.size else 0
    parts, exponents = [], []
    while rest.any():
        exponent -= bits
        limb = np.trunc(np.ldexp(rest, -exponent))
        parts.append(limb.astype(np.int64))
        exponents.append(exponent)
        rest = rest - np.ldexp(limb, exponent)
    return Limbs(tuple(parts), tuple(exponents), bits)


def rounded(limbs: Limbs, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rounds sums of limbs to the nearest double, ties to even.

    Args:
        limbs: The sums.
        size: How many sums there are.

    Returns:
        The sums, infinite where they are beyond the largest double; and what rounding left over.
    """
    high, low, over = np.zeros(size), np.zeros(size), np.zeros(size)
    shift = _SMALLER if limbs.exponents and limbs.exponents[0] + limbs.bits > _LARGE_EXPONENT else 0
    with np.errstate(over="ignore"):
        for part, exponent in _carried(limbs):
            term = np.ldexp(part.astype(np.float64), exponent - shift)
            settled = low != 0
            total = high + term
            error = term - (total - high)
            high, low = np.where(settled, high, total), np.where(settled, low, error)
            over = np.where(settled & (over == 0), term, over)
        # A tie that what follows decides.
        away = high + 2 * low
        tie = (np.sign(low) * np.sign(over) > 0) & (away - high == 2 * low)
        high, low = np.where(tie, away, high), np.where(tie, -low, low)
        return np.ldexp(high, shift), np.ldexp(low + over, shift)


def _carried(limbs: Limbs) -> Sequence[tuple[NDArray[np.int64], int]]:
    """Brings every limb below its unit's next one, so that each is exact as a double; greatest first."""
    half, found = 1 << (limbs.bits - 1), []
    carry = np.int64(0) if not limbs.parts else np.zeros_like(limbs.parts[0])
    for part, exponent in zip(reversed(limbs.parts), reversed(limbs.exponents), strict=True):
        held = part + carry
        carry = (held + half) >> limbs.bits
        found.append((held - (carry << limbs.bits), exponent))
    if limbs.parts:
        found.append((np.asarray(carry), limbs.exponents[0] + limbs.bits))
    return found[::-1]
