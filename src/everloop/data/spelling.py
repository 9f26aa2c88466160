"""Spellings of one category: case, spaces, accents, and typing errors."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping

MOST_VALUES = 2_000
"""A column of more different texts is no list of categories."""

# A typing error is rare beside what was meant, and changes little of it.
_SHORTEST = 5
_ALIKE = 0.8
_TIMES_AS_FREQUENT = 5
_SEVERAL = 5


def normal_form(text: str) -> str:
    """Gives what spellings that differ in case, spaces, accents or hyphens have in common."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    return " ".join(bare.casefold().replace("_", " ").replace("-", " ").split())


def find_spellings(counts: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Finds which texts are spellings of one category.

    Merging once more after merging finds nothing: it is repeated until it does.

    Args:
        counts: Text -> how many rows have it.

    Returns:
        The most frequent spelling of each category -> its others, where there are any.
    """
    meant: dict[str, str] = {text: text for text in counts}
    while moved := _once(Counter(_merged(counts, meant))):
        meant = {text: moved.get(kept, kept) for text, kept in meant.items()}
    groups: dict[str, list[str]] = {}
    for text in sorted(meant):
        if meant[text] != text:
            groups.setdefault(meant[text], []).append(text)
    return {kept: tuple(others) for kept, others in sorted(groups.items())}


def _merged(counts: Mapping[str, int], meant: Mapping[str, str]) -> dict[str, int]:
    total: dict[str, int] = {}
    for text, rows in counts.items():
        total[meant[text]] = total.get(meant[text], 0) + rows
    return total


def _once(counts: Mapping[str, int]) -> dict[str, str]:
    by_form: dict[str, list[str]] = {}
    for text in counts:
        by_form.setdefault(normal_form(text), []).append(text)
    moved: dict[str, str] = {}
    for texts in by_form.values():
        kept = min(texts, key=lambda text: (-counts[text], text))
        moved |= {text: kept for text in texts if text != kept}
    return moved or dict(_typing_errors(counts))


def _typing_errors(counts: Mapping[str, int]) -> Iterator[tuple[str, str]]:
    frequent = sorted((text for text in counts if counts[text] >= _SEVERAL), key=lambda t: (-counts[t], t))
    letters = {text: Counter(text) for text in frequent}
    for text, rows in counts.items():
        if len(text) < _SHORTEST:
            continue
        own, most = Counter(text), int(len(text) * (1 - _ALIKE))
        near: list[tuple[int, str]] = []
        for other in frequent:
            if counts[other] < _TIMES_AS_FREQUENT * rows:
                break
            if other == text or abs(len(other) - len(text)) > most:
                continue
            if (own - letters[other]).total() > most or (letters[other] - own).total() > most:
                continue
            distance = edit_distance(text, other, most)
            if distance <= most and is_slip(text, other):
                near.append((distance, other))
        near.sort()
        if near and (len(near) == 1 or near[0][0] < near[1][0]):
            yield text, near[0][1]


def is_slip(text: str, meant: str) -> bool:
    """Tells whether what differs can be a slip: digits and short words that differ are other categories."""
    if len(text) == len(meant):
        slips = [place for place, (a, b) in enumerate(zip(text, meant, strict=True)) if a != b]
        return not any(text[place].isdigit() for place in slips) and not _in_short_word(meant, slips, text)
    return _digits(text) == _digits(meant) and _short_words(text) == _short_words(meant)


def _in_short_word(meant: str, slips: list[int], text: str) -> bool:
    """Tells whether a letter became another letter within a word of three letters or fewer."""
    start = 0
    for word in words_of(meant):
        start = meant.index(word, start)
        inside = [place for place in slips if start <= place < start + len(word)]
        if inside and len(word) < 4 and word.isalpha() and text[start : start + len(word)].isalpha():
            return len(words_of(meant)) > 1 or len(word) == len(meant)
        start += len(word)
    return False


def words_of(text: str) -> list[str]:
    """Gives the stretches of letters and digits."""
    return "".join(c if c.isalnum() else " " for c in text).split()


def _short_words(text: str) -> list[str]:
    return [word for word in words_of(text) if len(word) < 4]


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def edit_distance(a: str, b: str, most: int) -> int:
    """Gives how many letters must be changed, added, dropped or swapped with the next.

    Args:
        a: A text.
        b: Another.
        most: Where it is more, `most` + 1 is given.

    Reference: Damerau 1964; the variant in which no part is changed twice.
    """
    before, last = list(range(len(b) + 1)), [0] * (len(b) + 1)
    for i, letter in enumerate(a, 1):
        row = [i] + [0] * len(b)
        for j, other in enumerate(b, 1):
            row[j] = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                row[j] = min(row[j], last[j - 2] + 1)
        if min(row) > most:
            return most + 1
        last, before = before, row
    return min(before[-1], most + 1)
