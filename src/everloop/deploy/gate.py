"""The gate: what a version must pass before it is released.

Each check is a function from what is known of the candidate to zero or more `Check`s; `CHECKS` names
them in the order in which they are told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.units import format_duration, format_size
from everloop.measure.intervals import paired_interval
from everloop.table.contract import check as check_contract

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from everloop.deploy.candidate import Candidate
    from everloop.measure.intervals import Interval
    from everloop.spec import LifecycleSpec
    from everloop.table.contract import Contract

# A candidate may be worse than the champion by this share of the champion's value and still pass,
# so that an equal one is not refused by noise.
MARGIN = 0.02


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was required.

    Attributes:
        name: What was looked at, such as ``parity`` or ``problem.require.recall``.
        required: What it had to be, in words.
        found: What it was, in words.
        passed: Whether that suffices.
        evidence: The numbers behind it, as JSON carries them.
    """

    name: str
    required: str
    found: str
    passed: bool
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateResult:
    """All checks of a candidate."""

    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    @property
    def reason(self) -> str:
        """The gate's answer in a sentence."""
        failed = [
            f"{check.name} is {check.found}, required {check.required}"
            for check in self.checks
            if not check.passed
        ]
        if failed:
            return "; ".join(failed)
        return "; ".join([f"all {len(self.checks)} checks passed", *self.notices])

    @property
    def notices(self) -> tuple[str, ...]:
        """What whoever releases it has to know, though it refuses nothing."""
        return tuple(f"it serves in {check.found}" for check in self.checks if check.name == "runtime")

    def to_dict(self) -> dict[str, Any]:
        """Gives the result as what JSON can carry."""
        checks = [
            {name: getattr(check, name) for name in Check.__dataclass_fields__} for check in self.checks
        ]
        told = {"passed": self.passed, "reason": self.reason, "checks": checks}
        return told | ({"notices": list(self.notices)} if self.notices else {})


@dataclass(frozen=True)
class Question:
    """What the gate is asked.

    Attributes:
        candidate: The version that wants to be released.
        champion: The version that serves now, on the same rows; None for the first version.
        today: What today's decisions are worth on the same rows, (rows,); None where not stated.
        contract: What every row must satisfy.
        spec: The lifecycle file.
        trusted: Public keys of which one must have signed the package; empty asks for no signature.
    """

    candidate: Candidate
    champion: Candidate | None
    today: NDArray[np.float64] | None
    contract: Contract
    spec: LifecycleSpec
    trusted: tuple[str, ...] = ()


def judge(question: Question) -> GateResult:
    """Holds a candidate against everything that its lifecycle requires of it."""
    return GateResult(tuple(check for look in CHECKS for check in look(question)))


def _parity(question: Question) -> Iterator[Check]:
    certificate = question.candidate.parity
    rows = certificate.get("rows")
    yield Check(
        "parity",
        "compiled and trained answers are equal",
        f"equal on {_total(rows):,} rows" if certificate.get("passed") else "different",
        bool(certificate.get("passed")),
        {"rows": rows, "largest_difference": certificate.get("largest_difference")},
    )


def _runtime(question: Question) -> Iterator[Check]:
    """Tells of a version that was not compiled what serves it, so that nobody releases it unawares.

    Its time and its size are measured on what serves, as a compiled one's.
    """
    manifest = question.candidate.package.manifest
    if manifest.runtime == "graph":
        return
    needed = ", ".join(f"{name} {version}" for name, version in manifest.requirements.items())
    yield Check(
        "runtime",
        "a compiled graph, or told",
        f"a Python runtime, slower than compiled, which needs {needed}",
        True,
        {
            "runtime": manifest.runtime,
            "requirements": manifest.requirements,
            "reason": question.candidate.parity.get("absent", {}).get("graph"),
        },
    )


def _contract(question: Question) -> Iterator[Check]:
    report = check_contract(question.candidate.rows, question.contract.for_rows())
    findings = [finding for finding in report.findings if finding.severity == "error"]
    yield Check(
        "contract",
        "the held-out rows satisfy it",
        "satisfied" if report.passed else f"broken by {len(findings)} findings",
        report.passed,
        {"rows": question.candidate.rows.height},
    )


def _required_metrics(question: Question) -> Iterator[Check]:
    parts = {"goal": question.spec.goal.bounds, "problem": question.spec.problem.require}
    for part, bounds in parts.items():
        for name, bound in bounds.items():
            found = question.candidate.metric(name)
            yield Check(
                f"{part}.require.{name}", str(bound), f"{found:.4g}", bound.holds(found), {"found": found}
            )


def _better_than_today(question: Question) -> Iterator[Check]:
    values = question.candidate.values
    if values is None or question.today is None:
        return
    gain = paired_interval(question.today, values, weights=question.candidate.counts)
    yield Check(
        "better than today",
        "a decision is worth more than today's",
        f"{_amount(gain)}{_money(question)} a decision",
        gain.estimate > 0 and gain.high > 0,
        gain.to_dict(),
    )


