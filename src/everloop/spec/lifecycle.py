"""The lifecycle file as one typed value."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, PrivateAttr

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

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from: that of the file."""
        return self._folder

    def in_folder(self, folder: Path) -> LifecycleSpec:
        """Gives the same lifecycle with another folder."""
        copy = self.model_copy()
        copy._folder = folder  # noqa: SLF001  (its own kind)
        return copy

    def to_dict(self) -> dict[str, Any]:
        """Gives the file's content as JSON carries it; secrets as their references."""
        return self.model_dump(mode="json", by_alias=True)
