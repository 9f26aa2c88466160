"""Packages that only some uses need."""

from __future__ import annotations

import importlib
from types import ModuleType

from everloop.core.errors import MissingExtra


def require(module: str, *, extra: str) -> ModuleType:
    """Imports a module that an extra installs.

    Args:
        module: The module's full name.
        extra: The extra of Everloop that brings it.

    Raises:
        MissingExtra: When it is not installed; the hint is the command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(f"{error.name}.")):
            raise
        raise MissingExtra(
            f"This needs the package {error.name!r}, which is not installed.",
            hint=f"pip install 'everloop[{extra}]'",
        ) from None
