"""A look into a `.keras` file before Keras reads it: it may name Keras' own layers and nothing else.

A configuration names modules and classes that the reader imports, and may carry a function's code
(CVE-2024-3660, CVE-2025-1550); Keras' own safe mode is the second look, after this one.
"""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault

if TYPE_CHECKING:
    from pathlib import Path

CODE = frozenset({"Lambda", "function", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"})
"""Classes whose configuration is code, or leads to a file."""

CONFIGURATION, WEIGHTS = "config.json", "model.weights.h5"


def refuse_code(file: Path) -> None:
    """Refuses a Keras file that names anything beyond Keras' own layers.

    Args:
        file: A zip file whose size unpacked was checked.

    Raises:
        ModelFault: When it does, or is no Keras file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            configuration = json.loads(archive.read(CONFIGURATION))
            archive.getinfo(WEIGHTS)
    except (KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise ModelFault(f"{file.name} is no Keras file: {error}.") from None
    waiting = [configuration]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            _check(one, file)
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _check(one: dict[str, Any], file: Path) -> None:
    module, name = one.get("module"), one.get("class_name")
    own = module is None or (isinstance(module, str) and (module + ".").startswith("keras."))
    if "class_name" in one and (not own or name in CODE):
        told = f"{module}.{name}" if module else str(name)
        raise ModelFault(
            f"{file.name} names {told[:100]!r}, which is code; expected layers of Keras itself.",
            hint="convert the model to ONNX",
        )
