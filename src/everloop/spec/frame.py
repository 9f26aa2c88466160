"""The frame: the problem with everything resolved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from everloop.core.files import write_file
from everloop.core.tasks import LISTED_ITEMS

FRAME_FILE = "frame.json"


@dataclass(frozen=True, slots=True)
class Frame:
    """What is learned, from which columns, judged how.

    Attributes:
        task: One of `core.tasks.TASKS`.
        target: The column to predict; empty where the task has none.
        classes: The labels' texts, the negative first where binary; empty for a regression, and for a
            clustering until it is trained.
        positive: The class that is the event, where binary.
        metric: What the search optimises.
        entity: The column that names whom or what a row is about.
        time: The column that says when the decision is made.
        label_time: The column that says when the actual became known.
        label_delay_seconds: Within this time nearly all actuals are known.
        sensitive: Columns whose groups must be treated alike.
        excluded: Columns that are not inputs, and why.
        inputs: Raw columns that may be learned from, in the table's order.
        reasons: What was inferred, and why.
        weight: How much a row counts, SQL over it; None where all count alike.
        listed: Of a recommendation: how many items an answer lists, where there are as many.
        image_sizes: Column of images -> the rows and columns that they are brought to, where the file says.
    """

    task: str
    target: str
    classes: tuple[str, ...] = ()
    positive: str | None = None
    metric: str = ""
    entity: str | None = None
    time: str | None = None
    label_time: str | None = None
    label_delay_seconds: float | None = None
    sensitive: tuple[str, ...] = ()
    excluded: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)
    image_sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    weight: str | None = None
    listed: int = LISTED_ITEMS

    @property
    def is_labelled(self) -> bool:
        """Whether there is a target."""
        return bool(self.target)

    def to_dict(self) -> dict[str, Any]:
        """Gives the frame as what JSON can carry."""
        plain = asdict(self) | {
            name: list(getattr(self, name)) for name in ("classes", "sensitive", "inputs")
        }
        plain["image_sizes"] = {name: list(size) for name, size in self.image_sizes.items()}
        return plain

    @classmethod
    def from_dict(cls, facts: Mapping[str, Any]) -> Frame:
        """Reads what `to_dict` gave."""
        values: dict[str, Any] = {
            name: tuple(value) if name in ("classes", "sensitive", "inputs") else value
            for name, value in facts.items()
        }
        sizes = facts.get("image_sizes", {})
        values["image_sizes"] = {name: (int(rows), int(columns)) for name, (rows, columns) in sizes.items()}
        return cls(**values)

    def save(self, folder: Path) -> None:
        """Writes `frame.json` into a folder."""
        write_file(folder / FRAME_FILE, json.dumps(self.to_dict(), indent=2, ensure_ascii=False).encode())

    @classmethod
    def load(cls, folder: Path) -> Frame:
        """Reads `frame.json` from a folder."""
        return cls.from_dict(json.loads((folder / FRAME_FILE).read_bytes()))
