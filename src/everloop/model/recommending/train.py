"""From events to lists: try, choose on what came later, fit on all, evaluate against popularity."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import DataFault
from everloop.core.progress import Event, silent
from everloop.measure.intervals import Interval, mean_interval, paired_interval
from everloop.measure.recommendation import LIST_METRICS, list_metrics_among
from everloop.model.estimators import TopItems
from everloop.model.evaluation import Evaluation
from everloop.model.learners.registry import learners_for
from everloop.model.recommending.histories import Histories, Lists, judged_lists, lists_of
from everloop.model.search_space import portfolio_of
from everloop.model.trained import FeatureChoice, Trained
from everloop.model.unsupervised.outcome import requirements_of, with_value
from everloop.model.unsupervised.trials import Finding, Tried, run_trials
from everloop.report.writing import plural
from everloop.runtime.encoders import LookupEncoder
from everloop.runtime.plan import Plan, PlanInput
from everloop.table.labels import label_texts
from everloop.table.list_worth import popular_items
from everloop.table.schema import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import polars as pl
    from numpy.typing import NDArray

    from everloop.core.progress import Progress
    from everloop.measure.list_worth import ListWorth
    from everloop.model.learners.learner import Learner
    from everloop.model.training_inputs import Parts, Stakes, TrainingSettings
    from everloop.spec.frame import Frame
    from everloop.table.schema import ColumnType

BASELINE = "popularity"
VALUE = "value_per_decision"
HELD_BACK = 0.2


@dataclass(frozen=True, slots=True)
class _Events:
    """Events to learn from, and those that came later."""

    frame: Frame
    earlier: pl.DataFrame
    later: pl.DataFrame

    @property
    def columns(self) -> tuple[str, str]:
        return str(self.frame.entity), self.frame.target


def train_recommender(
    parts: Parts,
    frame: Frame,
    settings: TrainingSettings,
    *,
    stakes: Stakes | None = None,
    progress: Progress = silent,
) -> Trained:
    """Trains a recommender.

    Learners are fitted on the train part and judged by what entities had in the validation part; the
    best is then fitted on both, and the test part judges its lists, beside those of popularity.

    Args:
        parts: The events, the earlier parts before the later ones.
        frame: The problem: its target names the item, its entity who had it.
        settings: What is asked for.
        stakes: What lists are worth, where they have a price: the list that earns most is then chosen.
        progress: Is told what happens.

    Raises:
        DataFault: When there are too few events.
        ModelFault: When a learner is not known.
        TrainingFailed: When no trial came to a model.
    """
    import polars as pl

    started = time.perf_counter()
    names = settings.learners if not settings.learners else (BASELINE, *settings.learners)
    learners = learners_for(frame.task, tuple(dict.fromkeys(names)))
    choosing = _choosing(parts, frame)
    priced = stakes.lists if stakes is not None else None
    worth = None if priced is None else priced(choosing.later)
    histories = Histories.of(choosing.earlier, *choosing.columns, frame.weight)

    def judge(learner: Learner, configuration: Mapping[str, Any]) -> Finding:
        found = fitted_lists(learner, configuration, histories, settings)
        values = LIST_METRICS[frame.metric](*_judged(found, histories, choosing))
        halves = np.array_split(values, 3)
        money = {} if worth is None else {VALUE: float(_earned(worth, found, histories).mean())}
        return Finding(tuple(float(one.mean()) for one in halves if len(one)), len(histories.events), money)

    proposals = portfolio_of(tuple(learners))
    proposals.sort(key=lambda pair: pair[0].name != BASELINE)
    tried = run_trials(proposals, judge, settings.budget, started=started, progress=progress)
    best = _best(tried)
    tables = [one for one in (parts.train, parts.validation) if one is not None and one.height]
    everything = pl.concat(tables, how="vertical_relaxed")
    progress(Event("model", f"fitting {best.learner.name} on all {everything.height} events"))
    final = Histories.of(everything, *choosing.columns, frame.weight)
    kind = schema_of(everything.select(choosing.columns[0])).types[choosing.columns[0]]
    trained = _trained(frame, final, best, tried, settings, kind)
    if parts.test is None or not parts.test.height:
        return trained
    testing = _Events(frame, everything, parts.test)
    worth = None if priced is None else priced(parts.test)
    return _evaluated(trained, final, best, tried, testing, settings, worth)


def _choosing(parts: Parts, frame: Frame) -> _Events:
    """Gives what trials learn from and what judges them; without a validation part the last fifth judges."""
    if frame.entity is None:
        raise DataFault("A recommendation needs problem.entity: who had the items.")
    if parts.validation is not None and parts.validation.height:
        return _Events(frame, parts.train, parts.validation)
    table = parts.train.sort(frame.time) if frame.time else parts.train
    start = int(table.height * (1 - HELD_BACK))
    if not 0 < start < table.height:
        raise DataFault(f"{table.height} events are too few to learn from and to judge by.")
    return _Events(frame, table[:start], table[start:])


def fitted_lists(
    learner: Learner, configuration: Mapping[str, Any], histories: Histories, settings: TrainingSettings
) -> Lists:
    """Fits a learner and works out everyone's list."""
    events = histories.events
    estimator = learner.fit(
        events,
        np.zeros(len(events)),
        task="recommendation",
        configuration=configuration,
        weights=histories.weights,
        seed=settings.seed,
    )
    repeats = bool(configuration.get("repeats", True))
    return lists_of(estimator, histories, repeats=repeats, listed=settings.listed)


