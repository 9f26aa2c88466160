"""A page as a value: what a report, a model card or a profile says, before it is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Ref:
    """Text in a table or among facts that names something with a page of its own.

    Attributes:
        id: What it names; a place of the same page where it begins with ``#``.
        text: What is shown; a link where the page is drawn with links, else plain text.
    """

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """Text whose figures something else made than those around it.

    Attributes:
        text: What is shown.
        origin: What made its figures; None where that is not known.
    """

    text: str
    origin: Ref | None


@dataclass(frozen=True, slots=True)
class Badge:
    """A word in a table that is told apart by colour as well.

    Attributes:
        text: The word.
        tone: `yes`, `no`, `open` or `plain`.
    """

    text: str
    tone: str = "plain"


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"
    text: str | Told


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences that stand for themselves, one below the other."""

    kind: ClassVar[str] = "bullets"
    sentences: Sequence[str | Told]


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
class Stage:
    """One stop of a way.

    Attributes:
        name: What it is called.
        state: `yes` (done), `no` (stopped here), `open` (under way) or `ahead` (not reached).
        note: What came of it, in a line.
        anchor: The section of the page that tells more.
    """

    name: str
    state: str
    note: str = ""
    anchor: str = ""


@dataclass(frozen=True, slots=True)
class Stages:
    """A way from left to right, with what came of each of its stops."""

    kind: ClassVar[str] = "stages"
    stages: Sequence[Stage]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under headings; numbers are set to the right.

    Attributes:
        columns: The headings.
        rows: The cells; one may hold several `Ref`.
        caption: What the table lists.
        anchors: Of each row its name as the target of a link, where rows are linked to.
    """

    kind: ClassVar[str] = "table"
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    caption: str = ""
    anchors: Sequence[str] = ()


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
    """An answer: ``yes``, ``no`` or ``open``, with its reason.

    Attributes:
        answer: Which of the three; it decides the colour.
        text: The reason.
        label: The answer in a word of its own, such as ``Passed.``.
    """

    kind: ClassVar[str] = "verdict"
    answer: str
    text: str
    label: str = ""


@dataclass(frozen=True, slots=True)
class Beside:
    """Blocks next to each other; below each other where the screen is narrow."""

    kind: ClassVar[str] = "beside"
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Fold:
    """Blocks that are shown when their title is clicked."""

    kind: ClassVar[str] = "fold"
    title: str
    blocks: Sequence[Block]


Block = Text | Bullets | Facts | Figures | Stages | Table | Picture | Code | Verdict | Beside | Fold


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks under a heading.

    Attributes:
        title: The heading; also the section's anchor.
        blocks: What stands below it, from top to bottom.
        lead: A sentence that says what to take from the section.
        origin: What made the figures of the section: every number and picture is a link to it, but for
            those of a `Told`.
    """

    title: str
    blocks: Sequence[Block]
    lead: str = ""
    origin: Ref | None = None

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
        lead: What to take from the page, in a sentence or two.
        summary: Blocks above the first section.
        trail: The pages above this one; shown where the page is drawn with links.
        origin: What made the figures of lead and summary, as a section's.
    """

    title: str
    subtitle: str
    sections: Sequence[Section] = field(default_factory=tuple)
    footer: str = ""
    lead: str = ""
    summary: Sequence[Block] = field(default_factory=tuple)
    trail: Sequence[Ref] = field(default_factory=tuple)
    origin: Ref | None = None
