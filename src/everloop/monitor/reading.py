"""A file of another tool as counts: what it holds of a table, as a window's state or as a reference.

Example:
    >>> from everloop.monitor import read_profile  # doctest: +SKIP
    >>> monday = read_profile("monday.bin", against=kept)  # doctest: +SKIP
    >>> judge_state(monday.state, kept).moved()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from everloop.core.errors import DataFault, NotFound
from everloop.core.values import to_jsonable
from everloop.measure.budget import fit_budget
from everloop.measure.histogram import Histogram
from everloop.monitor.columns import STATISTICS
from everloop.monitor.formats import known_formats, open_format
from everloop.monitor.references import Reference
from everloop.monitor.state import WindowState
from everloop.monitor.variation import ReferenceRules, resampled

_FEWEST_ROWS = 60


@dataclass(frozen=True)
class ReadProfile:
    """What another tool's file holds of a table.

    Attributes:
        platform: The tool.
        rows: How many rows it tells of.
        histograms: Each column's counts: in the bins of the reference that it was read against, else in bins
            made from the file's own quantiles and frequent items.
        numbers: The tool's own metrics as the file has them, by its names for them.
        not_held: What the file does not hold, or only within an error, each in words.
        at: The time that the file states.
        before: The reference that the file was made against, in the same bins, where it is told of.
    """

    platform: str
    rows: int
    histograms: Mapping[str, Histogram]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    not_held: tuple[str, ...] = ()
    at: datetime | None = None
    before: ReadProfile | None = None

    @property
    def state(self) -> WindowState:
        """The table as a counted window, which `judge_state` judges against the reference it was read by."""
        return WindowState(self.rows, self.histograms)

    def reference(self, rules: ReferenceRules | None = None) -> Reference:
        """Gives the table as a reference; its variation is that of samples drawn again from its counts.

        A profile has no rows: neither season nor segments are in the thresholds, nothing is estimated from
        scores, and windows are told apart by columns alone.

        Args:
            rules: The window's size and the budget; `segments` have no meaning here.

        Raises:
            DataFault: When the file holds no column's distribution, or too few rows.
        """
        rules = rules or ReferenceRules()
        if not self.histograms or self.rows < _FEWEST_ROWS:
            raise DataFault(
                f"The {self.platform} file holds the distribution of {len(self.histograms)} columns of "
                f"{self.rows} rows; at least one, and {_FEWEST_ROWS} rows, are needed for a reference."
            )
        watched = tuple(
            (name, each) for name, found in self.histograms.items() for each in STATISTICS[found.bins.kind]
        )
        tables = resampled(self.histograms, watched, rules)
        return Reference(
            rows=self.rows,
            since=self.at,
            until=self.at,
            histograms=self.histograms,
            watched=watched,
            budgets={
                size: fit_budget(table, rules.alarm.alarms, rules.alarm.windows)
                for size, table in tables.items()
            },
            cut="resampled",
            facts={"platform": self.platform, "not_held": list(self.not_held)},
        )

    def to_dict(self) -> dict[str, Any]:
        """Gives the profile as what JSON can carry."""
        shown = {name: found.to_dict() for name, found in self.histograms.items()}
        before = None if self.before is None else self.before.to_dict()
        return dict(to_jsonable(vars(self) | {"histograms": shown, "before": before}))


def read_profile(path: str | Path, against: Reference | None = None) -> ReadProfile:
    """Reads a file that another tool wrote of a table: a profile of whylogs, a report of Evidently.

    Nothing is made up: what such a file does not hold is in `ReadProfile.not_held`.

    Args:
        path: The file; its kind is told by its content.
        against: The reference whose bins are counted in, where the file is a window to be judged by it;
            without it bins are made from what the file holds.

    Returns:
        What the file holds.

    Raises:
        NotFound: When there is no such file.
        DataFault: When it cannot be read, is of no known tool, or damaged.
        MissingExtra: When reading it needs the tool's package.
    """
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError:
        raise NotFound(f"There is no file {path}.") from None
    except OSError as error:
        raise DataFault(f"{path} cannot be read: {error.strerror}.", place=str(path)) from None
    for name in known_formats():
        reader = open_format(name)
        if reader.knows(content):
            return reader.read(content, against)
    raise DataFault(
        f"{path} is of no tool that is known here: {', '.join(known_formats())}.",
        place=str(path),
        hint="give a profile that whylogs wrote, or a report or snapshot of Evidently as JSON",
    )
