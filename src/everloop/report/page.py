"""A page as a value: what a report, a model card or a profile says, before it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Names and values, side by side."""

    kind: ClassVar[str] = "facts"
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """A few numbers that matter most, in large type.

    Attributes:
        figures: Triples of name, value and note.
    """

    kind: ClassVar[str] = "figures"
    figures: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; numbers are set to the right."""

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG drawing with the sentence that says what it shows."""

    kind: ClassVar[str] = "picture"
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class Code:
    """Text as it would be typed or printed."""

    kind: ClassVar[str] = "code"
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """An answer: ``yes``, ``no`` or ``open``, with its reason."""

    kind: ClassVar[str] = "verdict"
    answer: str
    text: str


Block = Text | Facts | Figures | Table | Picture | Code | Verdict


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading.

    Attributes:
        title: The heading; also the section's anchor.
        blocks: What stands below it, from top to bottom.
        lead: A sentence that says what to take from the section.
    """

    title: str
    blocks: Sequence[Block]
    lead: str = ""

    @property
    def anchor(self) -> str:
        """The heading as the target of a link."""
        return "-".join("".join(c if c.isalnum() else " " for c in self.title.lower()).split())


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page.

    Attributes:
        title: What it is about.
        subtitle: Of what and when.
        sections: From top to bottom; a list of contents links to them.
        footer: Where it came from.
    """

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default_factory=tuple)
    footer: str = ""
