"""The table of guards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.core.errors import SpecFault
from everloop.core.units import Bound
from everloop.deploy.guards.answers import nothing_yet
from everloop.deploy.guards.latency import QUANTILES, latency
from everloop.deploy.guards.listed import listed_metric
from everloop.deploy.guards.look import Budget, Look
from everloop.deploy.guards.metrics import ROW_METRICS, row_metric
from everloop.deploy.guards.rates import contract_violations, error_rate
from everloop.deploy.guards.scores import agreement, score_distribution
from everloop.deploy.guards.value import FROM_ACTUALS, estimated_performance, value_per_decision
from everloop.measure.recommendation import ListMetrics, list_metric_hint
from everloop.spec.fields import Against
from everloop.spec.mistakes import nearest

if TYPE_CHECKING:
    from everloop.deploy.rollout import GuardFinding
    from everloop.spec import DeploySpec

Answering = Callable[[str, Bound | Against, Look, Budget], "GuardFinding"]


@dataclass(frozen=True, slots=True)
class Guard:
    """A guard.

    Attributes:
        answer: Says harm, fine or undecided of what is known.
        bounds: Whether it can be held against a bound.
        compares: Whether it can be held against the champion.
        draws: Whether that needs requests that either arm could have got.
        both: Whether it needs answers of both arms at the same time.
        rescores: Whether it scores logged rows again.
        priced: Whether it is about money, and never answers where decisions have no price.
        tasks: The tasks that it judges; empty: every task.
        alone: The tasks of which it answers without `value_per_decision` beside it; empty: every task.
        example: How the file writes it.
    """

    answer: Answering
    bounds: bool = True
    compares: bool = True
    draws: bool = False
    both: bool = False
    rescores: bool = False
    priced: bool = False
    tasks: tuple[str, ...] = ()
    alone: tuple[str, ...] = ()
    example: str = "not worse"


_NAMED: dict[str, Guard] = {
    "error_rate": Guard(error_rate, draws=True, example="<= 1%"),
    "contract_violations": Guard(contract_violations, draws=True),
    **dict.fromkeys(QUANTILES, Guard(latency, draws=True, example="<= 50ms")),
    "score_distribution": Guard(score_distribution, compares=False, both=True, example="<= 0.2"),
    "agreement": Guard(agreement, compares=False, rescores=True, example=">= 90%"),
    "value_per_decision": Guard(value_per_decision, bounds=False, rescores=True, priced=True),
    "estimated_performance": Guard(
        estimated_performance, bounds=False, rescores=True, priced=True, alone=("binary",)
    ),
    **{
        name: Guard(row_metric, bounds=metric.is_rate, rescores=True, tasks=metric.tasks)
        for name, metric in ROW_METRICS.items()
    },
}


def _of_lists(family: str, _places: int) -> Guard:
    """One item is taken, so the recall of a list is 0 or 1 and its mean a rate, which a bound can hold."""
    if family == "recall":
        return Guard(listed_metric, draws=True, tasks=("recommendation",), example=">= 20%")
    return Guard(listed_metric, bounds=False, draws=True, tasks=("recommendation",))


GUARDS: dict[str, Guard] = ListMetrics(_of_lists, _NAMED)
"""What `deploy.guard` may name."""


def guarded(spec: DeploySpec, *, by_value: bool) -> DeploySpec:
    """Gives the file's part with every guard that a rollout is held to.

    Args:
        spec: What the file says.
        by_value: Whether requests are drawn by what decisions are worth. Whoever goes by that has to ask at
            the end too: other guards alone would promote a challenger that nobody was sent to any more.
    """
    if not by_value or FROM_ACTUALS in spec.guard:
        return spec
    return spec.model_copy(update={"guard": {**spec.guard, FROM_ACTUALS: Against()}})


def look_at(spec: DeploySpec, look: Look) -> tuple[GuardFinding, ...]:
    """Answers every guard that the file names.

    Raises:
        SpecFault: When the file names a guard that there is none of.
    """
    require_known(spec)
    budget = Budget.of(len(spec.guard))
    return tuple(_answer(name, required, look, budget) for name, required in spec.guard.items())


def _answer(name: str, required: Bound | Against, look: Look, budget: Budget) -> GuardFinding:
    guard = GUARDS[name]
    if guard.rescores and look.hidden:
        lacking = f"unknown: deploy.log.private keeps {', '.join(look.hidden)} out of the log"
        return nothing_yet(name, required, lacking)
    return guard.answer(name, required, look, budget)


def require_known(spec: DeploySpec) -> None:
    """Refuses guards that there are none of, or that cannot be held as the file says.

    Raises:
        SpecFault: With what there is.
    """
    for name, required in spec.guard.items():
        place = f"deploy.guard.{name}"
        if name not in GUARDS:
            raise SpecFault(
                f"deploy.guard names {name!r}; there are {', '.join(GUARDS)}.",
                hint=list_metric_hint(name) or nearest(name, GUARDS),
                place=place,
            )
        guard = GUARDS[name]
        if isinstance(required, Bound) and not guard.bounds:
            raise SpecFault(
                f"{place} compares with the champion.", hint=f"write it as: {guard.example}", place=place
            )
        if isinstance(required, Against) and not guard.compares:
            raise SpecFault(f"{place} needs a bound.", hint=f"write it as: {guard.example}", place=place)
        if isinstance(required, Against) and guard.draws and spec.strategy in ("blue_green", "shadow"):
            raise SpecFault(
                f"{place} compares arms that requests are drawn for; {spec.strategy} draws none.",
                hint="state a bound, such as <= 1%, or use canary, ab or bandit",
                place=place,
            )
