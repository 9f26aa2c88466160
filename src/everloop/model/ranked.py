"""Trials in order: by score, and by turns of their learners."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.measure.metrics import METRICS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from everloop.model.trained import Trial


def ranked(trials: Iterable[Trial], metric: str) -> list[Trial]:
    """Gives the trials that have a score, the best first; of equal ones the earlier.

    Args:
        trials: In any order.
        metric: By its name; whether more of it is better is known.
    """
    sign = -1.0 if METRICS[metric].greater_is_better else 1.0
    known = [trial for trial in trials if trial.score is not None]
    return sorted(known, key=lambda trial: (sign * (trial.score or 0.0), trial.number))


def by_turns(best_first: Sequence[Trial]) -> list[Trial]:
    """Gives the best trial of each learner before any second best, those before any third, and so on.

    A long search makes hundreds of trials of the learner that looks best, all much alike: by score alone
    they leave no place to others, which err elsewhere and make a mean better.

    Args:
        best_first: As `ranked` gives them.
    """
    places: dict[str, int] = {}
    order = []
    for position, trial in enumerate(best_first):
        places[trial.learner] = places.get(trial.learner, -1) + 1
        order.append((places[trial.learner], position, trial))
    return [trial for *_, trial in sorted(order, key=lambda item: item[:2])]
