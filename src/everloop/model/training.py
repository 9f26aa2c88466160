"""Which training a task has: the one door to all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.core.progress import silent
from everloop.core.tasks import TASKS, decides_by

if TYPE_CHECKING:
    from pathlib import Path

    from everloop.core.progress import Progress
    from everloop.model.trained import Trained
    from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
    from everloop.spec.frame import Frame


def train_task(
    parts: Parts,
    frame: Frame,
    settings: TrainingSettings,
    *,
    stakes: Stakes | None = None,
    journal: Path | None = None,
    progress: Progress = silent,
    started: float | None = None,
) -> Trained:
    """Trains a model for a task; the arguments are those of `train.train`.

    A journal to go on from, and a budget that began before, are for what is learned from a target: all else
    is searched in seconds.

    Raises:
        DataFault: When the rows cannot be learned from.
        ModelFault: When a learner is not known, or does not know the task.
        TrainingFailed: When no trial came to a model.
    """
    if decides_by(frame.task, "items"):
        from everloop.model.recommending import train_recommender

        return train_recommender(parts, frame, settings, stakes=stakes, progress=progress)
    if not TASKS[frame.task].supervised:
        from everloop.model.unsupervised import train_unsupervised

        return train_unsupervised(parts, frame, settings, stakes=stakes, progress=progress)
    from everloop.model.train import train

    given: dict[str, Any] = {"stakes": stakes, "journal": journal, "progress": progress}
    return train(parts, frame, settings, started=started, **given)
