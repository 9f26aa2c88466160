"""The keys of other sources that a contract refers to, read for a run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.core.files import scratch_folder, write_file
from everloop.data.duck import closed_duckdb, parquet_scan, quote_name, quote_text
from everloop.data.sources import Surroundings
from everloop.data.sources.keeping import KeptSource
from everloop.data.taking import open_sources
from everloop.spec import DataSpec
from everloop.table.contract import parse_contract

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

INDEX_FILE = "foreign-keys.json"


def foreign_key_settings(
    spec: LifecycleSpec, contract: str | None, read: Mapping[str, dict[str, Any]]
) -> dict[str, Any] | None:
    """Gives the settings of `foreign_key_step`; None where the contract refers to no source of the file.

    Args:
        spec: The lifecycle file.
        contract: The contract's text, or None where there is none yet.
        read: The sources' fingerprints as the snapshot read them, so that its rows are held against the
            keys that were there with them.
    """
    if contract is None or "refers" not in contract:
        return None
    asked = parse_contract(contract, str(spec.data.contract)).references
    columns = {
        name: sorted({column for key in keys for column in key})
        for name, keys in sorted(asked.items())
        if name in read
    }
    if not columns:
        return None
    sources = spec.data.model_dump(mode="json", include={"sources"}, exclude_none=True).get("sources", {})
    return {
        "sources": {name: sources[name] for name in columns if name in sources},
        "read": {name: read[name] for name in columns},
        "columns": columns,
    }


def foreign_key_step(
    folder: Path,
    settings: dict[str, Any],
    inputs: dict[str, Path],
    *,
    home: Path,
    kept: Path | None = None,
    tables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Keeps the distinct keys of the sources that the contract refers to.

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
    """Writes the distinct keys; where a column is missing all there are, for the check to name."""
    written = scratch / "keys.parquet"
    scan = parquet_scan(files)
    with closed_duckdb(scratch, files) as connection:
        described = connection.execute(f"DESCRIBE SELECT * FROM {scan}").fetchall()  # noqa: S608
        there = {row[0] for row in described}
        listed = ", ".join(quote_name(name) for name in columns) if there.issuperset(columns) else "*"
        query = f"SELECT DISTINCT {listed} FROM {scan} ORDER BY ALL"  # noqa: S608
        connection.execute(f"COPY ({query}) TO {quote_text(str(written))} (FORMAT parquet, COMPRESSION zstd)")
        (rows,) = connection.execute(f"SELECT count(*) FROM {parquet_scan([written])}").fetchone() or (0,)  # noqa: S608
    written.rename(target)
    return int(rows)


def foreign_key_tables(folder: Path) -> dict[str, Path]:
    """Gives the file of keys of each source, by its name."""
    files: dict[str, str] = json.loads((folder / INDEX_FILE).read_bytes())
    return {name: folder / file for name, file in files.items()}
