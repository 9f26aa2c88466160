"""A lifecycle from Python: what `everloop.load` gives."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.progress import Progress, silent
from everloop.loop.pass_ import RunResult
from everloop.loop.run import run_once
from everloop.loop.workspace import Workspace
from everloop.spec import LifecycleSpec
from everloop.spec import load as load_spec

if TYPE_CHECKING:
    from everloop.core.clock import Clock


class Lifecycle:
    """One ML product, described by a lifecycle file or by the same parts in Python.

    Args:
        spec: The parsed file; or give its parts by name.
        folder: Where relative paths start from; by default the working folder.
        tables: Polars, pandas, Arrow or DuckDB tables, or paths, by the name of the source that each
            stands for; `data.sources` need not name it. What was handed in last is kept, so that a run
            that was stopped continues.
        **parts: `name`, `goal`, `problem`, `data` and so on, as the file has them.

    Raises:
        pydantic.ValidationError: When a part says something that cannot be.
    """

    def __init__(
        self,
        spec: LifecycleSpec | None = None,
        *,
        folder: Path | None = None,
        tables: Mapping[str, Any] | None = None,
        **parts: Any,
    ) -> None:
        made = spec if spec is not None else LifecycleSpec.model_validate(parts)
        self.spec = made if folder is None and spec is not None else made.in_folder(folder or Path.cwd())
        self.tables = dict(tables or {})

    def run(
        self,
        *,
        until: str | None = None,
        since: str | None = None,
        as_of: datetime | None = None,
        clock: Clock | None = None,
        progress: Progress = silent,
    ) -> RunResult:
        """Passes once through the phases; see `everloop.loop.run.run_once`."""
        opened = Workspace.open(self.spec, clock=clock, progress=progress, tables=self.tables)
        with opened as workspace:
            return run_once(workspace, until=until, since=since, as_of=as_of)

    def __repr__(self) -> str:
        problem = self.spec.problem
        about = f"target={problem.target!r}" if problem.target else f"task={problem.task!r}"
        return f"Lifecycle({self.spec.name!r}, {about})"


def load(path: str | Path = "everloop.yaml", *, tables: Mapping[str, Any] | None = None) -> Lifecycle:
    """Opens the lifecycle that a file describes.

    Args:
        path: The file, or the folder that it is in.
        tables: Tables that stand for sources of the file, by their names.

    Raises:
        SpecFault: When the file is not there or says something that cannot be.
    """
    return Lifecycle(load_spec(path), tables=tables)
