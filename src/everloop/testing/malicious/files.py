"""Model files of other libraries that were made to do harm, for whatever reads such files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from everloop.model.foreign_file import SAVED_MODEL
from everloop.testing.malicious.graphs import GRAPH_ATTACKS, Graph
from everloop.testing.malicious.payload import (
    bomb,
    claiming_array,
    linked,
    lying_bomb,
    pickled,
    zipped,
)
from everloop.testing.malicious.saved_models import SAVED_MODEL_ATTACKS

DEEP = 1_000_000
KINDS = (
    *(".skops", ".cbm", ".ubj", ".json", ".onnx", ".keras"),
    *(".pkl", ".joblib", ".pt", ".pt2", ".pth", ".mar", ".bin", ".h5", ".npz", ".zip", ""),
)
"""Endings under which a pickle is handed over."""


@dataclass(frozen=True)
class FileAttack:
    """A harmful file.

    Attributes:
        name: What it is called.
        content: Gives its bytes.
        beside: Gives what lies beside it, by its path from there.
    """

    name: str
    content: Callable[[], bytes]
    beside: Callable[[], Mapping[str, bytes]] = dict

    def write(self, folder: Path) -> Path:
        """Writes it into a folder that is not there yet; gives where it is."""
        for name, content in {self.name: self.content(), **self.beside()}.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / self.name

    def named(self, path: Path) -> str:
        """Gives what a refusal names: the file; of a SavedModel its folder, since all files are called alike.

        Args:
            path: Where it was written.
        """
        return str(path.parent) if self.name == SAVED_MODEL else self.name


def _torch() -> bytes:
    """Gives what `torch.save` writes: a zip file whose `data.pkl` is a pickle."""
    return zipped({"archive/data.pkl": pickled(2), "archive/version": b"3\n", "archive/data/0": b"\0" * 8})


def _mar() -> bytes:
    """Gives a TorchServe archive with a handler in it."""
    manifest = {"model": {"modelName": "m", "serializedFile": "model.pt", "handler": "handler.py"}}
    return zipped(
        {
            "MAR-INF/MANIFEST.json": json.dumps(manifest).encode(),
            "handler.py": b"import os; os.system('true')",
            "model.pt": _torch(),
            "../../outside.py": b"",
        }
    )


def _skops(schema: object, **parts: bytes) -> bytes:
    return zipped({"schema.json": json.dumps(schema).encode(), **parts})


def _named(module: str, name: str, loader: str = "FunctionNode") -> bytes:
    """Gives a skops file that names a function of the system's."""
    node = {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 1}
    return _skops(node | {"content": name, "protocol": 2, "_skops_version": "0.13.0"})


def _reduced() -> bytes:
    arguments = {"__class__": "tuple", "__module__": "builtins", "__loader__": "TupleNode", "__id__": 2,
                 "content": []}  # fmt: skip
    return _skops(
        {"__class__": "system", "__module__": "posix", "__loader__": "ReduceNode", "__id__": 1, "protocol": 2,
         "content": {"args": arguments}, "args": arguments, "content_": None, "_skops_version": "0.13.0"}
    )  # fmt: skip


def _array_node(file: str) -> dict[str, object]:
    return {"__class__": "ndarray", "__module__": "numpy", "__loader__": "NdArrayNode", "type": "numpy",
            "file": file, "__id__": 1, "protocol": 2, "_skops_version": "0.13.0"}  # fmt: skip


def _keras(config: object, **parts: bytes) -> bytes:
    return zipped(
        {
            "config.json": json.dumps(config).encode(),
            "metadata.json": b'{"keras_version": "3.0.0"}',
            "model.weights.h5": b"",
            **parts,
        }
    )


def _layer(module: str, name: str, **config: object) -> dict[str, object]:
    inside = {"module": module, "class_name": name, "config": config, "registered_name": None}
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [inside]},
            "registered_name": None}  # fmt: skip


def _built(shape: list[int | None]) -> dict[str, object]:
    """Gives a small layer, beside which a shape is written that Keras builds it by."""
    dense = {"module": "keras.layers", "class_name": "Dense", "config": {"units": 4},
             "build_config": {"input_shape": shape}, "registered_name": None}  # fmt: skip
    return {"module": "keras", "class_name": "Sequential", "config": {"name": "s", "layers": [dense]},
            "registered_name": None}  # fmt: skip


