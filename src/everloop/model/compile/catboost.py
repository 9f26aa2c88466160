"""CatBoost's trees as a `ScoreForm`, read from the JSON that the library itself saves.

CatBoost rounds its input to float32, asks ``value > border`` with a border in float32, and adds the
leaves in doubles. A missing value answers no to every question, unless training put it above all.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import LESS_OR_EQUAL, Floats, Link, ScoreForm, Tree

_LINKS: dict[str, Link] = {
    "Logloss": "sigmoid",
    "CrossEntropy": "sigmoid",
    "MultiClass": "softmax",
    "MultiClassOneVsAll": "sigmoid",
    "RMSE": "identity",
    "MAE": "identity",
    "Quantile": "identity",
    "Huber": "identity",
    "LogCosh": "identity",
    "Lq": "identity",
    "MAPE": "identity",
    "Poisson": "exp",
    "Tweedie": "exp",
}


def catboost_form(estimator: Any) -> ScoreForm:
    """Reads a `CatBoostClassifier` or a `CatBoostRegressor`, of any growing policy."""
    saved = _saved(estimator)
    loss = str(saved["model_info"]["params"]["loss_function"]["type"])
    if loss not in _LINKS:
        raise ModelFault(
            f"A CatBoost model with the loss {loss!r} has no compiled form; "
            f"known are {', '.join(sorted(_LINKS))}.",
            hint="train with one of these losses",
        )
    columns = _columns(saved)
    scale, bias = saved["scale_and_bias"]
    outputs = len(bias)
    return ScoreForm(
        width=len(estimator.feature_names_),
        outputs=outputs,
        link=_LINKS[loss],
        trees=tuple(_trees(saved, columns, outputs, float(scale))),
        bias=tuple(float(number) for number in bias),
        column=1 if loss == "MultiClass" and outputs == 2 else None,
        float32_input=True,
    )


def _saved(estimator: Any) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.json"
        estimator.save_model(str(path), format="json")
        saved: dict[str, Any] = json.loads(path.read_bytes())
    return saved


def _columns(saved: dict[str, Any]) -> dict[int, tuple[int, bool]]:
    """Gives, for each of CatBoost's numbers of a feature, its column and whether missing values go left."""
    features = saved["features_info"]
    other = sorted(kind for kind in features if kind.endswith("_features") and kind != "float_features")
    if other and any(features[kind] for kind in other):
        raise ModelFault(
            f"A CatBoost model with {', '.join(other).replace('_', ' ')} has no compiled form.",
            hint="encode them as numbers and train without cat_features, text_features, embedding_features",
        )
    return {
        int(one["feature_index"]): (int(one["flat_feature_index"]), one["nan_value_treatment"] != "AsTrue")
        for one in features["float_features"]
    }


def _trees(
    saved: dict[str, Any], columns: dict[int, tuple[int, bool]], outputs: int, scale: float
) -> list[Tree]:
    """Gives a tree for each output of each of CatBoost's, in CatBoost's order."""
    grown = [_oblivious(raw, outputs) for raw in saved.get("oblivious_trees", ())]
    grown += [_grown(raw, outputs) for raw in saved.get("trees", ())]
    return [tree for nodes in grown for tree in _by_output(nodes, columns, outputs, scale)]


class _Nodes:
    """A tree's nodes as they are met; a leaf has no question."""

    def __init__(self) -> None:
        self.splits: list[dict[str, Any] | None] = []
        self.left: list[int] = []
        self.right: list[int] = []
        self.values: list[Any] = []

    def add(self, split: dict[str, Any] | None, value: Any) -> int:
        self.splits.append(split)
        self.left.append(-1)
        self.right.append(-1)
        self.values.append(value)
        return len(self.splits) - 1


def _oblivious(raw: dict[str, Any], outputs: int) -> _Nodes:
    """Lays a tree that asks one question a level out as a heap: the last question is asked first."""
    splits = raw.get("splits") or []
    leaves = np.array(raw["leaf_values"], dtype=np.float64).reshape(-1, outputs)
    nodes = _Nodes()
    nothing = np.zeros(outputs)
    for level, split in enumerate(reversed(splits)):
        for _ in range(2**level):
            place = nodes.add(split, nothing)
            nodes.left[place], nodes.right[place] = 2 * place + 1, 2 * place + 2
    for value in leaves:
        nodes.add(None, value)
    return nodes


def _grown(raw: dict[str, Any], outputs: int) -> _Nodes:
    """Lays a tree that was grown leaf by leaf out; its right side is that of a yes."""
    nodes = _Nodes()
    waiting = [(raw, -1, nodes.left)]
    while waiting:
        part, parent, side = waiting.pop()
        place = nodes.add(part.get("split"), np.broadcast_to(np.array(part.get("value", 0.0)), (outputs,)))
        if parent >= 0:
            side[parent] = place
        if "split" in part:
            waiting += [(part["right"], place, nodes.right), (part["left"], place, nodes.left)]
    return nodes


def _by_output(nodes: _Nodes, columns: dict[int, tuple[int, bool]], outputs: int, scale: float) -> list[Tree]:
    for split in nodes.splits:
        if split is not None and split["split_type"] != "FloatFeature":
            raise ModelFault(
                f"A CatBoost model with splits of the type {split['split_type']} has no compiled form.",
                hint="encode categories as numbers and train without cat_features",
            )
    asked = [(0, True) if one is None else columns[int(one["float_feature_index"])] for one in nodes.splits]
    borders: Floats = np.array([0.0 if one is None else one["border"] for one in nodes.splits])
    values = np.array(nodes.values, dtype=np.float64) * scale
    return [
        Tree(
            target=target,
            feature=np.array([column for column, _ in asked], dtype=np.int64),
            threshold=borders.astype(np.float32).astype(np.float64),
            left=np.array(nodes.left, dtype=np.int64),
            right=np.array(nodes.right, dtype=np.int64),
            missing_left=np.array([left for _, left in asked], dtype=bool),
            value=values[:, target],
            mode=np.full(len(asked), LESS_OR_EQUAL, dtype=np.uint8),
        )
        for target in range(outputs)
    ]
