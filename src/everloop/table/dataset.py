"""A dataset: a snapshot that is cleaned, featured and split, as files in a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from everloop.core.errors import DataFault, NotFound, UsageFault
from everloop.core.files import write_file
from everloop.core.values import to_jsonable
from everloop.table.cleaning import CleaningPlan
from everloop.table.feature import FeatureDefinition
from everloop.table.schema import Schema

if TYPE_CHECKING:
    import polars as pl

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)
DESCRIPTION = "dataset.json"


@dataclass(frozen=True)
class Dataset:
    """Three parts as Parquet beside a description.

    Attributes:
        folder: Where the files are.
        schema: The columns, the same in every part.
        features: What was computed from the columns of a row.
        counts: Rows of each part.
        split: How the parts were made, such as ``{"by": "time", "boundaries": [...]}``.
        cleaning: What cleaning did, one entry for each thing done.
        plan: The fitted cleaning; its clean columns are among the features.
    """

    folder: Path
    schema: Schema
    features: tuple[FeatureDefinition, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    split: Mapping[str, Any] = field(default_factory=dict)
    cleaning: tuple[Mapping[str, Any], ...] = ()
    plan: CleaningPlan = field(default_factory=CleaningPlan)

    @classmethod
    def save(
        cls,
        folder: str | Path,
        parts: Mapping[str, Any],
        *,
        features: Sequence[FeatureDefinition] = (),
        split: Mapping[str, Any] | None = None,
        cleaning: Sequence[Mapping[str, Any]] = (),
        plan: CleaningPlan | None = None,
    ) -> Dataset:
        """Writes a dataset; the description comes last, so a folder with one is whole.

        Args:
            folder: Where to write; it is made if it is not there.
            parts: From ``train``, ``validation`` and ``test`` to a table; a part may be absent. Tables
                stream; one that is in its place already, as ``folder/train.parquet``, stays as it is.
            features: What was computed.
            split: How the parts were made.
            cleaning: What cleaning did.
            plan: The fitted cleaning.

        Raises:
            DataFault: There is no train part, a part has another name, or parts differ in their columns.
        """
        from everloop.table.stored import StoredTable, write_rows
        from everloop.table.tables import as_lazy

        given: dict[str, Any] = {name: parts[name] for name in PARTS if parts.get(name) is not None}
        frames: dict[str, pl.LazyFrame] = {name: as_lazy(part) for name, part in given.items()}
        _check_parts(parts, frames)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        places = {name: folder / f"{name}.parquet" for name in frames}
        for name, place in places.items():
            if not (isinstance(given[name], Path) and given[name] == place):
                write_rows(frames[name], place)
        dataset = cls(
            folder,
            _counted_schema(places["train"]),
            tuple(features),
            {name: StoredTable.open(place).rows for name, place in places.items()},
            dict(split or {}),
            tuple(cleaning),
            plan or CleaningPlan(),
        )
        write_file(folder / DESCRIPTION, json.dumps(dataset.to_dict(), indent=1).encode())
        return dataset

    @classmethod
    def load(cls, folder: str | Path) -> Dataset:
        """Opens a dataset.

        Raises:
            NotFound: The folder holds none.
            DataFault: Its description is damaged.
        """
        path = Path(folder) / DESCRIPTION
        if not path.is_file():
            raise NotFound(
                f"There is no dataset in {folder}: {DESCRIPTION} is missing.",
                hint="everloop run --until data",
            )
        try:
            data = json.loads(path.read_bytes())
            return cls(
                Path(folder),
                Schema.from_dict(data["schema"]),
                tuple(FeatureDefinition.from_dict(entry) for entry in data["features"]),
                data["counts"],
                data["split"],
                tuple(data["cleaning"]),
                CleaningPlan.from_dict(data["plan"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError, UsageFault) as error:
            raise DataFault(
                f"{path} is damaged: {error!r}.", hint="everloop run --from data", place=str(path)
            ) from error

    def lazy(self, part: str) -> pl.LazyFrame:
        """Opens a part without reading it.

        Raises:
            NotFound: The dataset has no such part.
        """
        import polars as pl

        path = self.folder / f"{part}.parquet"
        if part not in self.counts or not path.is_file():
            raise NotFound(
                f"The dataset in {self.folder} has no part {part!r}; it has {', '.join(self.counts)}."
            )
        return pl.scan_parquet(path)

    def table(self, part: str) -> pl.DataFrame:
        """Reads a part into memory.

        Raises:
            NotFound: The dataset has no such part.
        """
        return self.lazy(part).collect()

    @property
    def train(self) -> pl.DataFrame:
        """The rows to learn from."""
        return self.table("train")

    @property
    def validation(self) -> pl.DataFrame:
        """The rows to choose by."""
        return self.table("validation")

    @property
    def test(self) -> pl.DataFrame:
        """The rows to judge by, once."""
        return self.table("test")

    def to_dict(self) -> dict[str, Any]:
        """Gives the description as what JSON can carry."""
        return {
            "schema": self.schema.to_dict(),
            "features": [feature.to_dict() for feature in self.features],
            "counts": dict(self.counts),
            "split": to_jsonable(dict(self.split)),
            "plan": self.plan.to_dict(),
            "cleaning": [to_jsonable(dict(entry)) for entry in self.cleaning],
        }


def _counted_schema(path: Path) -> Schema:
    import polars as pl

    from everloop.table.schema import schema_of

    lazy = pl.scan_parquet(path)
    missing = lazy.select(pl.all().null_count()).collect(engine="streaming").row(0, named=True)
    return Schema(tuple(replace(column, nullable=missing[column.name] > 0) for column in schema_of(lazy)))


def _check_parts(parts: Mapping[str, Any], frames: Mapping[str, pl.LazyFrame]) -> None:
    unknown = [name for name in parts if name not in PARTS]
    if unknown:
        raise DataFault(f"A dataset has the parts {', '.join(PARTS)}, and no {unknown[0]!r}.")
    if "train" not in frames:
        raise DataFault("A dataset needs a train part.")
    wanted = frames["train"].collect_schema()
    for name, frame in frames.items():
        found = frame.collect_schema()
        if found != wanted:
            different = set(found.items()) ^ set(wanted.items())
            raise DataFault(
                f"The parts train and {name} differ in {sorted({column for column, _ in different})}."
            )
