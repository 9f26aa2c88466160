"""Which configuration to try next: first the portfolio, then Optuna's tree-structured Parzen estimator."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.model import class_weights, target_scale
from everloop.model.class_weights import CLASS_WEIGHT, weighs_classes
from everloop.model.learners.learner import StopsEarly
from everloop.model.target_scale import TARGET_SCALE, rescales

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Learner, Parameter
    from everloop.model.trained import Trial
    from everloop.spec.frame import Frame

STARTUP_TRIALS = 8
LEARNED = Path(__file__).with_name("portfolio.json")
"""Configurations in the order that `benchmarks/portfolio.py` learned from tables of many kinds."""


@dataclass(frozen=True, slots=True)
class Variants:
    """What may be varied of every learner, for what the target is like.

    Attributes:
        weighs: Whether classes may be weighted.
        rescales: Whether the target may be scaled.
    """

    weighs: bool = False
    rescales: bool = False

    @classmethod
    def of(cls, frame: Frame, actual: NDArray[Any]) -> Variants:
        """Looks at the target."""
        return cls(weighs=weighs_classes(frame, actual), rescales=rescales(frame, actual))

    def dimensions(self, learner: Learner) -> tuple[Parameter, ...]:
        """Gives what may be varied of a learner beside its own space."""
        weighed = (class_weights.DIMENSION,) if self.weighs and learner.capabilities.takes_weights else ()
        return (*weighed, *((target_scale.DIMENSION,) if self.rescales else ()))


PLAIN = Variants()


def portfolio_of(
    learners: tuple[Learner, ...], variants: Variants = PLAIN
) -> list[tuple[Learner, dict[str, Any]]]:
    """Gives what is tried before anything is searched.

    First comes every learner's first configuration, the cheapest learner first, so that there is a model
    at once and each one's pace is known; then those on a scaled target, on which much depends where they
    are tried at all; then the configurations that were strong on other tables, in the order that was learned;
    then the first ones with weighted classes, and what else the learners declare.

    Args:
        learners: The cheapest first.
        variants: In what else each one's first configuration is tried.
    """
    firsts = _firsts(learners, {})
    weighed = [one for one in learners if one.capabilities.takes_weights]
    by_name = {one.name: one for one in learners}
    learned = [(by_name[name], dict(each)) for name, each in learned_order() if name in by_name]
    declared = zip_longest(*([(one, dict(each)) for each in one.portfolio] for one in learners))
    ordered = [
        *firsts,
        *(_firsts(learners, {TARGET_SCALE: "log"}) if variants.rescales else ()),
        *learned,
        *(_firsts(weighed, {CLASS_WEIGHT: "balanced"}) if variants.weighs else ()),
        *(pair for row in declared for pair in row if pair is not None),
    ]
    once = {(one.name, json.dumps(each, sort_keys=True, default=str)): (one, each) for one, each in ordered}
    return list(once.values())


def strong_on_many_rows(learners: tuple[Learner, ...]) -> list[tuple[Learner, dict[str, Any]]]:
    """Gives what is tried of many rows where there are fewer trials than learners.

    The more rows, the more is there for rounds that stop by themselves to find: one configuration of each
    learner that adds rounds, in the order that was learned, goes before what is cheap.
    """
    firsts: dict[str, tuple[Learner, dict[str, Any]]] = {}
    able = {one.name: one for one in learners if isinstance(one, StopsEarly)}
    for name, each in learned_order():
        if name in able:
            firsts.setdefault(name, (able[name], dict(each)))
    return list(firsts.values())


@cache
def learned_order() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Gives the learners' names and the configurations of the portfolio that ships."""
    return tuple((one["learner"], one["configuration"]) for one in json.loads(LEARNED.read_text()))


def _firsts(
    learners: Sequence[Learner], more: Mapping[str, Any]
) -> tuple[tuple[Learner, dict[str, Any]], ...]:
    return tuple((one, {**one.portfolio[0], **more}) for one in learners)


class Proposals:
    """Proposes configurations, and learns from what became of them.

    The same seed and the same history give the same proposals. The study lives in memory: it is
    rebuilt from the trials themselves, so there is nothing beside them to keep.
    """

    def __init__(
        self,
        learners: tuple[Learner, ...],
        *,
        seed: int,
        greater_is_better: bool,
        variants: Variants = PLAIN,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS)
        way = optuna.study.StudyDirection
        direction = way.MAXIMIZE if greater_is_better else way.MINIMIZE
        self._optuna = optuna
        self._study = optuna.create_study(sampler=sampler, direction=direction)
        self._learners = {one.name: one for one in learners}
        self._spaces = {one.name: (*one.space, *variants.dimensions(one)) for one in learners}
        self._names = optuna.distributions.CategoricalDistribution(tuple(self._learners))
        self._asked: dict[int, Any] = {}
        self._learned = 0

    def propose(self, number: int) -> tuple[Learner, dict[str, Any]]:
        """Gives a learner and a configuration to try as the trial of this number."""
        trial = self._study.ask()
        name = trial.suggest_categorical("learner", tuple(self._learners))
        one = self._learners[name]
        configuration = {
            item.name: _suggest(trial, f"{name}.{item.name}", item) for item in self._spaces[name]
        }
        abandoned = self._asked.pop(number, None)
        if abandoned is not None:
            self._tell(abandoned, None)
        self._asked[number] = trial
        return one, configuration

    def learn_all(self, trials: Sequence[Trial]) -> None:
        """Takes what became of trials, proposed here or not; those that it knows are passed over."""
        for trial in trials[self._learned :]:
            asked = self._asked.pop(trial.number, None)
            if asked is not None:
                self._tell(asked, trial.score)
            elif trial.score is not None:
                self._learn_of(self._learners[trial.learner], trial.configuration, trial.score)
        self._learned = max(self._learned, len(trials))

    def _tell(self, asked: Any, score: float | None) -> None:
        if score is None:
            self._study.tell(asked, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(asked, score)

    def _learn_of(self, learner: Learner, configuration: Mapping[str, Any], score: float) -> None:
        params: dict[str, Any] = {"learner": learner.name}
        distributions: dict[str, Any] = {"learner": self._names}
        for item in self._spaces[learner.name]:
            if item.name in configuration:
                name = f"{learner.name}.{item.name}"
                params[name], distributions[name] = configuration[item.name], self._distribution(item)
        frozen = self._optuna.trial.create_trial(params=params, distributions=distributions, value=score)
        self._study.add_trial(frozen)

    def _distribution(self, item: Parameter) -> Any:
        kinds = self._optuna.distributions
        if item.kind == "choice":
            return kinds.CategoricalDistribution(item.choices)
        if item.kind == "integer":
            return kinds.IntDistribution(int(item.low), int(item.high), log=item.log)
        return kinds.FloatDistribution(item.low, item.high, log=item.log)


def _suggest(trial: Any, name: str, item: Parameter) -> Any:
    if item.kind == "choice":
        return trial.suggest_categorical(name, item.choices)
    if item.kind == "integer":
        return trial.suggest_int(name, int(item.low), int(item.high), log=item.log)
    return trial.suggest_float(name, item.low, item.high, log=item.log)
