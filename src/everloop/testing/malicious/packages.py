"""Packages that were made to do harm, each from one that is well; digests are as a maker would set them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from everloop.core.digest import digest_file
from everloop.runtime.manifest import MANIFEST_NAME, OUTSIDE_MANIFEST
from everloop.testing.malicious.graphs import GRAPH_ATTACKS, Graph, one_node
from everloop.testing.malicious.patterns import REFUSED_PATTERNS
from everloop.testing.malicious.payload import (
    bomb,
    claiming_array,
    lying_bomb,
    pickled,
    pickled_arrays,
    zipped,
)

DEEP = 200_000


@dataclass(frozen=True)
class PackageAttack:
    """A change that makes a package harmful.

    Attributes:
        change: Is given the folder of a package that is well.
        named: The file that a refusal names, in its message or its place.
        sealed: Whether the manifest is given the digests of the files as they are then, as a maker would.
    """

    change: Callable[[Path], None]
    named: str
    sealed: bool = True

    def apply(self, folder: Path) -> None:
        """Makes the package in a folder harmful."""
        self.change(folder)
        if self.sealed:
            seal(folder)


def seal(folder: Path) -> None:
    """Gives the manifest the digests of what lies in the folder."""
    files = {
        path.name: digest_file(path)
        for path in sorted(folder.iterdir())
        if path.name not in OUTSIDE_MANIFEST and path.is_file() and not path.is_symlink()
    }
    edit(folder, MANIFEST_NAME, files=files)


def edit(folder: Path, name: str, **changes: Any) -> None:
    """Changes keys of a JSON file."""
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def _writes(name: str, content: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda folder: _written(folder / name, content if isinstance(content, bytes) else content())


def _written(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def _with_text(name: str, change: Callable[[str], str]) -> Callable[[Path], None]:
    return lambda folder: _written(folder / name, change((folder / name).read_text()).encode())


def with_pattern(pattern: str) -> Callable[[Path], None]:
    """Gives what adds a pattern to a contract's column `region`."""

    def change(folder: Path) -> None:
        columns = json.loads((folder / "contract.json").read_bytes())["columns"]
        edit(folder, "contract.json", columns=[
            {"name": "region", "type": "text", "pattern": pattern} if one["name"] == "region" else one
            for one in columns
        ])  # fmt: skip

    return change


def _doubled(key: str) -> Callable[[str], str]:
    """Says a key twice: what is read depends on the reader."""
    return lambda text: text.rstrip()[:-1] + f', "{key}": {json.dumps(json.loads(text)[key])}}}'


def _deep(key: str) -> Callable[[str], str]:
    return lambda text: text.rstrip()[:-1] + f', "{key}": {"[" * DEEP}{"]" * DEEP}}}'


def _constant(word: str) -> Callable[[str], str]:
    return lambda text: text.rstrip()[:-1] + f', "metrics": {{"roc_auc": {word}}}}}'