_DEEP_JSON = b'{"learner":' * DEEP
_DEEP_UBJ = b"{L\0\0\0\0\0\0\0\x07learner" * (DEEP // 4)


def _graph(make: Graph) -> FileAttack:
    return FileAttack("model.onnx", lambda: make(3, 1))


FILE_ATTACKS: dict[str, FileAttack] = {
    **{f"pickle as {kind or 'nothing'}": FileAttack(f"model{kind}", pickled) for kind in KINDS},
    **{f"torch's file as {kind or 'nothing'}": FileAttack(f"model{kind}", _torch) for kind in KINDS},
    "archive of torchserve": FileAttack("model.mar", _mar),
    "archive of torchserve as keras": FileAttack("model.keras", _mar),
    "archive of torchserve as skops": FileAttack("model.skops", _mar),
    # skops
    "skops that names the shell": FileAttack("model.skops", lambda: _named("posix", "system")),
    "skops that names eval": FileAttack("model.skops", lambda: _named("builtins", "eval")),
    "skops that imports": FileAttack("model.skops", lambda: _named("antigravity", "fly", "TypeNode")),
    "skops that reduces": FileAttack("model.skops", _reduced),
    "skops of objects": FileAttack(
        "model.skops",
        lambda: _skops(_array_node("a.npy"), **{"a.npy": claiming_array((1,), "|O") + pickled()}),
    ),
    "skops with an array larger than memory": FileAttack(
        "model.skops", lambda: _skops(_array_node("a.npy"), **{"a.npy": claiming_array((2**43,))})
    ),
    "skops with a path outside": FileAttack(
        "model.skops", lambda: _skops(_array_node("../../a.npy"), **{"../../a.npy": claiming_array((1,))})
    ),
    "skops bomb": FileAttack("model.skops", lambda: bomb("schema.json", 2**33 // 4)),
    "skops bomb that lies": FileAttack("model.skops", lambda: lying_bomb("schema.json", 2**28)),
    "skops that is deep": FileAttack(
        "model.skops", lambda: zipped({"schema.json": b'{"content":' * 100_000 + b"1" + b"}" * 100_000})
    ),
    "skops with a link": FileAttack("model.skops", lambda: linked("schema.json", "/etc/passwd", {})),
    # Keras
    "keras with code": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.layers", "Lambda", function=["4wEAAAA=", None, None]))
    ),
    "keras that imports": FileAttack("model.keras", lambda: _keras(_layer("os", "system", command="true"))),
    "keras that calls a function": FileAttack(
        "model.keras",
        lambda: _keras(
            {"module": "builtins", "class_name": "function", "config": "eval", "registered_name": "function"}
        ),
    ),
    "keras with a path outside": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.layers", "Dense", units=1), **{"../outside": b"x"})
    ),
    "keras with an archive within": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.layers", "Dense", units=1), **{"assets/a.txt": b"x"})
    ),
    # CVE-2025-8747: a function of Keras' own that fetches a file and writes it anywhere
    "keras that fetches": FileAttack(
        "model.keras",
        lambda: _keras(
            _layer("keras.utils", "get_file", fname="f", origin="http://127.0.0.1:9/x", cache_dir="x")
        ),
    ),
    # CVE-2025-9906: one that switches the safe mode off for what comes after it
    "keras that ends its safe mode": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.config", "enable_unsafe_deserialization"))
    ),
    "keras of a private module": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.src.utils.file_utils", "get_file", fname="f"))
    ),
    # CVE-2025-12058: a vocabulary is read from any path, or address
    "keras that reads a file": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"))
    ),
    "keras with a lambda": FileAttack(
        "model.keras",
        lambda: _keras(
            _layer(
                "keras.layers",
                "Activation",
                activation={"class_name": "__lambda__", "config": {"value": "4wEAAAA="}},
            )
        ),
    ),
    "keras of a registered class": FileAttack(
        "model.keras",
        lambda: _keras(_layer("keras.layers", "Dense", units=1) | {"registered_name": "own>Layer"}),
    ),
    "keras of a layer larger than memory": FileAttack(
        "model.keras",
        lambda: _keras(_layer("keras.layers", "Dense", units=2**40, activation="linear")),
    ),
    "keras built larger than memory": FileAttack("model.keras", lambda: _keras(_built([None, 2**40]))),
    "keras of a size that is none": FileAttack(
        "model.keras", lambda: _keras(_layer("keras.layers", "Dense", units="many"))
    ),
    "keras bomb": FileAttack("model.keras", lambda: bomb("config.json", 2**33 // 4)),
    "keras bomb that lies": FileAttack("model.keras", lambda: lying_bomb("config.json", 2**28)),
    "keras with a link": FileAttack("model.keras", lambda: linked("model.weights.h5", "/etc/passwd", {})),
    "keras that is deep": FileAttack(
        "model.keras", lambda: zipped({"config.json": b'{"config":' * DEEP + b"1" + b"}" * DEEP})
    ),
    # XGBoost, CatBoost
    "deep JSON": FileAttack("model.json", lambda: _DEEP_JSON),
    "deep lists": FileAttack("model.json", lambda: b"[" * DEEP),
    "deep UBJSON": FileAttack("model.ubj", lambda: _DEEP_UBJ),
    "deep lists of UBJSON": FileAttack("model.ubj", lambda: b"[" * DEEP),
    "UBJSON that claims much": FileAttack("model.ubj", lambda: b"{L" + (2**62).to_bytes(8, "big") + b"a"),
    "UBJSON of a huge array": FileAttack(
        "model.ubj", lambda: b"{L\0\0\0\0\0\0\0\x01a[$d#L" + (2**60).to_bytes(8, "big")
    ),
    "CatBoost that claims much": FileAttack("model.cbm", lambda: b"CBM1" + b"\xff\xff\xff\x7f" + b"\0" * 64),
    "CatBoost of noise": FileAttack("model.cbm", lambda: b"CBM1" + b"\x40\0\0\0" + b"\xff" * 64),
    # ONNX
    **{f"graph: {name}": _graph(make) for name, make in GRAPH_ATTACKS.items() if name != "another width"},
    # TensorFlow
    **{f"saved model {name}": FileAttack(SAVED_MODEL, *parts) for name, parts in SAVED_MODEL_ATTACKS.items()},
    "graph that is text": FileAttack("model.onnx", lambda: b"location" * 100),
}
"""What each attack is -> the file."""
