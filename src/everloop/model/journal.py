"""Finished trials in a file, so that a search that was killed goes on where it was."""

from __future__ import annotations

import json
import shutil
import tempfile
import weakref
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.files import storage_faults
from everloop.core.values import to_jsonable
from everloop.model.trained import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class Journal:
    """Appends each finished trial as a line of JSON, and finds those of an earlier attempt.

    A search is deterministic in the order of its trials, so a line is used when the search comes to
    the same trial again. A line that was cut off is left out, with all after it. What a trial's models
    said of rows that they had not seen, and its estimator where that is kept, are files beside the lines;
    without them a trial is made again.

    Args:
        path: The file; None keeps everything in a folder that lives as long as the journal.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None:
            scratch = tempfile.mkdtemp(prefix="everloop-")
            weakref.finalize(self, shutil.rmtree, scratch, ignore_errors=True)
            path = Path(scratch) / "trials.jsonl"
        self._path = path
        self._files = files_of(self._path)
        self._earlier = _read(self._path) if self._path.exists() else []
        if self._path.exists():
            _write(self._path, self._earlier)

    def find(
        self, number: int, learner: str, configuration: Mapping[str, Any], most_rows: int
    ) -> Trial | None:
        """Gives the trial of this number when it is the same one, else None."""
        if number >= len(self._earlier):
            return None
        kept, rows = self._earlier[number]
        same = (kept.learner, to_jsonable(kept.configuration), rows) == (
            learner,
            to_jsonable(configuration),
            most_rows,
        )
        whole = kept.score is None or self._scores(number).exists()
        return kept if same and whole else None

    def scores(self, trial: Trial) -> NDArray[np.float64]:
        """Gives what a trial's models said of the rows that judged them."""
        found: NDArray[np.float64] = np.load(self._scores(trial.number), allow_pickle=False)
        return found

    def estimator(self, trial: Trial) -> bytes | None:
        """Gives a trial's estimator as bytes, where it was kept."""
        path = self._estimator(trial.number)
        return path.read_bytes() if path.exists() else None

    def add(
        self,
        trial: Trial,
        most_rows: int,
        scores: NDArray[np.float64] | None = None,
        estimator: NDArray[np.uint8] | None = None,
    ) -> None:
        """Writes a finished trial, what its models said and, where one is kept, its estimator."""
        outdated = len(self._earlier) > trial.number
        del self._earlier[trial.number :]
        self._earlier.append((trial, most_rows))
        with storage_faults(self._path):
            self._files.mkdir(parents=True, exist_ok=True)
            self._estimator(trial.number).unlink(missing_ok=True)
            if scores is not None:
                np.save(self._scores(trial.number), scores, allow_pickle=False)
            if estimator is not None:
                self._estimator(trial.number).write_bytes(estimator.tobytes())
            if outdated:
                _write(self._path, self._earlier)
                return
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(trial, most_rows))

    def _scores(self, number: int) -> Path:
        return self._files / f"{number:05d}.npy"

    def _estimator(self, number: int) -> Path:
        return self._files / f"{number:05d}.skops"


def files_of(path: Path) -> Path:
    """Gives the folder of a journal's arrays and estimators."""
    return path.with_suffix(".files")


def _line(trial: Trial, most_rows: int) -> str:
    return json.dumps({**to_jsonable(asdict(trial)), "most_rows": most_rows}) + "\n"


def _write(path: Path, trials: list[tuple[Trial, int]]) -> None:
    from everloop.core.files import write_file

    write_file(path, "".join(_line(*kept) for kept in trials).encode())


def _read(path: Path) -> list[tuple[Trial, int]]:
    found: list[tuple[Trial, int]] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            facts = json.loads(line)
            most_rows = int(facts.pop("most_rows"))
            trial = Trial(**{**facts, "fold_scores": tuple(facts["fold_scores"])})
        except (ValueError, KeyError, TypeError):
            break
        if trial.number != len(found):
            break
        found.append((trial, most_rows))
    return found
