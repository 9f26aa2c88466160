"""The lifecycle file as one typed value."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr

from everloop.core.errors import EverloopError
from everloop.spec.data import DataSpec
from everloop.spec.deploy import DeploySpec
from everloop.spec.goal import GoalSpec
from everloop.spec.model import ModelSpec
from everloop.spec.monitor import MonitorSpec
from everloop.spec.part import Part
from everloop.spec.problem import ProblemSpec
from everloop.spec.secret import AddressField, OpenAddress


class EngineSpec(Part):
    """What does the work."""

    train: Literal["local", "ray"] = Field("local", description="Where trials and folds run.")
    data: Literal["polars", "duckdb", "pandas", "pyspark"] = Field(
        "polars",
        description="What holds tables. Tables of pandas go in and come out with each of them; pandas itself "
        "works on none.",
    )


class Places(dict[str, str]):
    """From the keys that lead to a part to where it stands, which changes nothing in what is said."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Places)


class LifecycleSpec(Part):
    """One ML product: its goal, problem, data, model, deployment and monitoring."""

    name: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="The lifecycle's name: a-z, 0-9, - and _."
    )
    owner: str | None = Field(None, description="Who answers for it.")
    goal: GoalSpec = Field(default_factory=GoalSpec, description="1. The business goal.")
    problem: ProblemSpec = Field(description="2. How it is framed as a problem to learn.")
    data: DataSpec = Field(default_factory=DataSpec, description="3. The data.")
    model: ModelSpec = Field(default_factory=ModelSpec, description="4. Model development.")
    deploy: DeploySpec = Field(default_factory=DeploySpec, description="5. Deployment.")
    monitor: MonitorSpec = Field(default_factory=MonitorSpec, description="6. Monitoring.")
    record: AddressField = Field(
        "sqlite:///.everloop/record.db", description="The record: `sqlite:///path` or `postgresql://...`."
    )
    artifacts: OpenAddress = Field(
        ".everloop/artifacts", description="The artifacts: a folder or an fsspec URL."
    )
    engine: EngineSpec = Field(default_factory=EngineSpec, description="What does the work.")
    integrations: dict[str, AddressField] = Field(
        default_factory=dict, description="Outside systems to feed, by name."
    )

    _folder: Path = PrivateAttr(default_factory=Path)
    _places: Places = PrivateAttr(default_factory=Places)

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: that of the file."""
        return self._folder

    def in_folder(self, folder: Path) -> LifecycleSpec:
        """Gives the same lifecycle with another folder."""
        copy = self.model_copy()
        copy._folder = folder  # noqa: SLF001  (its own kind)
        return copy

    def in_file(self, places: dict[str, str]) -> LifecycleSpec:
        """Gives the same lifecycle, which knows where in its file each part stands."""
        copy = self.model_copy()
        copy._places = Places(places)  # noqa: SLF001  (its own kind)
        return copy

    @contextmanager
    def placing(self) -> Iterator[None]:
        """Has an error that names a part of the lifecycle say where in the file that stands."""
        try:
            yield
        except EverloopError as error:
            self.place(error)
            raise

    def place(self, error: EverloopError) -> None:
        """Says of an error where in the file the part stands that it names; nothing without a file."""
        path = error.place or ""
        while path and path not in self._places:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        if path:
            error.put(place=self._places[path])

    def to_dict(self) -> dict[str, Any]:
        """Gives the file's content as JSON carries it; secrets as their references."""
        return self.model_dump(mode="json", by_alias=True)