def _listed(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        files = json.loads((folder / MANIFEST_NAME).read_bytes())["files"]
        edit(folder, MANIFEST_NAME, files=files | {name: "0" * 64})

    return change


def _unlisted(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        files = json.loads((folder / MANIFEST_NAME).read_bytes())["files"]
        del files[name]
        edit(folder, MANIFEST_NAME, files=files)

    return change


def _linked(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        target = folder.parent / f"{folder.name}-{name}-elsewhere"
        (folder / name).rename(target)
        (folder / name).symlink_to(target)

    return change


def _pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def _sparse(name: str, size: int) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        with (folder / name).open("r+b") as file:
            file.truncate(size)

    return change


def _folder(folder: Path) -> None:
    (folder / "deeper").mkdir()
    (folder / "deeper" / "score.onnx").write_bytes(b"")


def _plan(**changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder, "plan.json", **changes)


def _derived(expression: Any) -> Callable[[Path], None]:
    return _plan(derived=[{"name": "derived", "expression": expression}])


def _nested_expression(depth: int) -> Any:
    tree: Any = {"kind": "column", "name": "amount", "type": "number"}
    for _ in range(depth):
        tree = {"kind": "call", "operator": "negate", "arguments": [tree], "type": "number"}
    return {"sql": "-amount", "tree": tree}


def _graph(make: Graph) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        width = json.loads((folder / "plan.json").read_bytes())["width"]
        (folder / "score.onnx").write_bytes(make(width, 1))

    return change


def _swapped(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(bytes(content))

    return change


_GRID = {
    "kind": "grid",
    "column": "amount",
    "offset": 0,
    "rows": 2048,
    "columns": 2048,
    "channels": 1,
    "low": 0.0,
    "high": 1.0,
    "centre": 0.0,
    "scale": 1.0,
}
_CODE = {"kind": "call", "operator": "__import__", "arguments": [], "type": "number"}
_WIDE = [_GRID | {"offset": at * 2048 * 2048} for at in range(4_000)]

PACKAGE_ATTACKS: dict[str, PackageAttack] = {
    # Pickles, which run what is in them.
    **{
        f"pickle as {name}": PackageAttack(_writes(name, pickled), name)
        for name in ("model.pkl", "notes.bin", "pipeline.skops", "model.onnx", "card.html", "MLmodel",
                     "reference.json", "explain.npz", "score.onnx", "plan.json", "contract.json",
                     "features.json")
    },
    "pickle of the first protocol": PackageAttack(
        _writes("reference.json", pickled(0)), "reference.json"
    ),
    "pickle as manifest": PackageAttack(_writes(MANIFEST_NAME, pickled), MANIFEST_NAME, sealed=False),
    "pickled arrays": PackageAttack(
        _writes("explain.npz", lambda: pickled_arrays("columns", "values")), "explain.npz"
    ),
    "script": PackageAttack(_writes("run.py", b"import os"), "run.py"),
    "library": PackageAttack(_writes("score.so", b"\x7fELF"), "score.so"),
    # Paths.
    **{
        f"path {name!r}": PackageAttack(_listed(name), MANIFEST_NAME, sealed=False)
        for name in ("../plan.json", "/etc/passwd", "a/../../b.json", "..\\plan.json", "C:\\x.json",
                     ".hidden", "a\x00b.json", "plan.json/", "", ".", "~/x.json", "a" * 4_000)
    },
    "path of a file that is not there": PackageAttack(_listed("x.json"), "x.json", sealed=False),
    "link": PackageAttack(_linked("plan.json"), "plan.json", sealed=False),
    "link as graph": PackageAttack(_linked("score.onnx"), "score.onnx", sealed=False),
    "link as manifest": PackageAttack(_linked(MANIFEST_NAME), MANIFEST_NAME, sealed=False),
    "pipe that nobody writes to": PackageAttack(_pipe("plan.json"), "plan.json", sealed=False),
    "folder inside": PackageAttack(_folder, "deeper"),
    # Digests.
    "digest list without the graph": PackageAttack(_unlisted("score.onnx"), "score.onnx", sealed=False),
    "digest list without the plan": PackageAttack(_unlisted("plan.json"), "plan.json", sealed=False),
    "digest list without the reasons": PackageAttack(_unlisted("explain.npz"), "explain.npz", sealed=False),
    "changed plan": PackageAttack(_swapped("plan.json"), "plan.json", sealed=False),
    "changed graph": PackageAttack(_swapped("score.onnx"), "score.onnx", sealed=False),
    "changed reasons": PackageAttack(_swapped("explain.npz"), "explain.npz", sealed=False),
    "no digests": PackageAttack(lambda f: edit(f, MANIFEST_NAME, files={}), MANIFEST_NAME, sealed=False),
    # Sizes.
    "huge plan": PackageAttack(_sparse("plan.json", 2**34), "plan.json", sealed=False),
    "huge manifest": PackageAttack(_sparse(MANIFEST_NAME, 2**34), MANIFEST_NAME, sealed=False),
    "huge graph": PackageAttack(_sparse("score.onnx", 2**36), "score.onnx", sealed=False),
    "zip bomb": PackageAttack(_writes("explain.npz", lambda: bomb("columns.npy", 2**28)), "explain.npz"),
    "zip bomb that lies": PackageAttack(
        _writes("explain.npz", lambda: lying_bomb("columns.npy", 2**28)), "explain.npz"
    ),
    "array larger than memory": PackageAttack(
        _writes("explain.npz", lambda: zipped({"columns.npy": claiming_array((2**43,)), "values.npy": b""})),
        "explain.npz",
    ),
    "array whose size overflows": PackageAttack(
        _writes("explain.npz", lambda: zipped({"columns.npy": claiming_array((2**40, 2**40))})), "explain.npz"
    ),
    "array outside its archive": PackageAttack(
        _writes("explain.npz", lambda: zipped({"../columns.npy": claiming_array((1,)), "columns.npy": b""})),
        "explain.npz",
    ),
    # JSON.
    "deep manifest": PackageAttack(
        _with_text(MANIFEST_NAME, _deep("lineage")), MANIFEST_NAME, sealed=False
    ),
    **{
        f"deep {name}": PackageAttack(_writes(name, b'{"a":' * DEEP + b"1" + b"}" * DEEP), name)
        for name in ("plan.json", "contract.json", "features.json")
    },
    "a name twice in the manifest": PackageAttack(
        _with_text(MANIFEST_NAME, _doubled("files")), MANIFEST_NAME, sealed=False
    ),
    "a name twice in the plan": PackageAttack(_with_text("plan.json", _doubled("encoders")), "plan.json"),
    "a name twice in the contract": PackageAttack(
        _with_text("contract.json", _doubled("columns")), "contract.json"
    ),
    **{
        f"{word} in the manifest": PackageAttack(
            _with_text(MANIFEST_NAME, _constant(word)), MANIFEST_NAME, sealed=False
        )
        for word in ("NaN", "Infinity", "-Infinity", "1e999")
    },
    "threshold beyond numbers": PackageAttack(
        lambda f: edit(f, MANIFEST_NAME, threshold=10**400), MANIFEST_NAME
    ),
    "unknown key": PackageAttack(lambda f: edit(f, MANIFEST_NAME, execute="rm"), MANIFEST_NAME),
    "newer form": PackageAttack(lambda f: edit(f, MANIFEST_NAME, format=99), MANIFEST_NAME),
    # Plans, contracts and features.
    "plan of too many slots": PackageAttack(_plan(width=2**60), "plan.json"),
    "plan of many grids": PackageAttack(_plan(encoders=_WIDE, width=len(_WIDE) * 2048 * 2048), "plan.json"),
    "plan of negative slots": PackageAttack(_plan(width=-1), "plan.json"),
    "plan of an unknown kind": PackageAttack(_plan(encoders=[{"kind": "exec", "column": "x"}]), "plan.json"),
    "expression that is code": PackageAttack(_derived({"sql": "x", "tree": _CODE}), "plan.json"),
    "expression that is text": PackageAttack(_derived("__import__('os').system('x')"), "plan.json"),
    "deep expression": PackageAttack(_derived(_nested_expression(300)), "plan.json"),
    "contract of an unknown rule": PackageAttack(
        lambda f: edit(f, "contract.json", rules=[{"exec": "x"}]), "contract.json"
    ),
    **{
        f"contract whose pattern {what}": PackageAttack(with_pattern(pattern), "contract.json")
        for what, pattern in REFUSED_PATTERNS.items()
    },
    "contract that is a list": PackageAttack(_writes("contract.json", b"[1]"), "contract.json"),
    "features that are code": PackageAttack(
        _writes("features.json", b'{"format": 1, "features": [{"python": "os:system"}], "sources": {}}'),
        "features.json",
    ),
    # Graphs.
    **{
        name: PackageAttack(_graph(make), "score.onnx")
        for name, make in GRAPH_ATTACKS.items()
    },
    "graph that is text": PackageAttack(_writes("score.onnx", b"\x08\x08" + b"location" * 100), "score.onnx"),
    "graph of nothing": PackageAttack(_writes("score.onnx", b""), "score.onnx"),
    # The last one: what cannot be stopped goes on until its process ends.
    "work of a minute in one operator": PackageAttack(_graph(one_node), "score.onnx"),
}  # fmt: skip
"""What each attack is -> how it is made of a package that is well, with one score a row."""
