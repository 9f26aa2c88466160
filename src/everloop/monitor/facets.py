"""What is watched of a column that no histogram holds: of prose its new words, of images their light.

Each facet is a number for each row, so bins, states, thresholds and pages treat it as any other column;
its name tells both, such as ``review (new words)`` or ``photo (brightness)``.

Example:
    >>> import polars as pl
    >>> before = pl.DataFrame({"note": [f"paid the rent of month {month}" for month in "abcdefgh"]})
    >>> after = pl.DataFrame({"note": ["paid the ransom"]})
    >>> with_facets(after, facets_of(before))["note (new words)"].round(2).to_list()
    [0.33]
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from everloop.core.errors import DataFault
from everloop.table.content import content_of
from everloop.table.images import in_channels, read_image
from everloop.table.prose import WORD, is_prose
from everloop.table.sounds import read_sound

if TYPE_CHECKING:
    import polars as pl

PROSE = "prose"
NEW_WORDS = "new words"
_MOST_WORDS = 20_000
_LOOKED_AT = 10_000
_DISTINCT = 0.5

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Facet:
    """A column of the reference that is watched by what it carries.

    Attributes:
        column: Its name.
        kind: ``prose``, ``image`` or ``sound``.
        words: For prose: the check numbers of the words that the reference has, rising; the words
            themselves are not kept. The most frequent 20,000, so that its size does not grow with the rows.
    """

    column: str
    kind: str
    words: tuple[int, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the numbers that are watched."""
        return tuple(f"{self.column} ({name})" for name in _MEASURES[self.kind])

    def to_dict(self) -> dict[str, Any]:
        """Gives the facet as what JSON can carry."""
        return {"column": self.column, "kind": self.kind, "words": list(self.words)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facet:
        """Reads what `to_dict` gave."""
        return cls(data["column"], data["kind"], tuple(data["words"]))


def facets_of(table: pl.DataFrame, names: Iterable[str] | None = None) -> tuple[Facet, ...]:
    """Says which columns of a reference are watched by what they carry.

    Args:
        table: Its rows.
        names: The columns to look at; all when left out.
    """
    found = []
    for name in table.columns if names is None else names:
        kind = kind_of(table[name]) if name in table.columns else None
        if kind is not None:
            found.append(Facet(name, kind, _kept_words(table[name]) if kind == PROSE else ()))
    return tuple(found)


def kind_of(column: pl.Series) -> str | None:
    """Says what a column carries that no histogram holds; None for any other column.

    Texts in words are prose where most differ; a few that come again and again are categories.
    """
    import polars as pl

    if column.dtype != pl.String:
        return None
    content = content_of(column)
    if content is not None:
        return content
    looked = column.head(_LOOKED_AT).drop_nulls()
    return PROSE if is_prose(looked) and looked.n_unique() > _DISTINCT * len(looked) else None


def with_facets(table: pl.DataFrame, facets: Iterable[Facet], *, own: bool = False) -> pl.DataFrame:
    """Adds the watched numbers of columns that are there.

    Args:
        table: The rows.
        facets: From `facets_of`.
        own: Whether these are the reference's rows themselves: a word is then new to a row where no other
            row has it, as it is to rows of the same kind that come later.

    Returns:
        A table with a column for each number; NaN where a value is missing or cannot be decoded.
    """
    import polars as pl

    added = []
    for facet in facets:
        if facet.column in table.columns:
            texts = table[facet.column].cast(pl.String, strict=False)
            numbers = (
                _of_prose(texts, facet, own=own) if facet.kind == PROSE else _of_files(texts, facet.kind)
            )
            added += [pl.Series(name, each) for name, each in zip(facet.names, numbers, strict=True)]
    return table.with_columns(added)


def _words(texts: pl.Series) -> pl.DataFrame:
    """The words of each row, one a line: ``row`` and ``word``."""
    import polars as pl

    lists = texts.str.to_lowercase().str.extract_all(WORD).alias("word")
    return pl.DataFrame([lists]).with_row_index("row").explode("word", empty_as_null=False).drop_nulls()


def _kept_words(texts: pl.Series) -> tuple[int, ...]:
    import polars as pl

    rows = _words(texts).unique().group_by("word").len("rows")
    most = rows.sort(["rows", "word"], descending=[True, False]).head(_MOST_WORDS)
    return tuple(sorted({_check_number(word) for word in most.select(pl.col("word")).to_series()}))


def _check_number(word: str) -> int:
    return zlib.crc32(word.encode())


def _of_prose(texts: pl.Series, facet: Facet, *, own: bool) -> tuple[Numbers, ...]:
    """The share of each row's words that are new, and how many it has."""
    import polars as pl

    words, kept = _words(texts), frozenset(facet.words)
    distinct = words.unique().group_by("word").len("rows")
    known = [_check_number(word) in kept for word in distinct["word"]]
    distinct = distinct.with_columns(new=~pl.Series(known, dtype=pl.Boolean))
    if own:
        distinct = distinct.with_columns(pl.col("new") | (pl.col("rows") == 1))
    shares = (
        words.join(distinct, on="word").group_by("row").agg(pl.col("new").mean(), pl.len().alias("words"))
    )
    present = texts.is_not_null().to_numpy()
    new, count = np.full(len(texts), np.nan), np.where(present, 0.0, np.nan)
    places = shares["row"].to_numpy()
    new[places], count[places] = shares["new"].to_numpy(), shares["words"].to_numpy()
    return new, count


def _of_files(texts: pl.Series, kind: str) -> tuple[Numbers, ...]:
    measures = _FILES[kind]
    distinct = texts.unique().drop_nulls().to_list()
    told = {text: _told(text, measures, len(_MEASURES[kind])) for text in distinct}
    absent = (float("nan"),) * len(_MEASURES[kind])
    rows = np.array([told.get(text, absent) for text in texts.to_list()]).reshape(len(texts), len(absent))
    return tuple(rows.T)


def _told(text: str, measures: Callable[[str], tuple[float, ...]], width: int) -> tuple[float, ...]:
    try:
        return measures(text)
    except DataFault:  # the contract says that; here it counts as missing
        return (float("nan"),) * width


def _of_image(text: str) -> tuple[float, ...]:
    image = read_image(text)
    grey = in_channels(image, 1)[:, :, 0]
    brightness = float(grey.mean())
    colours = in_channels(image, 3).mean(axis=(0, 1)) - brightness
    steps = [np.abs(np.diff(grey, axis=axis)).mean() for axis in (0, 1) if grey.shape[axis] > 1]
    return (brightness, float(grey.std()), *map(float, colours), float(np.mean(steps)) if steps else 0.0)


def _of_sound(text: str) -> tuple[float, ...]:
    sound = read_sound(text)
    crossings = np.count_nonzero(np.diff(np.signbit(sound.samples)))
    return float(np.sqrt(np.mean(sound.samples**2))), crossings / sound.seconds / 2, sound.seconds


_MEASURES = {
    PROSE: (NEW_WORDS, "words"),
    "image": ("brightness", "contrast", "red", "green", "blue", "detail"),
    "sound": ("loudness", "pitch", "seconds"),
}
"""The numbers of a kind: colours are taken less the brightness, detail is the mean step between
neighbouring pixels, pitch half the crossings of zero in a second."""

_FILES: dict[str, Callable[[str], tuple[float, ...]]] = {"image": _of_image, "sound": _of_sound}
