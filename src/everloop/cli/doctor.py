"""`everloop doctor`."""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 2**30
_REQUIREMENT = re.compile(r"""^([A-Za-z0-9._-]+).*;.*extra\s*==\s*['"]([^'"]+)['"]""")


@dataclass(frozen=True, slots=True)
class Symptom:
    """One thing that was looked at.

    Attributes:
        name: What.
        state: ``ok``, ``note`` (worth knowing, nothing is broken) or ``wrong``.
        found: What was found.
        mend: The command that mends it.
    """

    name: str
    state: str
    found: str
    mend: str = ""


def command(file: LifecycleFile = DEFAULT_FILE) -> Answer:
    """Looks at what is installed, reachable and configured, and names the command that mends it.

    Without a lifecycle file only the installation is looked at. The status is 1 where something is wrong.

    Example:
        everloop doctor
    """
    symptoms = list(examine(file))
    width = max(len(one.name) for one in symptoms) + 2
    lines = []
    for one in symptoms:
        lines.append(f"{one.state:<6} {one.name:<{width}}{one.found}")
        lines += [f"{'':<{7 + width}}mend: {one.mend}"] if one.mend else []
    wrong = any(one.state == "wrong" for one in symptoms)
    return Answer({"ok": not wrong, "symptoms": symptoms}, "\n".join(lines), status=1 if wrong else 0)


def examine(file: Path) -> Iterator[Symptom]:
    """Looks at the installation, then at the lifecycle where there is one."""
    from everloop.core.errors import EverloopError
    from everloop.spec import load

    yield _python()
    yield from _extras()
    if not file.exists():
        yield Symptom("lifecycle", "note", f"no {file} here", "everloop new NAME --data FILE --target COLUMN")
        return
    try:
        spec = load(file)
    except EverloopError as error:
        yield Symptom("lifecycle", "wrong", f"{error.place or file}: {error.message}", error.hint or "")
        return
    yield Symptom("lifecycle", "ok", f"{spec.name}, {file}")
    for look in (_record, _artifacts, _disk, _port, _contract):
        yield look(spec)


def _python() -> Symptom:
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Symptom("python", "wrong", f"{found}; 3.11 or newer is needed", "python3.11 -m venv .venv")
    return Symptom("python", "ok", f"{found}, {sys.executable}")


def _extras() -> Iterator[Symptom]:
    """Compares what each extra would install with what is there, from the installed metadata."""
    from importlib import metadata

    try:
        declared = metadata.requires("everloop") or []
        yield Symptom("everloop", "ok", metadata.version("everloop"))
    except metadata.PackageNotFoundError:
        yield Symptom("everloop", "note", "not installed: used from its source", "pip install -e .")
        return
    extras: dict[str, list[str]] = {}
    for text in declared:
        match = _REQUIREMENT.match(text)
        if match and match[1] != "everloop":
            extras.setdefault(match[2], []).append(match[1].partition("[")[0])
    for extra, packages in extras.items():
        missing = [name for name in packages if not _installed(name)]
        if missing:
            found, mend = f"lacks {', '.join(missing)}", f"pip install 'everloop[{extra}]'"
            yield Symptom(f"extra {extra}", "wrong" if extra == "train" else "note", found, mend)
        else:
            versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
            yield Symptom(f"extra {extra}", "ok", versions)


def _installed(name: str) -> bool:
    from importlib import metadata

    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _record(spec: LifecycleSpec) -> Symptom:
    from everloop.core.errors import EverloopError
    from everloop.record import open_record

    try:
        address = _record_address(spec)
        path = Path(address.removeprefix("sqlite:///"))
        if address.startswith("sqlite:") and not path.exists():
            return Symptom("record", "note", f"{path} is not there yet", "everloop run")
        open_record(address, wait=1.0).close()
    except EverloopError as error:
        return Symptom("record", "wrong", error.message, error.hint or "")
    shown = spec.record if isinstance(spec.record, str) else str(spec.record)
    return Symptom("record", "ok", f"{shown} answers")


def _record_address(spec: LifecycleSpec) -> str:
    from everloop.spec import Secret

    address = spec.record.reveal() if isinstance(spec.record, Secret) else spec.record
    prefix = "sqlite:///"
    path = address.removeprefix(prefix)
    inside = address.startswith(prefix) and not path.startswith("/")
    return f"{prefix}{(spec.folder / path).resolve()}" if inside else address


def _artifacts(spec: LifecycleSpec) -> Symptom:
    if "://" in spec.artifacts:
        return Symptom("artifacts", "note", f"{spec.artifacts} is reached by the next run")
    folder = (spec.folder / spec.artifacts).resolve()
    nearest = _nearest(folder)
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        return Symptom("artifacts", "wrong", f"{nearest} may not be written", f"chmod u+rwx {nearest}")
    return Symptom("artifacts", "ok", f"{folder} can be written")


def _disk(spec: LifecycleSpec) -> Symptom:
    free = shutil.disk_usage(_nearest(spec.folder.resolve())).free
    found = f"{free / 2**30:.1f} GiB free"
    if free < LEAST_FREE_BYTES:
        return Symptom("disk", "wrong", found, f"du -sh {spec.folder.resolve()}/.everloop/* | sort -h")
    return Symptom("disk", "ok", found)


def _port(spec: LifecycleSpec) -> Symptom:
    serve = spec.deploy.serve
    family = socket.AF_INET6 if ":" in serve.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((serve.host, serve.port))
        except OSError as error:
            found = f"{serve.host}:{serve.port}: {error.strerror}"
            return Symptom("port", "note", found, f"curl http://{serve.host}:{serve.port}/health/live")
    return Symptom("port", "ok", f"{serve.host}:{serve.port} is free")


def _contract(spec: LifecycleSpec) -> Symptom:
    from everloop.core.errors import EverloopError
    from everloop.table.contract import load_contract

    if spec.data.contract is None:
        return Symptom("contract", "note", "data.contract names none", "add to data: contract: contract.yaml")
    path = spec.folder / spec.data.contract
    if not path.is_file():
        return Symptom(
            "contract", "note", f"{path} is not there yet; a run learns it", "everloop run --until data"
        )
    try:
        contract = load_contract(path)
    except EverloopError as error:
        return Symptom("contract", "wrong", f"{error.place or path}: {error.message}", error.hint or "")
    return Symptom("contract", "ok", f"{path}, {len(contract.columns)} columns")


def _nearest(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.exists())