def _judged(
    lists: Lists, histories: Histories, events: _Events
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    known, strangers = _named(lists, histories)
    return judged_lists(known, strangers, events.later, *events.columns)


def _named(lists: Lists, histories: Histories) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """Gives each known entity's list by the items' names, and that of strangers."""
    named = [tuple(histories.items[place] for place in row) for row in lists.items.tolist()]
    return dict(zip(histories.entities, named, strict=False)), named[-1]


def _earned(worth: ListWorth, lists: Lists, histories: Histories) -> NDArray[np.float64]:
    known, strangers = _named(lists, histories)
    return worth.values(known, strangers)


def _best(tried: list[Tried]) -> Tried:
    """Takes the trial whose lists earn most, where they have a price; else the best by the metric."""
    return max(
        (one for one in tried if one.trial.error is None),
        key=lambda one: (one.facts.get(VALUE, one.score), one.score, -one.trial.number),
    )


def _baseline(tried: list[Tried]) -> Tried:
    return _best([one for one in tried if one.learner.name == BASELINE])


def _trained(
    frame: Frame,
    final: Histories,
    best: Tried,
    tried: list[Tried],
    settings: TrainingSettings,
    kind: ColumnType,
) -> Trained:
    entity = str(frame.entity)
    lists = fitted_lists(best.learner, best.trial.configuration, final, settings)
    used = np.unique(lists.items)
    places = np.searchsorted(used, lists.items)
    strangers = float(len(final.entities))
    numbers = {text: float(place) for place, text in enumerate(final.entities)}
    encoder = LookupEncoder(entity, 0, values=numbers, unknown=strangers, missing=strangers)
    judged_by, ours, theirs = frame.metric, best.score, _baseline(tried).score
    if VALUE in best.facts:
        judged_by, ours, theirs = "value of a list", best.facts[VALUE], _baseline(tried).facts[VALUE]
    reason = (
        f"{best.learner.name} has the best {judged_by} of {plural(len(tried), 'trial')} on what came later, "
        f"{ours:.4g}{'' if best.learner.name == BASELINE else f'; popularity has {theirs:.4g}'}."
    )
    return Trained(
        frame=replace(frame, classes=tuple(final.items[place] for place in used), listed=settings.listed),
        plan=Plan(inputs=(PlanInput(entity, kind),), encoders=(encoder,), width=1),
        learner=best.learner.name,
        configuration=dict(best.trial.configuration),
        estimator=TopItems(places, lists.scores),
        target_type="text",
        seed=settings.seed,
        trials=tuple(one.trial for one in tried),
        features=(
            FeatureChoice(entity, True, "names whose list is asked for"),
            *(FeatureChoice(name, False, reason) for name, reason in frame.excluded.items()),
        ),
        notes=(
            reason,
            f"Lists are worked out for {len(final.entities):,} entities; others get the most popular items.",
        ),
    )


def _evaluated(
    trained: Trained,
    final: Histories,
    best: Tried,
    tried: list[Tried],
    testing: _Events,
    settings: TrainingSettings,
    worth: ListWorth | None,
) -> Trained:
    lists = fitted_lists(best.learner, best.trial.configuration, final, settings)
    hits, relevant = _judged(lists, final, testing)
    base = _baseline(tried)
    usual = _judged(fitted_lists(base.learner, base.trial.configuration, final, settings), final, testing)
    metric = trained.frame.metric
    metrics = metrics_of_lists(hits, relevant, (metric, *settings.required))
    gain = paired_interval(LIST_METRICS[metric](*usual), LIST_METRICS[metric](hits, relevant))
    more = "" if best is base else f"; that is {gain} more than popularity's"
    note = f"On the test part its {metric} is {metrics[metric]}{more}."
    evaluation = Evaluation(
        part="test",
        rows=len(relevant),
        metric=metric,
        metrics=metrics,
        requirements=requirements_of(settings.required, metrics),
    )
    if worth is not None:
        earned = _earned(worth, lists, final)
        usual_list = popular_items(testing.earlier, trained.frame)
        evaluation = with_value(
            evaluation, earned, worth.same_for_all(usual_list), worth.best_values(), settings.required
        )
    return replace(trained, evaluation=evaluation, notes=(*trained.notes, note))


def metrics_of_lists(
    hits: NDArray[np.float64], relevant: NDArray[np.float64], named: Iterable[str]
) -> dict[str, Interval]:
    """Measures lists by the usual metrics and by those named, each with its interval over entities."""
    return {name: mean_interval(LIST_METRICS[name](hits, relevant)) for name in list_metrics_among(named)}


def evaluate_lists(trained: Trained, table: Any) -> Evaluation:
    """Evaluates a recommender on later events."""
    import polars as pl

    frame = trained.frame
    entity, item = str(frame.entity), frame.target
    asked = table.select(entity).unique(maintain_order=True)
    said = trained.predict(asked)
    texts = label_texts(asked[entity]).fill_null("").to_list()
    lists = {text: tuple(row) for text, row in zip(texts, said.tolist(), strict=True)}
    hits, relevant = judged_lists(lists, (), table.filter(pl.col(entity).is_not_null()), entity, item)
    return Evaluation("table", len(relevant), frame.metric, metrics_of_lists(hits, relevant, (frame.metric,)))
