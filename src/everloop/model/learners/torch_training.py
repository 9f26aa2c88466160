"""Trains a PyTorch module on rows, always to the same weights, and reads its layers as arrays."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

WARM_UP = 0.05

FACTOR_RATE = 6.0
"""Factors of columns learn this many times faster than the rest (RealMLP)."""


def train_network(
    build: Callable[[Any, int], Any],
    X: Matrix,
    y: NDArray[Any],
    weights: Matrix | None,
    *,
    task: Task,
    schedule: Schedule,
    seed: int,
) -> TrainedModule:
    """Trains what `build` makes.

    Args:
        build: Given PyTorch and the number of outputs, makes a module over rows (n, width).
        X: Rows, (n, width).
        y: Class indices or numbers, (n,).
        weights: One for each row, or None.
        task: Classes are learned by cross-entropy, numbers by squared error on their own scale.
        schedule: How long and how fast.
        seed: What chance is drawn from; PyTorch's own generators are left as they were.
    """
    from everloop.core.extras import require

    torch = require("torch", extra="torch")
    lesson = lesson_of(X, y, weights, task)
    with _alone(torch, seed):
        module = build(torch, lesson.outputs)
        aside = kept_aside(lesson, seed)
        rows = [
            _Rows.of(torch, lesson.X[part], lesson.goal[part], lesson.weights[part])
            for part in (~aside, aside)
        ]
        _learn(torch, module, rows[0], rows[1] if aside.any() else rows[0], schedule)
    return TrainedModule(module, lesson.classes, lesson.last)


@contextmanager
def _alone(torch: Any, seed: int) -> Iterator[None]:
    """One thread and a generator of its own: sums come in one order, and nobody else's chance is used up."""
    before = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows as tensors; a goal of integers is a class."""

    x: Any
    goal: Any
    weight: Any

    @classmethod
    def of(cls, torch: Any, X: Matrix, goal: NDArray[Any], each: Matrix) -> _Rows:
        kind = torch.int64 if goal.dtype.kind in "iu" else torch.float32
        single = torch.float32
        return cls(
            torch.as_tensor(X, dtype=single),
            torch.as_tensor(goal, dtype=kind),
            torch.as_tensor(each, dtype=single),
        )

    def part(self, rows: Any) -> _Rows:
        """Gives some of the rows."""
        return _Rows(self.x[rows], self.goal[rows], self.weight[rows])

    def loss(self, torch: Any, module: Any, smoothing: float = 0.0) -> Any:
        """Gives the mean cross-entropy, or the mean squared error."""
        said = module(self.x)
        if self.goal.is_floating_point():
            errors = (said[:, 0] - self.goal) ** 2
        else:
            entropy = torch.nn.functional.cross_entropy
            errors = entropy(said, self.goal, reduction="none", label_smoothing=smoothing)
        return (errors * self.weight).sum() / self.weight.sum()


def _learn(torch: Any, module: Any, rows: _Rows, aside: _Rows, schedule: Schedule) -> None:
    """Trains a module in place and leaves it at the epoch that is best on the rows kept aside."""
    size = int(np.clip(len(rows.x) // 16, 16, 512))
    steps = math.ceil(len(rows.x) / size) * schedule.epochs
    optimizer = _optimizer(torch, module, schedule)
    best, kept, waited, step = math.inf, None, 0, 0
    for _ in range(schedule.epochs):
        module.train()
        for part in torch.randperm(len(rows.x)).split(size):
            if len(part) == 1 < len(rows.x):
                continue  # one row has no spread to be normalised by
            for group in optimizer.param_groups:
                group["lr"] = schedule.rate * group["faster"] * _pace(step / steps)
            optimizer.zero_grad()
            rows.part(part).loss(torch, module, schedule.smoothing).backward()
            optimizer.step()
            step += 1
        module.eval()
        with torch.no_grad():
            found = float(aside.loss(torch, module))
        waited += 1
        if found < best:
            best, waited = found, 0
            kept = {name: value.clone() for name, value in module.state_dict().items()}
        if waited > max(5, PATIENCE * schedule.epochs):
            break
    if kept is not None:
        module.load_state_dict(kept)


def _optimizer(torch: Any, module: Any, schedule: Schedule) -> Any:
    factors = [one for name, one in module.named_parameters() if name.endswith("factor")]
    others = [one for name, one in module.named_parameters() if not name.endswith("factor")]
    groups = [
        {"params": others, "faster": 1.0, "weight_decay": schedule.decay},
        {"params": factors, "faster": FACTOR_RATE, "weight_decay": 0.0},
    ]
    filled = [one for one in groups if one["params"]]
    return torch.optim.AdamW(filled, lr=schedule.rate, betas=(0.9, 0.95))


def _pace(done: float) -> float:
    """Rises at first, then falls along a cosine."""
    return min(1.0, (done + 1e-3) / WARM_UP) * 0.5 * (1.0 + math.cos(math.pi * done))
