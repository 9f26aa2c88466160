"""The model of the serving benchmark as a deployment: the trees of the peers' pipeline, as two versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.peers import SCRIPTS
from everloop.data import learn
from everloop.model import package
from everloop.model.trained import Trained
from everloop.runtime.plan import NumberEncoder, OneHotEncoder, Plan, PlanInput
from everloop.runtime.routing import Arm, Routing, write_routing
from everloop.spec.frame import Frame

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

NUMBERS, CATEGORIES = 15, 5
CANARY = 0.1


def table(rows: int) -> pl.DataFrame:
    """Draws numbers and categories with missing values, and a label `y` that they decide."""
    random = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    odds = np.zeros(rows)
    for number in range(NUMBERS):
        values = random.gamma(2, 3, rows)
        odds += (number % 3 - 1) * (values - 6) / 6
        values[random.random(rows) < 0.05] = np.nan
        columns[f"n{number}"] = values
    for number in range(CATEGORIES):
        codes = random.integers(0, 4 * (number + 1), rows)
        odds += 0.3 * (codes % 3 - 1)
        texts = np.array([f"value {code}" for code in range(4 * (number + 1))], dtype=object)[codes]
        texts[random.random(rows) < 0.05] = None
        columns[f"c{number}"] = texts.tolist()
    columns["y"] = np.where(random.random(rows) < 1 / (1 + np.exp(-odds)), "yes", "no")
    return pl.DataFrame(columns, nan_to_null=True)


def make_deployment(training: pl.DataFrame, folder: Path) -> None:
    """Writes two packages of the model, and the routing of a canary between them."""
    trained, contract = _trained(_pipeline(folder / "training.json")), learn(training.drop("y"))
    for version in (1, 2):
        target = folder / f"v{version}"
        package(trained, target, sample=training.head(500), version=version, name="served", contract=contract)
    challenger = Arm(2, "v2", CANARY, "canary", "salt")
    write_routing(folder / "routing.json", Routing("served", 1, Arm(1, "v1"), challenger))


def _pipeline(training: Path) -> Pipeline:
    """Trains as every peer does, by the same script."""
    from runpy import run_path

    pipeline: Pipeline = run_path(str(SCRIPTS / "serving_model.py"))["train"](training)
    return pipeline


def _trained(pipeline: Pipeline) -> Trained:
    """Gives the pipeline's constants and trees as our own: the plan says what its steps do."""
    prepare, model = pipeline.named_steps["prepare"], pipeline.named_steps["model"]
    imputer, scaler = prepare.named_transformers_["numbers"]
    onehot = prepare.named_transformers_["categories"][-1]
    numbers = [f"n{place}" for place in range(NUMBERS)]
    encoders: list[Any] = [
        NumberEncoder(
            name,
            place,
            fill=float(imputer.statistics_[place]),
            centre=float(scaler.mean_[place]),
            scale=float(scaler.scale_[place]),
        )
        for place, name in enumerate(numbers)
    ]
    width = NUMBERS
    texts = [f"c{place}" for place in range(CATEGORIES)]
    for name, known in zip(texts, onehot.categories_, strict=True):
        encoders.append(OneHotEncoder(name, width, tuple(known)))
        width += len(known)
    inputs = tuple(PlanInput(name, "number" if name in numbers else "text") for name in (*numbers, *texts))
    frame = Frame(
        task="binary",
        target="y",
        classes=("no", "yes"),
        positive="yes",
        metric="roc_auc",
        entity=None,
        time=None,
        label_time=None,
        label_delay_seconds=None,
        sensitive=(),
        excluded={},
        inputs=(*numbers, *texts),
        reasons={},
    )
    plan = Plan(inputs=inputs, encoders=tuple(encoders), width=width)
    return Trained(frame, plan, "lightgbm", {}, model, threshold=0.5, threshold_reason="an even chance")
