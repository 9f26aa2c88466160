"""Short text as numbers: its words and parts of words, weighed, and what they add up to.

A term is a word, a pair of neighbouring words, or three or four letters of a word with its ends. Terms
are weighed by tf-idf (Salton and Buckley 1988: 1 + log of the count, times the term's rarity, to length
1), and each weighed term adds its own row of numbers to the answer. One function does this for a row and
for a table, so that both agree to the last bit.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from everloop.runtime.encoders import TextEncoder

MOST_CHARACTERS = 4_000
"""What comes after in a longer text is not read."""

PART = "#"
"""Stands before a part of a word, which no word holds."""

PART_SIZES = (3, 4)

_WORD = re.compile(r"\w+")


def text_terms(text: str) -> dict[str, int]:
    """Counts the terms of a text, in lower case.

    Example:
        >>> sorted(text_terms("Go, go"))
        ['# go', '# go ', '#go ', 'go', 'go go']
    """
    words = _WORD.findall(text[:MOST_CHARACTERS].lower())
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    for first, second in pairwise(words):
        pair = f"{first} {second}"
        counts[pair] = counts.get(pair, 0) + 1
    for word in words:
        whole = f" {word} "
        for size in PART_SIZES:
            for start in range(len(whole) - size + 1):
                part = PART + whole[start : start + size]
                counts[part] = counts.get(part, 0) + 1
    return counts


def weighed(
    counts: dict[str, int], places: dict[str, int], rarity: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Gives the places of a text's known terms, in order, and their weights, of length 1 together.

    Args:
        counts: How often each term is there.
        places: Each known term's place.
        rarity: Each known term's rarity, by place.
    """
    found = sorted((places[term], count) for term, count in counts.items() if term in places)
    chosen = np.array([place for place, _ in found], dtype=np.int64)
    weights = np.array([1.0 + math.log(count) for _, count in found]) * rarity[chosen]
    length = math.sqrt(float(weights @ weights)) if found else 0.0
    return chosen, weights / length if length else weights


def text_scorer(encoder: TextEncoder) -> Callable[[str | None], NDArray[np.float64]]:
    """Gives the function from a text, or None, to the encoder's numbers."""
    places = {term: place for place, term in enumerate(encoder.terms)}
    rarity = np.frombuffer(encoder.rarity, dtype="<f4").astype(np.float64)
    width = len(encoder.bias)
    numbers = np.frombuffer(encoder.numbers, dtype="<f4").reshape(len(places), width)
    bias = np.array(encoder.bias)

    def score(text: str | None) -> NDArray[np.float64]:
        answer = bias
        if text:
            chosen, weights = weighed(text_terms(text), places, rarity)
            answer = bias + weights @ numbers[chosen].astype(np.float64)
        return answer.astype(np.float32).astype(np.float64) if encoder.float32 else answer

    return score
