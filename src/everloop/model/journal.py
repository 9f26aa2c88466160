"""Finished trials in a file, so that a search that was killed goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.files import storage_faults
from everloop.core.values import to_jsonable
from everloop.model.trained import Trial

if TYPE_CHECKING:
    from collections.abc import Mapping


class Journal:
    """Appends each finished trial as a line of JSON, and finds those of an earlier attempt.

    A search is deterministic in the order of its trials, so a line is used when the search comes to
    the same trial again. A line that was cut off is left out, with all after it.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._earlier = _read(path) if path is not None and path.exists() else []
        if path is not None and path.exists():
            _write(path, self._earlier)

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
        return kept if same else None

    def add(self, trial: Trial, most_rows: int) -> None:
        """Writes a finished trial, unless it came from here."""
        if self._path is None or self.find(trial.number, trial.learner, trial.configuration, most_rows):
            return
        outdated = len(self._earlier) > trial.number
        del self._earlier[trial.number :]
        self._earlier.append((trial, most_rows))
        if outdated:
            _write(self._path, self._earlier)
            return
        with storage_faults(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(_line(trial, most_rows))


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
