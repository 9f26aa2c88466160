"""A look into a `.keras` file before Keras reads it: it may hold what has a form here and nothing else.

A configuration names modules and classes that the reader imports and calls. Code may be in it
(CVE-2024-3660), or the name of a function that is none of a model: one that fetches a file, or one that
switches Keras' own safe mode off (CVE-2025-1550, CVE-2025-8747, CVE-2025-9906). So what is known is listed,
and Keras' safe mode is the second look, after this one.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from everloop.core.errors import ModelFault
from everloop.model.keras_weights import refuse_weights
from everloop.model.learners.keras_layers import KNOWN

if TYPE_CHECKING:
    from pathlib import Path

CONFIGURATION, WEIGHTS = "config.json", "model.weights.h5"
PARTS = frozenset({CONFIGURATION, WEIGHTS, "metadata.json"})
"""What a file consists of."""

CODE = frozenset(
    {"Lambda", "function", "__lambda__", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
)
"""Classes whose configuration is code, or leads to a file."""

CLASSES: dict[str | None, frozenset[str] | re.Pattern[str]] = {
    "keras": frozenset({"Sequential", "DTypePolicy"}),
    "keras.models": frozenset({"Sequential"}),
    "keras.layers": frozenset(KNOWN),
    **dict.fromkeys(
        (
            *("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies"),
            *("keras.losses", "keras.metrics", "keras.optimizers", "keras.optimizers.schedules"),
        ),
        re.compile(r"[A-Z][A-Za-z0-9]*"),
    ),
    None: frozenset({"__keras_tensor__", "__tuple__"}),
}
"""Module -> the classes of it that a configuration may name; functions, which begin small, never."""


def refuse_code(file: Path) -> None:
    """Refuses a Keras file that holds anything beyond layers that have a form here, and their numbers.

    Args:
        file: A zip file whose size unpacked was checked.

    Raises:
        ModelFault: When it does, is no Keras file, or declares more numbers than it holds.
        MissingExtra: When what reads its numbers is not installed.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            configuration = json.loads(archive.read(CONFIGURATION))
            archive.getinfo(WEIGHTS)
    except (KeyError, ValueError, RecursionError, zipfile.BadZipFile) as error:
        raise ModelFault(f"{file.name} is no Keras file: {error}.") from None
    others = [name for name in names if name not in PARTS]
    if others or len(names) > len(set(names)):
        told = repr(others[0][:100]) if others else "a part twice"
        raise ModelFault(f"{file.name} holds {told}; expected {', '.join(sorted(PARTS))}, each once.")
    for one in _parts(configuration):
        _check(one, file)
    refuse_weights(file, WEIGHTS, configuration)


def _parts(configuration: Any) -> Iterator[dict[str, Any]]:
    """Gives every object of a configuration, without recursion."""
    waiting = [configuration]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            yield one
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _check(one: dict[str, Any], file: Path) -> None:
    if "class_name" not in one:
        return
    module, name, registered = (one.get(key) for key in ("module", "class_name", "registered_name"))
    known = CLASSES.get(module) if module is None or isinstance(module, str) else None
    told = f"{module}.{name}" if module else str(name)
    if isinstance(name, str) and registered in (None, "", name):
        if name in known if isinstance(known, frozenset) else known is not None and known.fullmatch(name):
            return
        if module == "keras.layers" and name not in CODE:
            raise ModelFault(
                f"{file.name}: a Keras layer {name[:100]} has no compiled form; known are "
                f"{', '.join(sorted(KNOWN))}.",
                hint="export it to ONNX with model.export(path, format='onnx') and package the ONNX file",
            )
    raise ModelFault(
        f"{file.name} names {told[:100]!r}, which is code; expected layers of Keras itself.",
        hint="convert the model to ONNX",
    )
