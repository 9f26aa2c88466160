"""Windows in the formats of other tools; found by the entry point group ``everloop.window_formats``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Protocol, cast

from everloop.core.errors import UsageFault
from everloop.core.nearness import near_names

if TYPE_CHECKING:
    from everloop.measure.histogram import Histogram
    from everloop.monitor.finding import DriftFinding
    from everloop.monitor.reading import ReadProfile
    from everloop.monitor.references import Reference
    from everloop.monitor.state import WindowState

ENTRY_POINTS = "everloop.window_formats"


@dataclass(frozen=True)
class JudgedWindow:
    """A window as it was counted and judged: all that a format may tell of it.

    Attributes:
        id: Its id in the record.
        lifecycle: The lifecycle's name.
        version: The number of the version that answered most of it.
        since: Its start; it is in the window.
        until: Its end; it is not.
        state: Its counts.
        reference: What it was compared with.
        drift: What was found, with every distance of every column.
        types: The type of each column of a row: ``boolean``, ``integer``, ``number``, ``text`` or ``time``.
    """

    id: str
    lifecycle: str
    version: int
    since: datetime
    until: datetime
    state: WindowState
    reference: Reference
    drift: DriftFinding
    types: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> dict[str, Histogram]:
        """The counts of each whole column."""
        return {
            name: found for name, found in self.state.histograms.items() if name not in self.reference.within
        }

    def without_segments(self) -> tuple[str, ...]:
        """Says that columns within segments are left out; empty where there are none."""
        within = len(self.state.histograms) - len(self.columns)
        return (f"{within} columns within segments: the whole columns are told",) if within else ()


@dataclass(frozen=True)
class WrittenWindow:
    """A window in another format.

    Attributes:
        content: The file.
        left_out: What the format cannot say, or defines otherwise, each in words.
    """

    content: bytes
    left_out: tuple[str, ...] = ()


class WindowFormat(Protocol):
    """The format of another tool.

    Attributes:
        name: The word for it in `everloop export`.
        summary: What is written, in a line.
        platform: The tool.
        suffix: How the file's name ends.
    """

    name: str
    summary: str
    platform: str
    suffix: str

    def write(self, window: JudgedWindow, /) -> WrittenWindow:
        """Gives a window as the tool's file; a number is written only where the tool defines it so too.

        Raises:
            MissingExtra: When the tool's package is needed and not installed.
        """

    def knows(self, content: bytes, /) -> bool:
        """Says whether a file looks like one of the tool."""

    def read(self, content: bytes, against: Reference | None, /) -> ReadProfile:
        """Reads a file that the tool wrote; see `everloop.monitor.read_profile`.

        Raises:
            DataFault: When it is damaged.
            MissingExtra: When the tool's package is needed and not installed.
        """


def known_formats() -> tuple[str, ...]:
    """Lists the formats that are installed."""
    return tuple(sorted(_points()))


def open_format(name: str) -> WindowFormat:
    """Finds a format.

    Raises:
        UsageFault: When there is none of that name; those that are known are listed.
    """
    points = _points()
    if name not in points:
        near = near_names(name, points)
        raise UsageFault(
            f"There is no format {name!r} for windows; known are {', '.join(sorted(points))}.",
            hint=f"everloop export {near[0]}" if near else "everloop export --list",
        )
    return cast("WindowFormat", points[name].load()())


def _points() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}
