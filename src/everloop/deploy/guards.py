"""Guards: what must hold during a rollout, each answered validly at any look.

A guard says harm, fine or undecided; several guards share the error (Bonferroni), so all of them
together are wrong in at most 5 % of rollouts, however often they are looked at. `GUARDS` names them.

The value guard scores the logged rows with both versions and tests the paired differences, so every
request with an actual counts, whichever arm answered it. It supposes that an actual does not depend
on the decision; where decisions change outcomes, the strategy `ab` compares the arms themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import SpecFault
from everloop.core.units import Bound
from everloop.deploy.candidate import Candidate
from everloop.deploy.rollout import GuardFinding
from everloop.measure.betting import rate_sequence
from everloop.measure.intervals import Interval
from everloop.measure.sequential import Comparison, always_valid

if TYPE_CHECKING:
    import polars as pl

    from everloop.spec import DeploySpec

ALPHA = 0.05
# "Not worse" means by no more than this share of what a decision of the champion is worth.
MARGIN = 0.05
NOT_WORSE = "not worse"
_QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}


@dataclass(frozen=True)
class Look:
    """What is known of a rollout at one look.

    Attributes:
        answers: The prediction log since the rollout began: `arm`, `failed`, `latency_us`, ....
        champion: The champion on the rows with known actuals, in the order of their predictions.
        challenger: The challenger on the same rows.
        strategy: The rollout's strategy.
        answered_by: For each of those rows the arm that answered it.
    """

    answers: pl.DataFrame
    champion: Candidate
    challenger: Candidate
    strategy: str
    answered_by: np.ndarray[Any, np.dtype[np.str_]]


def look_at(spec: DeploySpec, look: Look) -> tuple[GuardFinding, ...]:
    """Answers every guard that the file names.

    Raises:
        SpecFault: When the file names a guard that there is none of.
    """
    require_known(spec)
    alpha = ALPHA / max(1, len(spec.guard))
    return tuple(GUARDS[name](name, required, look, alpha) for name, required in spec.guard.items())


def require_known(spec: DeploySpec) -> None:
    """Refuses guards that there are none of.

    Raises:
        SpecFault: With the guards there are.
    """
    for name, required in spec.guard.items():
        if name not in GUARDS:
            raise SpecFault(f"deploy.guard names {name!r}; there are {', '.join(GUARDS)}.")
        if name == "value_per_decision" and isinstance(required, Bound):
            raise SpecFault(
                "deploy.guard.value_per_decision compares with the champion.",
                hint=f"write it as: {NOT_WORSE}",
            )


def _error_rate(name: str, required: Bound | str, look: Look, alpha: float) -> GuardFinding:
    failed = look.answers.select("arm", event="failed")
    return _rate(name, required, failed, alpha, "error_rate")


def _latency(name: str, required: Bound | str, look: Look, alpha: float) -> GuardFinding:
    """A quantile keeps a limit where the share of answers beyond the limit is small enough."""
    import polars as pl

    quantile = _QUANTILES[name]
    if isinstance(required, Bound):
        limit, said = required.limit, str(required)
    else:
        champion = look.answers.filter(pl.col("arm") == "champion")["latency_us"]
        if champion.is_empty():
            return GuardFinding(name, "undecided", NOT_WORSE, "without an answer of the champion")
        limit = 2 * float(champion.quantile(quantile) or 0) / 1e6
        said = f"not above twice the champion's, {limit * 1000:.2f} ms"
    beyond = look.answers.select("arm", event=pl.col("latency_us") > limit * 1e6)
    finding = _rate(name, Bound("<=", 1 - quantile, ""), beyond, alpha, f"share above {limit * 1000:g} ms")
    return GuardFinding(name, finding.answer, said, finding.found, finding.evidence)


def _rate(name: str, required: Bound | str, events: pl.DataFrame, alpha: float, what: str) -> GuardFinding:
    import polars as pl

    challenger = events.filter(pl.col("arm") != "champion")["event"]
    count, rows = int(challenger.sum()), challenger.len()
    if isinstance(required, Bound):
        interval = rate_sequence(count, rows, alpha) if rows else Interval(0.0, 0.0, 1.0)
        low, high = interval.low, interval.high
        answer = "harm" if low > required.limit else "fine" if high <= required.limit else "undecided"
        found = f"{count} of {rows} ({what} {low:.2%} to {high:.2%})"
        return GuardFinding(
            name, answer, str(required), found, {"events": count, "rows": rows, "low": low, "high": high}
        )
    champion = events.filter(pl.col("arm") == "champion")["event"]
    from everloop.measure.sequential import rate_comparison

    comparison = rate_comparison(int(champion.sum()), champion.len(), count, rows, margin=0.01, alpha=alpha)
    return _compared(name, comparison, "1 point worse at most")


def _value(name: str, required: Bound | str, look: Look, alpha: float) -> GuardFinding:
    del required  # `require_known` has refused bounds
    champion, challenger = look.champion.values, look.challenger.values
    if champion is None or challenger is None:
        return GuardFinding(name, "undecided", NOT_WORSE, "unknown: decisions have no price")
    margin = MARGIN * float(np.abs(champion.mean())) if len(champion) else 0.0
    if look.strategy == "ab":
        ours, theirs = look.answered_by != "champion", look.answered_by == "champion"
        comparison = always_valid(champion[theirs], challenger[ours], margin=margin, alpha=alpha)
    else:
        comparison = always_valid(champion, challenger, margin=margin, alpha=alpha, paired=True)
    return _compared(name, comparison, f"at most {margin:.2f} a decision below the champion")


def _compared(name: str, comparison: Comparison, required: str) -> GuardFinding:
    answers = {"harm": "harm", "non_inferior": "fine", "better": "fine", "undecided": "undecided"}
    if comparison.low == -np.inf:
        found = f"not known yet: {comparison.rows_b} rows with actuals"
    else:
        found = (
            f"{comparison.difference:+.2f} ({comparison.low:+.2f} to {comparison.high:+.2f}) "
            f"on {comparison.rows_b} rows"
        )
    return GuardFinding(name, answers[comparison.answer], required, found, comparison.to_dict())


GUARDS: dict[str, Callable[[str, Bound | str, Look, float], GuardFinding]] = {
    "error_rate": _error_rate,
    **dict.fromkeys(_QUANTILES, _latency),
    "value_per_decision": _value,
}
