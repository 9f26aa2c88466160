"""What the engine runs for the data phase."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from everloop.core.clock import Clock, SystemClock, parse_time
from everloop.core.files import write_file
from everloop.core.progress import Progress, silent
from everloop.core.values import to_jsonable
from everloop.data.adding import becomes_column
from everloop.data.api import check
from everloop.data.contents import digest_of_files
from everloop.data.foreign_keys import foreign_key_tables
from everloop.data.preparing import facts_of, prepare_dataset
from everloop.data.python_features import python_digests
from everloop.data.snapshots import Snapshot
from everloop.data.source_parts import SUMMARY_FILE
from everloop.data.sources import DigestMemo, Source, Surroundings
from everloop.data.taking import at_source, open_sources, read_sources, take_snapshot
from everloop.spec import DataSpec, ProblemSpec
from everloop.spec.frame import Frame
from everloop.table.acting import known_later

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

CONTRACT_FILE = "contract.yaml"
REPORT_FILE = "contract-report.json"
SETTINGS_FILE = "settings.json"


def snapshot_settings(
    spec: LifecycleSpec,
    as_of: datetime,
    *,
    tables: Mapping[str, Any] | None = None,
    memo: Path | None = None,
    kept: Path | None = None,
    clock: Clock | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Gives the settings of `snapshot_step`: what the file says, and what the sources hold now.

    The sources' fingerprints are in it, so the step's key changes when their content does. Databases,
    APIs and streams are read here, once: the step takes what is kept of them as of the fingerprint.

    Args:
        spec: The lifecycle file.
        as_of: The time at which the snapshot is taken.
        tables: Tables handed in from Python, by the name of the source that each stands for.
        memo: A file that remembers the digests of unchanged files.
        kept: Where what was read of databases, APIs and streams is kept.
        clock: Waits between attempts to reach a source.
        progress: Is told what is read.
    """
    around = Surroundings(
        folder=spec.folder,
        clock=clock or SystemClock(),
        memo=DigestMemo(memo),
        progress=progress,
        kept=kept,
        as_of=as_of,
    )
    columns = {name: each for name, each in spec.data.features.items() if becomes_column(each)}
    functions = python_digests(spec.data, Path(spec.folder))
    later = known_later(spec.goal, spec.problem)
    sources = open_sources(spec.data, around, tables)
    fingerprints = {}
    for name, source in sources.items():
        with at_source(name):
            fingerprints[name] = source.fingerprint()
    return {
        "data": _part(
            spec.data.model_copy(update={"features": columns}), *_read_by_snapshot(spec.data, columns)
        ),
        "problem": _part(spec.problem, "target", "time", "label_time", "label_delay"),
        "as_of": to_jsonable(as_of),
        "sources": fingerprints,
        **({"functions": functions} if functions else {}),
        **({"later": list(later)} if later else {}),
        **({"files": _files(spec, sources, replace(around, known=fingerprints))} if spec.data.files else {}),
    }


def _read_by_snapshot(data: DataSpec, columns: Mapping[str, Any]) -> tuple[str, ...]:
    more = {"features": columns, "files": data.files}
    return ("sources", "table", *(key for key, said in more.items() if said))


def _files(spec: LifecycleSpec, sources: Mapping[str, Source], around: Surroundings) -> str:
    """Gives the identity of the files that columns name, which are read to know them."""
    with TemporaryDirectory(prefix="everloop-") as scratch:
        readings = read_sources(sources, Path(scratch), around)
        return digest_of_files(readings, spec.data.files, Path(spec.folder), around.memo)


def contract_settings(spec: LifecycleSpec) -> dict[str, Any]:
    """Gives the settings of `contract_step`: the text of the contract, where there is one."""
    path = Path(spec.folder) / spec.data.contract if spec.data.contract else None
    text = path.read_text(encoding="utf-8") if path is not None and path.is_file() else None
    later = [name for name in (spec.problem.target, spec.problem.label_time) if name]
    later += known_later(spec.goal, spec.problem)
    return {
        "contract": text,
        "name": spec.data.contract,
        "known_later": later,
        "names": [spec.problem.entity] if spec.problem.entity else [],
        "engine": spec.engine.data,
    }


def dataset_settings(spec: LifecycleSpec) -> dict[str, Any]:
    """Gives the settings of `dataset_step`."""
    settings = {
        "data": _part(spec.data, "clean", "features", "split", "leaks"),
        "seed": spec.model.seed,
        "engine": spec.engine.data,
    }
    last = spec.monitor.retrain.history.last
    return settings if last is None else settings | {"last_seconds": last.total_seconds()}


