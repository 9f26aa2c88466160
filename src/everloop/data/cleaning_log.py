"""What cleaning did, one entry for each thing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CleaningEntry:
    """One thing that cleaning did.

    Attributes:
        step: ``without target``, ``duplicates``, ``excluded``, ``sentinel``, ``categories``, ``type`` or
            ``outliers``.
        rows: How many rows it touched; 0 for a column that was excluded.
        detail: What was done, in a sentence.
        column: The column, where it is about one.
        feature: The feature that stands for the column from here on.
        undo: What to write into the lifecycle file so that it is not done.
    """

    step: str
    rows: int
    detail: str
    column: str | None = None
    feature: str | None = None
    undo: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Gives the entry as what JSON can carry."""
        return {key: value for key, value in vars(self).items() if value is not None}
