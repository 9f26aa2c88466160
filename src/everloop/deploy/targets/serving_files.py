"""What every place that serves needs: the serving rooms, what they import, the package, the settings.

Only the rooms that serve are copied, and only what they import is installed: no training library, no
data frame, no database. A package that was not compiled brings what its manifest requires.
"""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import UsageFault
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

ONLINE_VARIABLE = "EVERLOOP_ONLINE_STORE"
"""The environment variable that holds the online store's address, where the model reads one."""

PLAN_NAME = "plan.json"
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
    files: dict[str, Content] = {**_code(), **_package(release.package)}
    files[REQUIREMENTS] = _requirements(release)
    files[INSTALL] = _install()
    if settings is not None:
        files[SETTINGS] = encode_json(settings)
    return files


def settings_of(release: Release, **changes: object) -> ServerSettings:
    """Gives what a server in a container is told; paths are from the folder that it starts in."""
    stated = {
        "package": PACKAGE,
        "log": "log",
        "host": "0.0.0.0",  # noqa: S104  (a container's own; tokens are asked for)
        "port": release.port,
        "grpc_port": release.grpc_port,
        "durability": release.durability,
        "private": dict(release.private),
        "topic": release.topic,
        "limits": release.limits,
        "online": f"env:{ONLINE_VARIABLE}" if release.joins else None,
        "trusted": release.trusted,
        "secrets": {role: f"env:{token_variable(role)}" for role in release.roles},
    }
    return ServerSettings(**(stated | changes))  # type: ignore[arg-type]


def token_variable(role: str) -> str:
    """Names the environment variable that holds a role's token."""
    return f"EVERLOOP_{role.upper()}_TOKEN"


def variables_of(release: Release) -> tuple[str, ...]:
    """Names the environment variables that a server reads: tokens, where features are, what a topic asks."""
    return tuple(variable for keys in cluster_secrets(release).values() for variable in keys.values())


def cluster_secrets(release: Release) -> dict[str, dict[str, str]]:
    """Gives the secrets that a cluster keeps: by name, each key with the variable that holds it in a pod."""
    options = {} if release.topic is None else release.topic.options
    asked = {value.removeprefix("env:") for value in options.values() if value.startswith("env:")}
    named = {
        "tokens": {role: token_variable(role) for role in release.roles},
        "online": {"address": ONLINE_VARIABLE} if release.joins else {},
        "topic": {variable: variable for variable in sorted(asked)},
    }
    return {f"{release.name}-{name}": keys for name, keys in named.items() if keys}


def secret_commands(release: Release) -> tuple[str, ...]:
    """Gives the commands that hand a cluster the secrets that its pods read."""
    return tuple(
        f"kubectl create secret generic {name} "
        + " ".join(f"--from-literal={key}=${variable}" for key, variable in keys.items())
        for name, keys in cluster_secrets(release).items()
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


def _package(folder: Path) -> dict[str, Content]:
    return {f"{PACKAGE}/{path.name}": path for path in sorted(folder.iterdir()) if path.is_file()}


def _requirements(release: Release) -> bytes:
    names = list(PACKAGES)
    if release.grpc_port is not None:
        names += ["grpcio", "protobuf"]
    if release.trusted:
        names.append("cryptography")
    if release.joins:
        names.append("redis")
    if release.topic is not None:
        names.append("confluent-kafka")
    if _decodes_images(release.package):
        names.append("pillow")
    pinned = release.manifest.requirements
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


def _decodes_images(package: Path) -> bool:
    """Says whether rows carry images; sounds need nothing that Python does not have."""
    encoders = Plan.load(package / PLAN_NAME).encoders
    return any(isinstance(one, GridEncoder) and one.sound is None for one in encoders)


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
