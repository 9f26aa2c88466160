"""A profile as a value: what a table holds, column by column, and what is worth a look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from everloop.core.errors import DataFault
from everloop.core.values import to_jsonable

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class ColumnProfile:
    """What one column holds.

    Attributes:
        name: The column.
        type: ``boolean``, ``integer``, ``number``, ``text`` or ``time``.
        rows: Rows of the table.
        missing: Rows without a value; NaN is missing.
        distinct: Different values, counted exactly, the missing one not counted.
        low: The least value of numbers and times.
        high: The greatest value of numbers and times.
        mean: Of numbers.
        deviation: The standard deviation (divisor n - 1) of numbers.
        quantiles: Of numbers, by the names ``1%`` to ``99%``.
        histogram: Of numbers and times: counts in bins of equal width from `low` to `high`.
        zeros: Of numbers: rows that are 0.
        lengths: Of text: the least, mean and greatest length in letters.
        top: The most frequent values with their rows, of all but continuous numbers and times.
        sentinels: Values that seem to stand for a missing one, with their rows.
        reads_as: What text can be read as: ``number``, ``time`` or ``text``.
        spellings: Of text: the spelling of a category that is most frequent -> its others.
        notes: ``constant``, ``empty`` or ``identifier``, where it seems to be one.
    """

    name: str
    type: str
    rows: int
    missing: int
    distinct: int
    low: Any = None
    high: Any = None
    mean: float | None = None
    deviation: float | None = None
    quantiles: dict[str, float] = field(default_factory=dict)
    histogram: tuple[int, ...] = ()
    zeros: int | None = None
    lengths: tuple[int, float, int] | None = None
    top: tuple[tuple[Any, int], ...] = ()
    sentinels: dict[str, int] = field(default_factory=dict)
    reads_as: str | None = None
    spellings: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def missing_share(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0


@dataclass(frozen=True)
class Oddity:
    """Something in a table that is worth a look.

    Attributes:
        kind: ``sentinel``, ``type``, ``mixed``, ``ambiguous time``, ``spelling``, ``constant``, ``empty``,
            ``identifier``, ``missing``, ``outlier``, ``duplicates`` or ``copy``.
        column: The column, or the empty text for the table.
        rows: How many rows it touches.
        detail: What it is, in a sentence.
        clean: What a lifecycle file says about it, where cleaning does something.
    """

    kind: str
    column: str
    rows: int
    detail: str
    clean: str = ""


@dataclass(frozen=True)
class Association:
    """How much two columns say about each other.

    Attributes:
        first: A column.
        second: Another.
        measure: ``correlation`` (numbers, from -1 to 1), ``association`` (categories, Cramér's V) or
            ``ratio`` (numbers by category: the root of the share of the variance between categories).
        strength: Its value.
    """

    first: str
    second: str
    measure: str
    strength: float


@dataclass(frozen=True)
class Profile:
    """What a table holds.

    Attributes:
        rows: How many rows there are.
        duplicates: Rows that repeat an earlier one in every column.
        columns: One profile for each column, in the table's order.
        keys: Columns, or pairs of them, that name each row once.
        time: The column that seems to say when a row happened.
        oddities: What is worth a look, the most rows first.
        associations: Pairs of columns, the strongest first.
        associated_rows: How many rows, taken evenly, those were computed from.
    """

    rows: int
    duplicates: int
    columns: tuple[ColumnProfile, ...]
    keys: tuple[tuple[str, ...], ...] = ()
    time: str | None = None
    oddities: tuple[Oddity, ...] = ()
    associations: tuple[Association, ...] = ()
    associated_rows: int = 0

    def __getitem__(self, name: str) -> ColumnProfile:
        """Gives a column's profile.

        Raises:
            DataFault: When there is no such column.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise DataFault(
            f"The profile has no column {name}; it has {', '.join(c.name for c in self.columns)}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Gives the profile as what JSON can carry."""
        return {
            "rows": self.rows,
            "duplicates": self.duplicates,
            "keys": [list(key) for key in self.keys],
            "time": self.time,
            "columns": [to_jsonable(vars(column)) for column in self.columns],
            "oddities": [to_jsonable(vars(oddity)) for oddity in self.oddities],
            "associations": [to_jsonable(vars(pair)) for pair in self.associations],
            "associated_rows": self.associated_rows,
        }

    def to_html(self, title: str = "Profile") -> str:
        """Draws the profile as a page of its own, with pictures; it needs no other file.

        Raises:
            MissingExtra: When Jinja2 is not installed.
        """
        from everloop.data.profile_page import page_of
        from everloop.report import render

        return render(page_of(self, title))

    def save(self, path: Path | str, title: str = "Profile") -> None:
        """Writes the page into a file, whole or not at all."""
        from pathlib import Path

        from everloop.core.files import write_file

        write_file(Path(path), self.to_html(title).encode())

    def __str__(self) -> str:
        """Writes the profile as a table of text."""
        from everloop.data.profile_text import text_of

        return text_of(self)

    def _repr_html_(self) -> str:
        """Shows the profile in a notebook."""
        from everloop.data.profile_text import notebook_html

        return notebook_html(self)
