"""A step: one cached unit of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.digest import digest_value

if TYPE_CHECKING:
    from everloop.record.store import ArtifactStore

Function = Callable[[Path, dict[str, Any], dict[str, Path]], Mapping[str, Any] | None]
"""What a step executes: it writes files into the folder and returns facts with a JSON form."""


@dataclass(frozen=True)
class Done:
    """A committed step.

    Attributes:
        key: The step's key, under which the artifact store has its files.
        facts: What its function returned.
        cached: Whether it was taken from an earlier execution.
        id: The id of the `StepRow` of the execution.
        digest: The digest of its files.
    """

    key: str
    facts: dict[str, Any]
    cached: bool
    id: str
    digest: str
    store: ArtifactStore = field(repr=False, compare=False)

    @property
    def path(self) -> Path:
        """The folder with the step's files, to be read and not changed."""
        return self.store.open(self.key)


@dataclass(frozen=True)
class Step:
    """What to do, and everything that its result depends on.

    Attributes:
        name: What is done, such as ``snapshot``; unique within its phase.
        phase: The phase that it belongs to.
        version: The version of the function's code; raise it when the result changes.
        function: Called with an empty folder, the settings and the inputs' folders. It must depend
            on nothing else, change no input, and write only into the folder.
        settings: What the function is told, with a JSON form.
        inputs: The steps that it reads.
        retries: How often an attempt that failed retryably is repeated.
    """

    name: str
    phase: str
    version: int | str
    function: Function
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Done] = field(default_factory=dict)
    retries: int = 3

    @property
    def key(self) -> str:
        """The digest of name, version, settings and the inputs' keys, behind phase and name."""
        content = {
            "phase": self.phase,
            "name": self.name,
            "version": self.version,
            "settings": self.settings,
            "inputs": {name: done.key for name, done in self.inputs.items()},
        }
        return f"{self.phase}-{self.name}-{digest_value(content)[:32]}"
