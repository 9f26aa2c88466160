"""A table of the AWS Glue Data Catalog as a source: `sources: {loans: {glue: lake.loans}}`.

The catalog says where the files are, what format they have and what types the columns are, as Athena
and Spark read it; the files are read as any others, from S3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.errors import SourceUnreachable, SourceUnreadable, SpecFault
from everloop.core.extras import require
from everloop.core.progress import Event
from everloop.core.secret import Secret
from everloop.data.sources import Reading, Surroundings
from everloop.data.sources.file import Files
from everloop.data.sources.protocol import Capabilities
from everloop.spec import FileSource

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import GlueSource

EXTRA = "glue"
# A word in the name of the table's serialisation library -> the format of its files.
FORMATS = {"parquet": "parquet", "json": "jsonl", "opencsv": "csv", "lazysimple": "csv"}
# Hive's types -> ours, by Polars' names.
TYPES = {
    **dict.fromkeys(("tinyint", "smallint", "int", "integer", "bigint"), "Int64"),
    **dict.fromkeys(("float", "double", "decimal"), "Float64"),
    **dict.fromkeys(("string", "varchar", "char"), "String"),
    "boolean": "Boolean",
    "date": "Date",
    "timestamp": "Datetime",
}
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class _Part:
    """Files that share the values of the partition columns."""

    location: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class _Described:
    """What the catalog says of a table."""

    columns: dict[str, str]
    keys: dict[str, str]
    format: str
    parts: tuple[_Part, ...]


@dataclass(frozen=True)
class GlueTable:
    """A table of the catalog, with its partitions in the order of their values."""

    spec: GlueSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="glue",
        reads="tables of the AWS Glue Data Catalog: Parquet, JSON lines and CSV with a header on S3",
        cheap_fingerprint=False,
        keeps_order=True,
        needs_network=True,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the columns and the digests of the files, partition by partition."""
        described = self._described()
        return self._identity(
            described, [self._files(described, part).fingerprint() for part in described.parts]
        )

    def read(self, scratch: Path) -> Reading:
        """Reads the files as the catalog's types, the partitions' values as columns.

        Raises:
            SourceUnreachable: When the catalog does not answer, or has no such table.
            SourceUnreadable: When a file is damaged or does not hold what the catalog says.
            SpecFault: When the table is of a format that is not read.
        """
        described = self._described()
        files, found, rows = [], [], 0
        for position, part in enumerate(described.parts):
            place, target = scratch / f"part-{position:06d}", scratch / f"part-{position:06d}.parquet"
            place.mkdir()
            reading = self._files(described, part).read(place)
            rows += self._write(reading, described, part, target)
            files.append(target)
            found.append(reading.fingerprint)
            told = {"rows": rows}
            self.surroundings.progress(
                Event(
                    "data",
                    f"{self.spec.glue}: {rows:,} rows",
                    fraction=(position + 1) / len(described.parts),
                    facts=told,
                )
            )
        return Reading(tuple(files), self._identity(described, found))

    def _identity(self, described: _Described, found: list[dict[str, Any]]) -> dict[str, Any]:
        columns = {**described.columns, **described.keys}
        parts = [
            [list(part.values), fingerprint] for part, fingerprint in zip(described.parts, found, strict=True)
        ]
        return {"kind": "glue", "columns": columns, "parts": json.loads(json.dumps(parts))}

    def _files(self, described: _Described, part: _Part) -> Files:
        # Names that begin with a dot or an underscore hold what writers leave beside the data.
        pattern = f"{part.location.replace('s3a://', 's3://').rstrip('/')}/[!._]*"
        spec = FileSource.model_validate(
            {"file": pattern, "format": described.format, "options": dict(self.spec.options)}
        )
        return Files(spec, self.surroundings)

    def _write(self, reading: Reading, described: _Described, part: _Part, target: Path) -> int:
        import polars as pl
        from pyarrow import parquet

        lazy = pl.scan_parquet(list(reading.files), missing_columns="insert", extra_columns="ignore")
        held = {name.lower(): (name, dtype) for name, dtype in lazy.collect_schema().items()}
        typed = [_typed(name, kind, held.get(name)) for name, kind in described.columns.items()]
        for (name, kind), value in zip(described.keys.items(), part.values, strict=True):
            given = pl.lit(None if value == _NO_VALUE else value, dtype=pl.String)
            typed.append(_as(given, pl.String(), kind).alias(name))
        try:
            lazy.select(typed).sink_parquet(target, compression="zstd")
        except pl.exceptions.PolarsError as error:
            raise SourceUnreadable(
                f"{part.location} does not hold what the catalog says of {self.spec.glue}: "
                f"{str(error).splitlines()[0]}",
                hint="compare the table's columns with its files: aws glue get-table",
            ) from error
        return int(parquet.read_metadata(target).num_rows)

    def _described(self) -> _Described:
        database, _, table = self.spec.glue.partition(".")
        if not database or not table:
            raise SpecFault(
                f"A table of the catalog is written database.table, not {self.spec.glue!r}.",
                place="data.sources",
            )
        client = self._client()
        with _faults(self.spec.glue):
            found = client.get_table(DatabaseName=database, Name=table)["Table"]
            keys = _columns(found.get("PartitionKeys", ()))
            storage = found["StorageDescriptor"]
            parts = [_Part(storage["Location"], ())]
            if keys:
                pages = client.get_paginator("get_partitions").paginate(
                    DatabaseName=database, TableName=table
                )
                parts = sorted(_partitions(pages), key=lambda part: part.values)
        if not parts:
            raise SourceUnreachable(f"The table {self.spec.glue} has no partition.")
        return _Described(_columns(storage["Columns"]), keys, _format_of(self.spec.glue, found), tuple(parts))

    def _client(self) -> Any:
        boto3 = require("boto3", extra=EXTRA)
        revealed = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in self.spec.options.items()
        }
        # Without options boto3 looks where every AWS program looks: environment, profile, role.
        named = {"aws_access_key_id": "key", "aws_secret_access_key": "secret", "aws_session_token": "token"}
        given = {theirs: revealed[ours] for theirs, ours in named.items() if ours in revealed}
        with _faults(self.spec.glue):
            return boto3.client(
                "glue",
                region_name=self.spec.region,
                endpoint_url=self.spec.endpoint or revealed.get("endpoint_url"),
                **given,
            )