def _part(model: Any, *keys: str) -> dict[str, Any]:
    return dict(model.model_dump(mode="json", include=set(keys), exclude_none=True))


def snapshot_step(
    folder: Path,
    settings: dict[str, Any],
    inputs: dict[str, Path],
    *,
    home: Path,
    kept: Path | None = None,
    joins: Path | None = None,
    tables: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Takes a snapshot.

    Args:
        folder: Where `table.parquet` and `snapshot.json` are written, and `settings.json` where a source
            comes in parts, so that it can be taken again without some.
        settings: What `snapshot_settings` gave.
        inputs: None.
        home: The lifecycle's folder, where relative addresses start. It is no setting, so that a
            lifecycle that is moved does nothing again.
        kept: Where sources keep what they have read, for the same reason no setting.
        joins: Where the query's answer is kept for the next snapshot, likewise.
        tables: Tables handed in from Python; their fingerprints are among the settings.

    Returns:
        The snapshot's description.
    """
    del inputs
    snapshot = take_as_set(folder, settings, home=home, kept=kept, joins=joins, tables=tables)
    if (folder / SUMMARY_FILE).exists():
        write_file(folder / SETTINGS_FILE, json.dumps(settings).encode() + b"\n")
    return snapshot.to_dict()


def take_as_set(
    folder: Path,
    settings: Mapping[str, Any],
    *,
    home: Path,
    kept: Path | None = None,
    joins: Path | None = None,
    tables: Mapping[str, Any] | None = None,
    without: Mapping[str, Collection[str]] | None = None,
) -> Snapshot:
    """Takes a snapshot as `snapshot_settings` said, perhaps without some parts of its sources."""
    return take_snapshot(
        DataSpec.model_validate(settings["data"]),
        ProblemSpec.model_validate(settings["problem"]),
        folder,
        parse_time(settings["as_of"]),
        Surroundings(folder=home, kept=kept.resolve() if kept else None, known=settings["sources"]),
        tables=tables,
        without=without,
        later=settings.get("later", ()),
        joins=joins,
    )


def contract_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Learns the contract of a snapshot, or holds the snapshot against the one there is.

    Args:
        folder: Where `contract.yaml` and `contract-report.json` are written.
        settings: What `contract_settings` gave.
        inputs: `snapshot`, its folder, and `foreign_keys` where the contract refers, or may come to
            refer, to other sources.

    Returns:
        Whether the contract was learned, and the report.

    Raises:
        ContractViolated: When the snapshot breaks the contract.
    """
    from everloop.data.learning import learn
    from everloop.table.contract import load_contract, save_contract

    snapshot = Snapshot.load(inputs["snapshot"])
    path, text = folder / CONTRACT_FILE, settings["contract"]
    tables = foreign_key_tables(inputs["foreign_keys"]) if "foreign_keys" in inputs else {}
    if text is None:
        contract = learn(
            snapshot.arrived(),
            known_later=settings["known_later"],
            names=settings["names"],
            now=snapshot.as_of,
            tables=tables,
        )
        save_contract(contract, path)
    else:
        write_file(path, text.encode())
        contract = load_contract(path)
    report = check(snapshot, contract, tables=tables, engine=settings["engine"])
    facts = report.to_dict()
    write_file(folder / REPORT_FILE, json.dumps(facts, indent=2).encode())
    report.raise_if_failed()
    return {"learned": text is None, "report": facts}


def dataset_step(folder: Path, settings: dict[str, Any], inputs: dict[str, Path]) -> dict[str, Any]:
    """Cleans, splits and features a snapshot.

    Args:
        folder: Where the dataset is written.
        settings: What `dataset_settings` gave.
        inputs: `snapshot` and `frame`, their folders.

    Returns:
        Rows of each part, the split, what cleaning did, and leaks that do not block.

    Raises:
        LeakFound: When the dataset leaks.
    """
    frame = Frame.load(inputs["frame"])
    prepared = prepare_dataset(
        Snapshot.load(inputs["snapshot"]),
        frame,
        DataSpec.model_validate({"sources": {}, **settings["data"]}),
        folder,
        seed=settings["seed"],
        engine=settings["engine"],
        last=timedelta(seconds=settings["last_seconds"]) if "last_seconds" in settings else None,
    )
    return facts_of(prepared)
