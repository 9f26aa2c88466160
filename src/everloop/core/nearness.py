"""What a name that is not there may have meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import SequenceMatcher
from heapq import nlargest
from pathlib import PurePath

NEAR = 0.6
"""Names that share less of their letters, in their order, are not alike."""

FEWEST_LETTERS = 3


def near_names(name: str, known: Iterable[str], most: int = 1) -> list[str]:
    """Gives the known names that are like a name, the nearest first; none where nothing is alike.

    Letters count whether great or small. A name that is a word of the other, such as `amount` of
    `amount_eur`, is like it.

    Args:
        name: As it was written.
        known: The names that there are.
        most: How many are given.

    Example:
        >>> near_names("amont", ["amount", "age"]), near_names("zzz", ["d", "age"])
        (['amount'], [])
    """
    matcher = SequenceMatcher(b=name.casefold())
    rated = ((_closeness(matcher, name.casefold(), one.casefold()), one) for one in dict.fromkeys(known))
    return [one for _, one in nlargest(most, (pair for pair in rated if pair[0] >= NEAR))]


def near_file(name: str, files: Iterable[str]) -> str | None:
    """Gives the file whose name without its ending is most like a file's; None where none is alike.

    Example:
        >>> near_file("loan.csv", ["loans.csv", "d.csv"]), near_file("zzz.csv", ["d.csv"])
        ('loans.csv', None)
    """
    there = list(files)
    stems: dict[str, list[str]] = {}
    for file in there:
        stems.setdefault(_stem(file), []).append(file)
    near = near_names(_stem(name), stems)
    if not near:
        return None
    alike = stems[near[0]]
    return (near_names(name, alike) or alike)[0]


def _closeness(matcher: SequenceMatcher[str], name: str, other: str) -> float:
    """Gives the share of letters that are alike, 0 where it is below `NEAR`."""
    matcher.set_seq1(other)
    # The first two are quick to tell, and never below the third.
    quick = (matcher.real_quick_ratio, matcher.quick_ratio, matcher.ratio)
    share = matcher.ratio() if all(of() >= NEAR for of in quick) else 0.0
    short, long = sorted((name, other), key=len)
    is_word = len(short) >= FEWEST_LETTERS and short in re.split(r"[\W_]+", long)
    return max(share, NEAR) if is_word else share


def _stem(file: str) -> str:
    path = PurePath(file)
    return path.name.removesuffix("".join(path.suffixes)) or path.name
