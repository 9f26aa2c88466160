"""Estimators on disk: skops files, the same bytes for the same estimator, nothing executed on reading."""

from __future__ import annotations

import io
import json
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

from everloop.core.errors import ModelFault
from everloop.core.files import write_file
from everloop.runtime.python import TRUSTED_TYPES
from everloop.runtime.python import reading as runtime_reading

TRUSTED: frozenset[str] = TRUSTED_TYPES | {
    "everloop.model.ensemble.Ensemble",
    "everloop.model.estimators.cluster_centres.ClusterCentres",
    "everloop.model.estimators.cluster_exemplars.ClusterExemplars",
    "everloop.model.estimators.item_scores.ItemFactors",
    "everloop.model.estimators.item_scores.PopularItems",
    "everloop.model.estimators.item_scores.SimilarItems",
    "everloop.model.estimators.rescaled.Rescaled",
    "everloop.model.estimators.reweighed.Reweighed",
    "everloop.model.estimators.tail_detector.TailDetector",
    "everloop.model.estimators.top_items.TopItems",
    "everloop.model.foreign.Numbered",
    "everloop.model.foreign_graph.GivenGraph",
    "everloop.model.learners.knn.NearestRows",
    "everloop.model.learners.local_outlier.LocalOutliers",
    "everloop.model.learners.network.Network",
}
"""Types that an estimator file may name beside those that skops itself trusts: our own among them."""

_FIRST_DAY = (1980, 1, 1, 0, 0, 0)
_PLAIN_LOADERS = frozenset({"JsonNode", "TypeNode"})


def save_estimator(estimator: Any, path: Path) -> None:
    """Writes an estimator as a skops file.

    The same estimator gives the same bytes in any process: skops names its parts by their address
    in memory and dates them, which is taken out here.

    Args:
        estimator: A fitted scikit-learn, LightGBM or XGBoost estimator, or a pipeline of such.
        path: Where to write, usually ``estimator.skops``.

    Raises:
        StorageFull: When the disk has no room.
    """
    write_file(path, canonical_bytes(estimator_bytes(estimator)))


def load_writer() -> None:
    """Loads what reads and writes, which takes a second, once for all children."""
    import_module("skops.io")


def estimator_bytes(estimator: Any) -> bytes:
    """Gives an estimator as bytes that `estimator_of` reads, to hand it to another process."""
    import skops.io

    content: bytes = skops.io.dumps(estimator)
    return content


def load_estimator(path: Path) -> Any:
    """Reads an estimator that `save_estimator` wrote.

    Raises:
        ModelFault: When the file is missing, damaged, or names a type that is not trusted.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFault(f"The estimator {path} cannot be read: {error.strerror}.") from error
    return estimator_of(content, str(path))


def estimator_of(content: bytes, path: str = "in memory") -> Any:
    """Reads what `estimator_bytes` gave.

    Raises:
        ModelFault: When it is damaged, or names a type that is not trusted.
    """
    return runtime_reading.estimator_of(content, path, TRUSTED)


def canonical_bytes(content: bytes) -> bytes:
    """Gives a skops file with its parts numbered in order of appearance and without dates."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    numbering = _Numbering()
    schema = numbering.renumber(json.loads(parts.pop("schema.json")))
    renamed = {numbering.files.get(name, name): _without_padding(part) for name, part in parts.items()}
    renamed["schema.json"] = json.dumps(schema, separators=(",", ":")).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(renamed):
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DAY), renamed[name], zipfile.ZIP_DEFLATED, 1)
    return out.getvalue()


class _Numbering:
    """Gives each part of a skops schema a number by the order in which it is met."""

    def __init__(self) -> None:
        self.files: dict[str, str] = {}
        self._numbers: dict[int, int] = {}
        self._next = 0

    def renumber(self, node: Any) -> Any:
        """Gives the node with every id and file name replaced."""
        if isinstance(node, list):
            return [self.renumber(item) for item in node]
        if not isinstance(node, dict):
            return node
        changed = dict(node)
        if isinstance(node.get("__id__"), int):
            # Texts, numbers and types are shared or not by Python's whim, and it does not matter.
            changed["__id__"] = self._number(
                node["__id__"], shared=node.get("__loader__") not in _PLAIN_LOADERS
            )
        if isinstance(node.get("file"), str):
            name = node["file"]
            changed["file"] = self.files.setdefault(name, f"{len(self.files):06d}{Path(name).suffix}")
        rest = {key: self.renumber(value) for key, value in node.items() if key not in {"__id__", "file"}}
        return {**changed, **rest}

    def _number(self, identity: int, *, shared: bool) -> int:
        if shared and identity in self._numbers:
            return self._numbers[identity]
        self._next += 1
        if shared:
            self._numbers[identity] = self._next
        return self._next


def _without_padding(part: bytes) -> bytes:
    """Zeroes the bytes between the fields of a structured array, which hold whatever memory held."""
    if not part.startswith(b"\x93NUMPY"):
        return part
    import numpy as np

    array = np.load(io.BytesIO(part), allow_pickle=False)
    if array.dtype.names is None:
        return part
    clean = np.zeros(array.shape, dtype=array.dtype)
    for name in array.dtype.names:
        clean[name] = array[name]
    # The memory of the zeros is written as it stands, so the gaps stay zero.
    out = io.BytesIO()
    np.save(out, clean, allow_pickle=False)
    return out.getvalue()
