"""What a quick model said of labelled rows that it did not learn from: a value that phases pass on."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.files import write_file
from everloop.core.values import to_jsonable

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

LOOK_FILE = "quick_look.json"
MOST_WRONG = 0.15
"""Where more than this share of the labels looks wrong, the columns cannot tell the labels: outcomes that
nothing foretells look no different from wrong labels."""

_ARRAYS = ("rows", "folds", "scores", "rule_scores")


@dataclass(frozen=True)
class QuickLook:
    """A quick model and the best rule on one column, each cross-fitted on a sample of the labelled rows.

    Attributes:
        metric: What they are measured by.
        score: The quick model's.
        rule: The rule in words, such as ``amount > 120``; empty where no column tells anything.
        rule_score: The rule's.
        chance_score: What scores that tell nothing get, the mean over shuffled actuals.
        p_value: The chance of such a score if the labels told nothing; exact.
        labels: Labelled rows there are; the sample may be smaller.
        fewest: Rows of the rarest class among them; of a number all.
        noise: The share of labels that look wrong; None where there are no classes or chances tell nothing.
        suspects: Positions in the table of rows whose label looks most wrong, at most 20.
        rows: Positions in the table of the rows that were looked at, (m,).
        folds: Which part each was held out in, (m,).
        scores: The chance of the positive class, of each class, or the number: (m,) or (m, k).
        rule_scores: The same of the rule.
    """

    metric: str
    score: float
    rule: str
    rule_score: float
    chance_score: float
    p_value: float
    labels: int
    fewest: int
    noise: float | None = None
    suspects: tuple[int, ...] = ()
    rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), compare=False)
    folds: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64), compare=False)
    scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), compare=False)
    rule_scores: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Gives what was found as what JSON can carry, without the rows."""
        return {name: value for name, value in asdict(self).items() if name not in _ARRAYS}

    def save(self, folder: Path) -> None:
        """Writes `quick_look.json` into a folder, and an array a file beside it."""
        write_file(folder / LOOK_FILE, json.dumps(to_jsonable(self.to_dict()), indent=2).encode())
        for name in _ARRAYS:
            np.save(folder / f"quick_{name}.npy", getattr(self, name), allow_pickle=False)

    @classmethod
    def load(cls, folder: Path) -> QuickLook | None:
        """Reads what `save` wrote; None where the folder has none."""
        path = folder / LOOK_FILE
        if not path.is_file():
            return None
        facts = json.loads(path.read_bytes())
        numbers = {
            name: float("nan") if facts[name] is None else facts[name]
            for name in ("score", "rule_score", "chance_score")
        }
        arrays = {name: np.load(folder / f"quick_{name}.npy", allow_pickle=False) for name in _ARRAYS}
        return cls(**{**facts, **numbers, "suspects": tuple(facts["suspects"])}, **arrays)
