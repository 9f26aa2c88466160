"""What a Python runtime needs to be installed, in which versions; and whether it is."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from everloop.core.errors import MissingExtra, PackageRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ARRAYS = ("numpy", "pandas", "scipy", "skops")
"""What carries arrays and files: of its version the first number alone has to be the same."""


def requirements_of(modules: Iterable[str]) -> dict[str, str]:
    """Gives the distributions that hold modules, each with the version that is installed here."""
    known = metadata.packages_distributions()
    names = {known[module][0] for module in modules if module in known}
    return {name: metadata.version(name) for name in sorted(names)}


def require_installed(requirements: Mapping[str, str]) -> None:
    """Holds what is installed against what a package says that it needs. Nothing is imported.

    Args:
        requirements: Distribution to version.

    Raises:
        MissingExtra: When one is not installed; the hint is the command that installs it.
        PackageRefused: When another version is, with which the model was never proven.
    """
    absent, other = [], []
    for name, version in requirements.items():
        try:
            found = metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if _counts(found, name) != _counts(version, name):
            other.append(f"{name} {version} (installed: {found})")
    pins = " ".join(f"'{name}=={version}'" for name, version in requirements.items())
    if absent:
        raise MissingExtra(
            f"The package serves in a Python runtime and needs {', '.join(absent)}, not installed here.",
            hint=f"pip install {pins}",
        )
    if other:
        raise PackageRefused(
            f"The package was proven with {', '.join(other)}; another version may answer otherwise.",
            hint=f"pip install {pins}",
        )


def _counts(version: str, name: str) -> str:
    return version.partition(".")[0] if name in ARRAYS else version
