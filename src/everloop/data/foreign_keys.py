"""The keys of other sources that a contract refers to, read for a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.files import scratch_folder, write_file
from everloop.data.duck import closed_duckdb, parquet_scan, quote_name, quote_text
from everloop.data.query import tables_of_rows
from everloop.data.sources import Surroundings
from everloop.data.sources.keeping import KeptSource
from everloop.data.taking import open_sources
from everloop.spec import DataSpec
from everloop.table.contract import parse_contract

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from everloop.spec import LifecycleSpec

_KEY_KINDS = {"VARCHAR", "TINYINT", "SMALLINT", "INTEGER", "BIGINT"}
INDEX_FILE = "foreign-keys.json"


def foreign_key_settings(
    spec: LifecycleSpec, contract: str | None, read: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Gives the settings of `foreign_key_step`; None where there is no source of the file to refer to.

    Where the contract is still to be learned and kept, that is any source that the rows do not come from.

    Args:
        spec: The lifecycle file.
        contract: The contract's text, or None where there is none yet.
        read: The sources' fingerprints as the snapshot read them, so that its rows are held against the
            keys that were there with them.
    """
    columns = {name: found for name, found in sorted(_asked(spec, contract).items()) if name in read}
    if not columns:
        return None
    sources = spec.data.model_dump(mode="json", include={"sources"}, exclude_none=True).get("sources", {})
    return {
        "sources": {name: sources[name] for name in columns if name in sources},
        "read": {name: read[name] for name in columns},
        "columns": columns,
    }


def _asked(spec: LifecycleSpec, contract: str | None) -> dict[str, list[str]]:
    """Gives from a source to its columns that are referred to; none for all that could be."""
    if contract is None:
        return {name: [] for name in _beside_rows(spec.data)} if spec.data.contract else {}
    if "refers" not in contract:
        return {}
    asked = parse_contract(contract, str(spec.data.contract)).references
    return {name: sorted({column for key in keys for column in key}) for name, keys in asked.items()}


def _beside_rows(data: DataSpec) -> list[str]:
    """Names the sources that the table's rows do not come from: what a row has of them may be missing."""
    if data.table is not None:
        own = tables_of_rows(data.table)
    else:
        looked_at = {getattr(feature, "source", None) for feature in data.features.values()}
        own = {name for name in data.sources if name not in looked_at}
    return [name for name in data.sources if name.lower() not in {one.lower() for one in own}]


def foreign_key_step(
    folder: Path,
    settings: dict[str, Any],
    inputs: dict[str, Path],
    *,
    home: Path,
    kept: Path | None = None,
    tables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Keeps the distinct keys of the sources that the contract refers to, or may come to refer to.

    Args:
        folder: Where a Parquet file for each source, and `foreign-keys.json`, are written.
        settings: What `foreign_key_settings` gave.
        inputs: None.
        home: The lifecycle's folder, where relative addresses start.
        kept: Where sources keep what they have read.
        tables: Tables handed in from Python.

    Returns:
        How many keys each source has.
    """
    del inputs
    columns: dict[str, list[str]] = settings["columns"]
    around = Surroundings(folder=home, kept=kept.resolve() if kept else None)
    handed = {name: table for name, table in (tables or {}).items() if name in columns}
    sources = open_sources(DataSpec.model_validate({"sources": settings["sources"]}), around, handed)
    counts, files = {}, {}
    with scratch_folder(folder) as scratch:
        for place, name in enumerate(columns):
            source, own = sources[name], scratch.resolve() / f"source-{place}"
            own.mkdir()
            if isinstance(source, KeptSource):
                reading = source.read_at(settings["read"][name], own)
            else:
                reading = source.read(own)
            files[name] = f"keys-{place}.parquet"
            counts[name] = _keep(reading.files, columns[name], own, folder.resolve() / files[name])
    write_file(folder / INDEX_FILE, json.dumps(files, indent=2).encode() + b"\n")
    return {"keys": counts}


def _keep(files: tuple[Path, ...], columns: list[str], scratch: Path, target: Path) -> int:
    """Writes the distinct keys; where a column is missing all there are, for the check to name.

    Where no column is asked for, all those that name the source's rows.
    """
    written = scratch / "keys.parquet"
    scan = parquet_scan(files)
    with closed_duckdb(scratch, files) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()  # noqa: S608
        there = {row[0]: row[1] for row in described}
        wanted = columns or _naming(connection, scan, there)
        listed = ", ".join(quote_name(name) for name in wanted) if there.keys() >= set(wanted) else "*"
        query = f"SELECT DISTINCT {listed} FROM {scan} ORDER BY ALL"  # noqa: S608
        connection.execute(f"COPY ({query}) TO {quote_text(str(written))} (FORMAT parquet, COMPRESSION zstd)")
        (rows,) = connection.execute(f"SELECT count(*) FROM {parquet_scan([written])}").fetchone() or (0,)  # noqa: S608
    written.rename(target)
    return int(rows)


def _naming(connection: DuckDBPyConnection, scan: str, kinds: Mapping[str, str]) -> list[str]:
    """Gives the columns of whole numbers or text that have another value in each row; or the first one."""
    names = [name for name, kind in kinds.items() if kind in _KEY_KINDS]
    for asked in ("approx_count_distinct({c}) >= 0.8 * count(*)", "count(DISTINCT {c}) = count(*)"):
        if not names:  # what is quick leaves few for what is exact
            break
        shares = [asked.format(c=quote_name(name)) for name in names]
        told = connection.execute(f"SELECT {', '.join(shares)} FROM {scan}").fetchone() or ()  # noqa: S608
        names = [name for name, names_rows in zip(names, told, strict=True) if names_rows]
    return names or list(kinds)[:1]


def foreign_key_tables(folder: Path) -> dict[str, Path]:
    """Gives the file of keys of each source, by its name."""
    files: dict[str, str] = json.loads((folder / INDEX_FILE).read_bytes())
    return {name: folder / file for name, file in files.items()}
