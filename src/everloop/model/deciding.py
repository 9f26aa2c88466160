"""What is decided by a model's scores, and how good the decisions are on rows that it had not seen."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.model.decision import Choosing, calibration_that_pays, choose_decision
from everloop.model.evaluating import evaluate
from everloop.model.folds import stretches_of
from everloop.model.judged import Judged
from everloop.model.mitigation import REWEIGHING, alike_of
from everloop.model.reweighing import fit_unweighted
from everloop.model.scoring import calibrated
from everloop.model.targets import labelled
from everloop.model.weighing import learning_weights
from everloop.runtime.decision import PLAIN
from everloop.table.labels import label_texts
from everloop.table.weights import row_counts

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    from everloop.model.evaluation import Evaluation
    from everloop.model.finishing import Finished
    from everloop.model.searching import Found
    from everloop.model.trained import Trained
    from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
    from everloop.model.trial import Material


def decided_and_evaluated(
    trained: Trained,
    found: Found,
    done: Finished,
    material: Material,
    parts: Parts,
    settings: TrainingSettings,
    stakes: Stakes,
) -> Trained:
    """Adds the decision, and how the model does with it and, where it was mitigated, without."""
    trained, held_out = _decided(trained, found, done, material, settings, stakes)
    judged = _judged(trained, held_out, parts, settings, stakes)
    if judged is not None and settings.mitigate is not None:
        plain = _unmitigated(trained, found, done, material, settings, stakes)
        unmitigated = None if plain is None else _judged(plain, held_out, parts, settings, stakes)
        judged = replace(judged, unmitigated=unmitigated)
    return replace(trained, evaluation=None if judged is None else _evaluated(judged, trained, settings))


def _decided(
    trained: Trained,
    found: Found,
    done: Finished,
    material: Material,
    settings: TrainingSettings,
    stakes: Stakes,
) -> tuple[Trained, pl.DataFrame]:
    """Adds calibration and threshold, chosen on rows that the models behind the scores had not seen."""
    rows, scores = found.rows, done.scores
    table, actual = material.table[rows], material.actual[rows]
    stretches = stretches_of(table, material.frame) if settings.by == "time" else None
    counts = material.counts_of(rows)
    if material.frame.task == "binary":
        trained = replace(trained, calibration=calibration_that_pays(scores, actual, stretches, counts))
        scores = calibrated(scores, trained.calibration)
    chosen = choose_decision(
        Choosing(
            material.frame,
            scores,
            actual,
            None if stakes.worth is None else stakes.worth(table),
            settings.required,
            None if settings.segments is None else label_texts(table[settings.segments]).to_list(),
            settings.segments,
            alike_of(table, material.frame, settings),
            stretches,
            counts,
        )
    )
    trained = replace(
        trained, threshold=chosen.threshold, threshold_reason=chosen.reason, decision=chosen.rule
    )
    return replace(trained, held_out_scores=scores, held_out_actual=actual.astype(np.float64)), table


def _unmitigated(
    trained: Trained,
    found: Found,
    done: Finished,
    material: Material,
    settings: TrainingSettings,
    stakes: Stakes,
) -> Trained | None:
    """Gives the same model without mitigation; None where it could not be fitted."""
    if settings.mitigate != REWEIGHING:
        return replace(trained, decision=PLAIN)
    by_age = learning_weights(
        material.table, trained.frame, material.actual, replace(settings, mitigate=None)
    )
    twin = fit_unweighted(found, done, material, settings.threads, by_age)
    if twin is None:
        return None
    plain = replace(trained, plan=twin.plan, estimator=twin.estimator, calibration=None)
    return _decided(plain, found, twin, material, settings, stakes)[0]


def _evaluated(judged: Judged, trained: Trained, settings: TrainingSettings) -> Evaluation:
    importance = {
        choice.name: choice.gain for choice in trained.features if choice.kept and choice.gain is not None
    }
    return evaluate(judged, importance=importance, shown=settings.shown)


def _judged(
    trained: Trained, held_out: pl.DataFrame, parts: Parts, settings: TrainingSettings, stakes: Stakes
) -> Judged | None:
    """Gives the rows that judge: of the test part, or else of the folds."""
    if parts.test is not None and parts.test.height:
        table, known = labelled(parts.test, trained.frame)
        if len(known):
            return judged_rows(trained, table, trained.scores(table), known, settings, stakes, "test")
    scores, actual = trained.held_out_scores, trained.held_out_actual
    if scores is None or actual is None:
        return None
    if trained.frame.task != "regression":
        actual = actual.astype(np.int64)
    return judged_rows(trained, held_out, scores, actual, settings, stakes, "folds")


def judged_rows(
    trained: Trained,
    table: pl.DataFrame,
    scores: NDArray[np.float64],
    actual: NDArray[Any],
    settings: TrainingSettings,
    stakes: Stakes,
    part: str,
) -> Judged:
    """Puts together what an evaluation needs."""
    return Judged(
        frame=trained.frame,
        table=table,
        scores=scores,
        actual=actual,
        threshold=trained.threshold,
        decision=trained.decision,
        worth=stakes.worth(table) if stakes.worth else None,
        today=stakes.today(table) if stakes.today else None,
        required=settings.required,
        fairness=settings.fairness,
        mitigate=settings.mitigate,
        part=part,
        seed=trained.seed,
        counts=row_counts(table, trained.frame),
    )
