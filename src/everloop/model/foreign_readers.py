"""What reads each kind of model file: one function a kind, and the table of them."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from everloop.core.errors import ModelFault
from everloop.model.foreign_words import damaged

AS_GRAPH = "torch.onnx.export(module, rows, 'model.onnx'); everloop package model.onnx"


def _skops(file: Path, _: tuple[str, ...]) -> Any:
    from everloop.model.estimator_file import load_estimator

    return load_estimator(file)


def _catboost(file: Path, _: tuple[str, ...]) -> Any:
    from everloop.core.extras import require

    package = require("catboost", extra="catboost")
    try:
        found = package.CatBoost().load_model(str(file))
        known = json.loads(dict(found.get_metadata()).get("class_params", "{}"))
        kind = package.CatBoostClassifier if known.get("class_names") else package.CatBoostRegressor
        return kind().load_model(str(file))
    except package.CatBoostError as error:
        raise damaged(file, error) from error


def _xgboost(file: Path, _: tuple[str, ...]) -> Any:
    from everloop.core.extras import require

    package = require("xgboost", extra="train")
    try:
        booster = package.Booster(model_file=str(file))
        objective = json.loads(booster.save_config())["learner"]["objective"]["name"]
        chances = objective.startswith(("binary:", "multi:"))
        kind = package.XGBClassifier if chances else package.XGBRegressor
        found = kind()
        found.load_model(str(file))
    except package.core.XGBoostError as error:
        raise damaged(file, error) from error
    return found


def _onnx(file: Path, classes: tuple[str, ...]) -> Any:
    from everloop.model.foreign_graph import GivenGraph

    return GivenGraph(file.read_bytes(), classes)


def _saved_model(file: Path, classes: tuple[str, ...]) -> Any:
    from everloop.model.foreign_graph import GivenGraph
    from everloop.model.saved_model.reading import read_saved_model

    found = read_saved_model(file)
    return GivenGraph(found.content, classes, columns=found.columns, single=found.single)


def _keras(file: Path, classes: tuple[str, ...]) -> Any:
    from everloop.core.extras import require
    from everloop.model.foreign_network import network_of
    from everloop.model.keras_file import refuse_code

    refuse_code(file)
    keras = require("keras", extra="tensorflow")
    return network_of(keras.saving.load_model(file, compile=False, safe_mode=True), classes)


def _torchserve(file: Path, classes: tuple[str, ...]) -> Any:
    """Reads the graph of an archive; its handler, which is code, is neither run nor brought along."""
    from everloop.model.foreign_graph import GivenGraph

    try:
        with zipfile.ZipFile(file) as archive:
            said = json.loads(archive.read("MAR-INF/MANIFEST.json"))
            name = str(said["model"]["serializedFile"])
            if not name.lower().endswith(".onnx"):
                raise ModelFault(f"its model {name} is no ONNX graph.", hint=AS_GRAPH)
            return GivenGraph(archive.read(name), classes)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise damaged(file, error) from error


READERS: dict[str, Callable[[Path, tuple[str, ...]], Any]] = {
    ".skops": _skops,
    ".cbm": _catboost,
    ".ubj": _xgboost,
    ".json": _xgboost,
    ".onnx": _onnx,
    ".keras": _keras,
    ".mar": _torchserve,
    ".pb": _saved_model,
}
"""What reads each kind of file."""
