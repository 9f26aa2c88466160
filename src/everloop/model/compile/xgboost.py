"""XGBoost's tree boosters as a `ScoreForm`, read from the JSON that the library itself saves.

XGBoost rounds its input to float32 once, and compares and adds in float32, the base score first.
"""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.compile.form import LESS, Floats, Link, ScoreForm, Tree

_LINKS: dict[str, Link] = {
    "binary:logistic": "sigmoid",
    "reg:logistic": "sigmoid",
    "multi:softprob": "softmax",
    "multi:softmax": "softmax",
    "reg:squarederror": "identity",
    "reg:squaredlogerror": "identity",
    "reg:absoluteerror": "identity",
    "reg:quantileerror": "identity",
    "reg:pseudohubererror": "identity",
    "count:poisson": "exp",
    "reg:gamma": "exp",
    "reg:tweedie": "exp",
}


def xgboost_form(estimator: Any) -> ScoreForm:
    """Reads an `XGBClassifier`, an `XGBRegressor` or a `Booster`, up to its best iteration."""
    _require_nan_missing(estimator)
    booster = estimator.get_booster() if hasattr(estimator, "get_booster") else estimator
    learner = json.loads(booster.save_raw("json"))["learner"]
    objective = learner["objective"]["name"]
    if objective not in _LINKS:
        raise ModelFault(
            f"An XGBoost model with objective {objective!r} has no compiled form; "
            f"known are {', '.join(sorted(_LINKS))}.",
            hint="train with one of these objectives",
        )
    link = _LINKS[objective]
    parameters = learner["learner_model_param"]
    outputs = max(int(parameters["num_class"]), 1)
    if int(parameters.get("num_target", "1")) > 1:
        raise ModelFault("This XGBoost model predicts several targets at once; a package answers with one.")
    return ScoreForm(
        width=int(parameters["num_feature"]),
        outputs=outputs,
        link=link,
        trees=tuple(_trees(learner)),
        bias=tuple(_base_margin(parameters["base_score"], link, outputs)),
        column=1 if link == "softmax" and outputs == 2 else None,
        float32_input=True,
        float32_sums=True,
    )


def _require_nan_missing(estimator: Any) -> None:
    missing = getattr(estimator, "missing", None)
    if missing is not None and not math.isnan(missing):
        raise ModelFault(
            f"This XGBoost model reads {missing!r} as missing; a package knows only null as missing.",
            hint="train with missing=nan",
        )


def _base_margin(text: str, link: Link, outputs: int) -> Floats:
    """Reads the base score, which is kept on the scale of the answer, as what is added to the sums."""
    value = json.loads(text)
    score = np.atleast_1d(np.asarray(value, dtype=np.float32))
    if link == "sigmoid":
        score = -np.log(np.float32(1) / score - np.float32(1))
    elif link == "exp":
        score = np.log(score)
    return np.broadcast_to(score.astype(np.float64), (outputs,))


def _trees(learner: dict[str, Any]) -> list[Tree]:
    booster = learner["gradient_booster"]
    if booster["name"] not in {"gbtree", "dart"}:
        raise ModelFault(
            f"An XGBoost model with booster {booster['name']!r} has no compiled form.",
            hint="train with booster='gbtree'",
        )
    weights = booster.get("weight_drop")
    model = booster["gbtree"]["model"] if "gbtree" in booster else booster["model"]
    last = len(model["trees"])
    best = learner["attributes"].get("best_iteration")
    if best is not None:
        last = model["iteration_indptr"][int(best) + 1]
    return [
        _tree(model["trees"][index], model["tree_info"][index], weights[index] if weights else 1.0)
        for index in range(last)
    ]


def _tree(raw: dict[str, Any], target: int, weight: float) -> Tree:
    left = np.array(raw["left_children"], dtype=np.int64)
    if any(raw["split_type"]):
        raise ModelFault(
            "An XGBoost model with categorical columns has no compiled form.",
            hint="encode categories as numbers and train with enable_categorical=False",
        )
    if int(raw["tree_param"]["size_leaf_vector"]) > 1:
        raise ModelFault(
            "An XGBoost model with multi_strategy='multi_output_tree' has no compiled form.",
            hint="train with multi_strategy='one_output_per_tree'",
        )
    conditions = np.array(raw["split_conditions"], dtype=np.float32)
    return Tree(
        target=target,
        feature=np.array(raw["split_indices"], dtype=np.int64),
        threshold=conditions.astype(np.float64),
        left=left,
        right=np.where(left < 0, -1, np.array(raw["right_children"], dtype=np.int64)),
        missing_left=np.array(raw["default_left"], dtype=bool),
        value=conditions.astype(np.float64) * float(np.float32(weight)),
        mode=np.full(len(left), LESS, dtype=np.uint8),
    )
