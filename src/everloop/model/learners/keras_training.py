"""Trains a Keras model on rows, always to the same weights."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.learners.network_training import (
    PATIENCE,
    Schedule,
    TrainedModule,
    kept_aside,
    lesson_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

WARM_UP = 0.05


def train_keras(
    build: Callable[[Any, int], Any],
    X: Matrix,
    y: NDArray[Any],
    weights: Matrix | None,
    *,
    task: Task,
    configuration: Mapping[str, Any],
    seed: int,
) -> TrainedModule:
    """Trains what `build` makes.

    Args:
        build: Given Keras and the number of outputs, makes a model over rows (n, width).
        X: Rows, (n, width).
        y: Class indices or numbers, (n,).
        weights: One for each row, or None.
        task: Classes are learned by cross-entropy, numbers by squared error on their own scale.
        configuration: The learner's: how long and how fast.
        seed: What chance is drawn from; NumPy's and Python's own generators are left as they were.
    """
    from everloop.core.extras import require

    keras = require("keras", extra="tensorflow")
    lesson, schedule = lesson_of(X, y, weights, task), Schedule.of(configuration)
    aside = kept_aside(lesson, seed)
    target = lesson.goal if lesson.classes is None else np.eye(lesson.outputs)[lesson.goal]
    rows = (lesson.X.astype(np.float32), target.astype(np.float32), lesson.weights.astype(np.float32))
    learned, judged = (
        tuple(one[part] for one in rows) for part in (~aside, aside if aside.any() else ~aside)
    )
    with _alone(keras, seed):
        model = build(keras, lesson.outputs)
        size = int(np.clip(len(learned[0]) // 16, 16, 512))
        steps = math.ceil(len(learned[0]) / size) * schedule.epochs
        model.compile(
            optimizer=_optimizer(keras, schedule, steps),
            loss=_loss(keras, schedule, classes=lesson.classes is not None),
        )
        _learn(model, learned, judged, schedule, size, np.random.default_rng(seed))
    return TrainedModule(model, lesson.classes, lesson.last)


def _learn(
    model: Any,
    rows: tuple[Any, ...],
    judged: tuple[Any, ...],
    schedule: Schedule,
    size: int,
    order: np.random.Generator,
) -> None:
    """Trains a model in place and leaves it at the epoch that is best on the rows kept aside."""
    best, kept, waited = math.inf, None, 0
    for _ in range(schedule.epochs):
        mixed = order.permutation(len(rows[0]))
        for start in range(0, len(mixed), size):
            x, target, weights = (one[mixed[start : start + size]] for one in rows)
            if len(x) == size or len(mixed) < size:  # another shape would be compiled anew
                model.train_on_batch(x, target, sample_weight=weights)
        model.reset_metrics()
        found = float(model.test_on_batch(judged[0], judged[1], sample_weight=judged[2]))
        waited += 1
        if found < best:
            best, kept, waited = found, model.get_weights(), 0
        if waited > max(5, PATIENCE * schedule.epochs):
            break
    if kept is not None:
        model.set_weights(kept)


def _optimizer(keras: Any, schedule: Schedule, steps: int) -> Any:
    """AdamW along a cosine, as PyTorch is told."""
    warm = max(1, round(WARM_UP * steps))
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(1, steps - warm), warmup_target=schedule.rate, warmup_steps=warm
    )
    return keras.optimizers.AdamW(rate, weight_decay=schedule.decay, beta_1=0.9, beta_2=0.95)


def _loss(keras: Any, schedule: Schedule, *, classes: bool) -> Any:
    if not classes:
        return keras.losses.MeanSquaredError()
    return keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=schedule.smoothing)


@contextmanager
def _alone(keras: Any, seed: int) -> Iterator[None]:
    """Keras draws from the generators of Python and NumPy: they are given back as they were."""
    before, ours = random.getstate(), np.random.get_state()  # noqa: NPY002  (it is what Keras seeds)
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        from everloop.core.extras import require

        require("tensorflow", extra="tensorflow").config.experimental.enable_op_determinism()
    try:
        yield
    finally:
        keras.backend.clear_session()
        random.setstate(before)
        np.random.set_state(ours)  # noqa: NPY002
