"""What every place that serves needs: the serving rooms, what they import, the packages, the settings.

Only the rooms that serve are copied, and only what they import is installed: no training library, no
data frame, no database. A package that was not compiled brings what its manifest requires.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from everloop.core.errors import UsageFault
from everloop.deploy.targets.environment import (
    log_key_variable,
    online_variable,
    token_variables,
    topic_of,
)
from everloop.runtime.json_form import encode_json
from everloop.runtime.plan import GridEncoder, Plan
from everloop.runtime.service.settings import ServerSettings

if TYPE_CHECKING:
    from everloop.deploy.targets.target import Content, Release

ROOMS = ("core", "table", "runtime")
PACKAGES = ("google-crc32c", "httptools", "msgspec", "numpy", "onnxruntime", "uvicorn", "uvloop")
"""What the serving rooms import, nothing else."""

PRUNED = (
    "onnxruntime/capi/libonnxruntime.so*",
    "onnxruntime/transformers",
    "onnxruntime/tools",
    "onnxruntime/quantization",
    "numpy/*/tests",
    "numpy/tests",
    "numpy/f2py",
    "numpy/distutils",
    "pip",
    "pip-*",
    "setuptools",
    "setuptools-*",
)
"""What of the installed packages serving never loads, as patterns below site-packages.

The library that onnxruntime ships for C is a second copy of what its Python module holds.
"""

PLAN_NAME, CONTRACT_NAME = "plan.json", "contract.json"
CODE, PACKAGE, SETTINGS, REQUIREMENTS, INSTALL = (
    "code", "package", "settings.json", "requirements.txt", "install.sh",
)  # fmt: skip


def serving_files(release: Release, settings: ServerSettings | None = None) -> dict[str, Content]:
    """Gives the files with which a version serves: `code/`, `package/`, settings and how to install.

    Args:
        release: The version.
        settings: What the server is told; None for a place that brings its own server.

    Raises:
        UsageFault: When what serving needs is not installed here, so that its version is not known.
    """
    files: dict[str, Content] = {**_code()}
    for one in release.each:
        files |= _package(one.package, package_place(release, one))
    files[REQUIREMENTS] = _requirements(release)
    files[INSTALL] = _install()
    if settings is not None:
        files[SETTINGS] = encode_json(settings)
    return files


def package_place(release: Release, one: Release) -> str:
    """Gives the folder of one of a server's packages, from the folder that it starts in."""
    return f"{PACKAGE}/{one.name}" if release.beside else PACKAGE


def settings_of(release: Release, *, log: str = "log", behind_gateway: bool = False) -> ServerSettings:
    """Gives what a server in a container is told; paths are from the folder that it starts in.

    Args:
        release: The version, with those that are served beside it.
        log: The folder of the prediction log; of several lifecycles each has its own in it.
        behind_gateway: Whether the place decides who may ask.
    """
    stated = [_settings_of(release, one, log, behind_gateway=behind_gateway) for one in release.each]
    return msgspec.structs.replace(stated[0], beside=tuple(stated[1:]))


def _settings_of(release: Release, one: Release, log: str, *, behind_gateway: bool) -> ServerSettings:
    online, key = online_variable(release, one), log_key_variable(release, one)
    tokens = token_variables(release, one)
    return ServerSettings(
        package=package_place(release, one),
        log=f"{log}/{one.name}" if release.beside else log,
        host="0.0.0.0",  # noqa: S104  (a container's own; tokens are asked for)
        port=release.port,
        grpc_port=release.grpc_port,
        durability=one.durability,
        private=dict(one.private),
        log_key=None if key is None else f"env:{key.name}",
        topic=topic_of(release, one),
        limits=one.limits,
        online=None if online is None else f"env:{online.name}",
        trusted=one.trusted,
        secrets={role: f"env:{variable.name}" for role, variable in tokens.items()},
        behind_gateway=behind_gateway,
    )


def _code() -> dict[str, Content]:
    root = Path(__file__).parents[2]
    paths = [root / "__init__.py", *(path for room in ROOMS for path in sorted((root / room).rglob("*.py")))]
    files: dict[str, Content] = {
        f"{CODE}/everloop/{path.relative_to(root).as_posix()}": path for path in paths
    }
    version = metadata.version("everloop")
    about = f"Metadata-Version: 2.1\nName: everloop\nVersion: {version}\n"
    return files | {f"{CODE}/everloop-{version}.dist-info/METADATA": about.encode()}


def _package(folder: Path, place: str) -> dict[str, Content]:
    return {f"{place}/{path.name}": path for path in sorted(folder.iterdir()) if path.is_file()}


def _requirements(release: Release) -> bytes:
    asked = {
        "grpcio": release.grpc_port is not None,
        "protobuf": release.grpc_port is not None,
        "cryptography": any(one.trusted for one in release.each),
        "redis": any(one.joins for one in release.each),
        "confluent-kafka": any(one.topic is not None for one in release.each),
        "pillow": any(_decodes_images(one.package) for one in release.each),
        "pydantic-core": any(_matches_patterns(one.package) for one in release.each),
    }
    names = [*PACKAGES, *(name for name, wanted in asked.items() if wanted)]
    pinned = _pinned(release)
    lines = [f"{name}=={version}" for name, version in pinned.items()]
    for name in sorted({*names} - {*pinned}):
        try:
            lines.append(f"{name}=={metadata.version(name)}")
        except metadata.PackageNotFoundError:
            raise UsageFault(
                f"The package {name!r} is to serve, and is not installed here.",
                hint=f"pip install {name}",
            ) from None
    return "\n".join([*sorted(lines), ""]).encode()


def _pinned(release: Release) -> dict[str, str]:
    """Gives what packages that were not compiled require.

    Raises:
        UsageFault: When two want another version of one library.
    """
    pinned: dict[str, str] = {}
    for one in release.each:
        for name, version in one.manifest.requirements.items():
            if pinned.setdefault(name, version) != version:
                raise UsageFault(
                    f"{one.manifest.lifecycle} needs {name} {version}, and another of these {pinned[name]}: "
                    "one server cannot hold both.",
                    hint="export each on its own",
                )
    return pinned


def _decodes_images(package: Path) -> bool:
    """Says whether rows carry images; sounds need nothing that Python does not have."""
    encoders = Plan.load(package / PLAN_NAME).encoders
    return any(isinstance(one, GridEncoder) and one.sound is None for one in encoders)


def _matches_patterns(package: Path) -> bool:
    """Says whether texts are held against a pattern of the contract."""
    contract = msgspec.json.decode((package / CONTRACT_NAME).read_bytes())
    return any(column.get("pattern") is not None for column in contract["columns"])


def _install() -> bytes:
    pruned = "\n".join(f'rm -rf "$site"/{pattern}' for pattern in PRUNED)
    return f"""#!/bin/sh
# Installs what serving needs into an environment of its own: sh install.sh FOLDER
set -eu
"${{PYTHON:-python3}}" -m venv "$1"
"$1/bin/python" -m pip install --quiet --no-cache-dir --no-compile --disable-pip-version-check \\
    -r "$(dirname "$0")/{REQUIREMENTS}"
site=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
# Serving never loads these.
{pruned}
""".encode()