@contextmanager
def _faults(table: str) -> Iterator[None]:
    """Turns errors of boto3 into ours; none of them carries a secret."""
    faults = require("botocore.exceptions", extra=EXTRA)
    try:
        yield
    except (faults.BotoCoreError, faults.ClientError) as error:
        code = getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__)
        if code == "EntityNotFoundException":
            raise SourceUnreachable(
                f"The Glue Data Catalog has no table {table}.", hint="aws glue get-tables"
            ) from None
        raise SourceUnreachable(
            f"The Glue Data Catalog does not give {table}: {code}.",
            hint="look at the region, the credentials and the rights: aws sts get-caller-identity",
        ) from None


def _columns(listed: Any) -> dict[str, str]:
    return {column["Name"]: column["Type"] for column in listed}


def _partitions(pages: Any) -> Iterator[_Part]:
    for page in pages:
        for partition in page["Partitions"]:
            yield _Part(partition["StorageDescriptor"]["Location"], tuple(partition["Values"]))


def _format_of(name: str, table: Mapping[str, Any]) -> str:
    storage = table["StorageDescriptor"]
    library = str(storage.get("SerdeInfo", {}).get("SerializationLibrary", ""))
    kind = next((ours for word, ours in FORMATS.items() if word in library.lower()), None)
    if kind is None:
        raise SpecFault(
            f"The table {name} is written by {library or 'an unnamed library'}, which is not read; "
            f"tables of {', '.join(sorted({*FORMATS.values()}))} are.",
            hint="write it as Parquet: create table ... with (format = 'PARQUET') as select ... in Athena",
            place="data.sources",
        )
    headers = {**table.get("Parameters", {}), **storage.get("Parameters", {})}.get(
        "skip.header.line.count", "0"
    )
    if kind == "csv" and headers != "1":
        raise SpecFault(
            f"The table {name} is CSV without a header line; names of columns are read from the header.",
            hint="write it as Parquet: create table ... with (format = 'PARQUET') as select ... in Athena",
            place="data.sources",
        )
    return kind


def _typed(name: str, kind: str, held: tuple[str, Any] | None) -> pl.Expr:
    import polars as pl

    if held is None:
        return _as(pl.lit(None, dtype=pl.String), pl.String(), kind).alias(name)
    return _as(pl.col(held[0]), held[1], kind).alias(name)


def _as(column: pl.Expr, dtype: Any, kind: str) -> pl.Expr:
    """Gives a column as Hive's type; a time without a zone is in UTC."""
    import polars as pl

    plain = kind.partition("(")[0].strip().lower()
    if plain not in TYPES:
        raise SpecFault(
            f"The catalog has a column of the type {kind}; read are {', '.join(TYPES)}.",
            hint="leave it out of the table, or make a view's result a table of its own",
            place="data.sources",
        )
    if plain != "timestamp":
        return column.cast(getattr(pl, TYPES[plain]))
    if dtype == pl.String:
        return column.str.to_datetime(time_unit="us", time_zone="UTC")
    moment = column.cast(pl.Datetime("us", getattr(dtype, "time_zone", None)))
    zoned = getattr(dtype, "time_zone", None) is not None
    return moment.dt.convert_time_zone("UTC") if zoned else moment.dt.replace_time_zone("UTC")
