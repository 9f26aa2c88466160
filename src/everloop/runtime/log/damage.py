"""What of the prediction log cannot be read: bytes that are damaged, files that are gone or are none.

Whole lines before and behind damaged bytes are read; what is lost is said with its file and place.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from everloop.runtime.log.segment import SegmentName

_OURS = re.compile(r"(predictions|actuals|refusals)-.*")
_PARTS = re.compile(r"(predictions|actuals|refusals)-[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}-\d{8}\.(seg|parquet)")


@dataclass(frozen=True, order=True)
class Damage:
    """A part of the prediction log that cannot be read.

    Attributes:
        file: The file's name, without its suffix where the segment and its sealed form are meant.
        what: What is wrong with it.
    """

    file: str
    what: str

    def sentence(self) -> str:
        """Says it in a line."""
        return f"{self.file} in the prediction log {self.what}"


def stem(name: SegmentName) -> str:
    """Names a segment, whether it is sealed or not."""
    return name.segment(Path()).stem


def gaps_told(name: SegmentName, gaps: Iterable[tuple[int, int]]) -> tuple[Damage, ...]:
    """Says which bytes of a segment are damaged."""
    return tuple(
        Damage(stem(name), f"is damaged from byte {begin:,} to {end:,}; the lines around them are read")
        for begin, end in gaps
    )


def tail_told(name: SegmentName, end: int, left: int) -> tuple[Damage, ...]:
    """Says that a finished segment ends in bytes that are no whole line, or that it is empty."""
    if end + left == 0:
        return (Damage(stem(name), "is an empty file"),)
    if not left:
        return ()
    text = f"is cut short: its last {left:,} bytes are no whole line; the lines before them are read"
    return (Damage(stem(name), text),)


def found_in_names(folder: Path, names: Iterable[SegmentName]) -> Iterator[Damage]:
    """Says which segments of a worker are missing between others, and which files only look like some."""
    for worker, own in groupby(sorted(names), key=lambda name: name.worker):
        numbers = [name.number for name in own]
        for number in sorted(set(range(numbers[0], numbers[-1])) - set(numbers)):
            yield Damage(stem(SegmentName(worker, number)), "is missing between others")
    for path in sorted(folder.iterdir()):
        if _OURS.fullmatch(path.name) and not (_PARTS.fullmatch(path.name) and path.is_file()):
            yield Damage(path.name, "is no part of it and is left alone")