def _not_worse_than_champion(question: Question) -> Iterator[Check]:
    champion, candidate = question.champion, question.candidate
    if champion is None:
        return
    if candidate.values is not None and champion.values is not None:
        gain = paired_interval(champion.values, candidate.values, weights=candidate.counts)
        margin = MARGIN * abs(champion.metric("value_per_decision"))
        found = f"{_amount(gain)}{_money(question)} a decision, on the same rows"
        yield Check(
            "not worse than the champion",
            f"no more than {margin:.2f}{_money(question)} a decision below it",
            found,
            gain.low >= -margin,
            gain.to_dict() | {"margin": margin},
        )
        return
    yield _metric_against_champion(candidate, champion)


def _amount(gain: Interval) -> str:
    return f"{gain.estimate:+.2f} ({gain.low:+.2f} to {gain.high:+.2f})"


def _money(question: Question) -> str:
    value = question.spec.goal.value
    return f" {value.currency}" if value is not None and value.currency else ""


def _difference(name: str, candidate: Candidate, champion: Candidate) -> Interval:
    """Gives how much greater the candidate's metric is, both looked at in the candidate's encoding."""
    from everloop.measure.intervals import Interval
    from everloop.measure.metric_intervals import metric_difference
    from everloop.measure.metrics import METRICS
    from everloop.measure.recommendation import LIST_METRICS

    if METRICS[name].needs == "resamples":
        unknown = float("nan")
        return Interval(unknown, candidate.metric(name) - champion.metric(name), unknown)
    if name in LIST_METRICS:
        return paired_interval(*(LIST_METRICS[name](*one.lists) for one in (champion, candidate)))
    actual, ours = candidate.evidence(name)
    _, theirs = champion.evidence(name, seen_by=candidate)
    return metric_difference(name, actual, theirs, ours, weights=candidate.counts_for(name))


def _metric_against_champion(candidate: Candidate, champion: Candidate) -> Check:
    from everloop.measure.metrics import METRICS

    name = candidate.frame.metric
    gain = _difference(name, candidate, champion)
    if not METRICS[name].greater_is_better:
        gain = gain.scaled(-1)
    theirs = champion.metric(name, seen_by=candidate)
    margin = MARGIN * abs(theirs)
    return Check(
        "not worse than the champion",
        f"{name} no more than {MARGIN:.0%} behind {theirs:.4g}",
        f"{candidate.metric(name):.4g}, better by {gain}, on the same rows",
        gain.estimate >= -margin,
        gain.to_dict() | {"candidate": candidate.metric(name), "champion": theirs, "margin": margin},
    )


def _fairness(question: Question) -> Iterator[Check]:
    """Holds every bound for each sensitive column, and tells it for each pair of them.

    Groups of fewer rows than can be judged are left out and named in the evidence. The groups of a pair
    are small, and the largest of many differences is large by chance: there a bound is broken only where
    the whole interval lies beyond it.
    """
    from everloop.deploy.fairness import disparities

    for name, bound in question.spec.model.fairness.items():
        for found in disparities(question.candidate, name):
            crossed = len(found.columns) > 1
            reached = found.nearest_to(bound) if crossed else found.interval.estimate
            yield Check(
                f"fairness.{name} by {' and '.join(found.columns)}",
                str(bound),
                f"{found.interval}",
                bound.holds(reached),
                found.to_dict(),
            )


def _latency(question: Question) -> Iterator[Check]:
    limit = question.spec.model.max_latency
    seconds = question.candidate.seconds_per_answer()
    if limit is None or not len(seconds):
        return
    median = float(np.median(seconds))
    yield Check(
        "model.max_latency",
        f"an answer within {format_duration(limit)} (median)",
        f"{median * 1e6:.0f} us",
        median <= limit.total_seconds(),
        {"median_seconds": median, "p99_seconds": float(np.quantile(seconds, 0.99))},
    )


def _signature(question: Question) -> Iterator[Check]:
    from everloop.runtime.manifest import manifest_bytes
    from everloop.runtime.signing import key_name, signed_by

    if not question.trusted:
        return
    keys = [key_name(key) for key in question.trusted]
    folder = question.candidate.folder
    found = signed_by(folder, manifest_bytes(folder), question.trusted)
    yield Check(
        "signature",
        f"signed by {' or '.join(keys)}",
        f"signed by {found}" if found else "not signed by any of them",
        found is not None,
        {"trusted": keys, "signed_by": found},
    )


def _size(question: Question) -> Iterator[Check]:
    limit = question.spec.model.max_size
    if limit is None:
        return
    size = question.candidate.model_bytes()
    yield Check(
        "model.max_size",
        f"at most {format_size(limit)}",
        format_size(size),
        size <= limit,
        {"bytes": size},
    )


CHECKS: tuple[Callable[[Question], Iterator[Check]], ...] = (
    _parity,
    _runtime,
    _contract,
    _required_metrics,
    _better_than_today,
    _not_worse_than_champion,
    _fairness,
    _latency,
    _signature,
    _size,
)


def _total(rows: Any) -> int:
    return sum(rows.values()) if isinstance(rows, dict) else int(rows or 0)
