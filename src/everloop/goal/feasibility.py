"""Is it worth doing: go, get more labels, rephrase the problem, or stop; with the evidence.

The rules are read from top to bottom; the first that has something to say decides. `stop` is said only of
what no model can mend: labels that tell nothing, prices at which even perfect decisions do not pay.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from everloop.measure.metrics import METRICS
from everloop.table.quick_look import MOST_WRONG

if TYPE_CHECKING:
    from everloop.goal.expectation import Expectation
    from everloop.goal.money import Money
    from everloop.measure.intervals import Interval
    from everloop.measure.payback import Outlook
    from everloop.spec import GoalSpec
    from everloop.table.quick_look import QuickLook
    from everloop.table.sufficiency import Sufficiency

SIGNIFICANT = 0.05
"""Labels that tell nothing pass for signal in at most this share of tables."""

FEWEST_ROWS = 30
# With fewer labels a model that helps may well go unnoticed: more are asked for before it is given up.
FEWEST_LABELS = 200
FEWEST_OF_A_CLASS = 20
MANY_WRONG = 0.1
NEARLY_TELLS = 0.97
# A search among many models earns more than a quick one; more than this many times its gain is not expected.
BEYOND_QUICK = 2.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the verdict rests on.

    Attributes:
        goal: The file's `goal` part.
        money: What decisions are worth today, and at best.
        look: What a quick model found; None where there are too few labels.
        labels: The label forecast; None where there is none.
        expected: What a model would be worth; None where decisions have no price.
        outlook: The same a month.
    """

    goal: GoalSpec
    money: Money
    look: QuickLook | None
    labels: Sufficiency | None
    expected: Expectation | None
    outlook: Outlook | None


Answer = tuple[str, str]


def judge(evidence: Evidence) -> tuple[str, tuple[str, ...]]:
    """Gives the verdict (`go`, `more labels`, `rephrase`, `stop`) and its reasons, the deciding one first."""
    for rule in RULES:
        found = rule(evidence)
        if found is not None:
            verdict, reason = found
            return verdict, (reason, *_notes(evidence, verdict))
    return "go", (_go(evidence), *_notes(evidence, "go"))


def _priced_out(evidence: Evidence) -> Answer | None:
    money, required = evidence.money, evidence.goal.require.get("value_per_decision")
    unit = _unit(evidence)
    if money.perfect is None:
        return None
    if required is not None and not required.holds(money.perfect):
        return (
            "stop",
            (
                f"even perfect decisions are worth {money.perfect:.2f}{unit} each; "
                f"the goal requires {required}{unit}"
            ),
        )
    if money.room is not None and money.cost is not None and money.room <= money.cost:
        return (
            "stop",
            (
                f"perfect decisions would add {money.room:,.0f}{unit} a month, predictions cost "
                f"{money.cost:,.0f}{unit}"
            ),
        )
    if money.today is not None and money.perfect - money.today.estimate <= 0:
        return "stop", "today's decisions are already worth what perfect ones are"
    return None


def _too_few(evidence: Evidence) -> Answer | None:
    look = evidence.look
    unlabelled = evidence.labels is not None and evidence.labels.verdict == "not needed"
    if look is None and not unlabelled and evidence.money.rows < FEWEST_ROWS:
        return "more labels", f"{evidence.money.rows} rows have a label, too few to tell anything"
    if look is None or look.p_value < SIGNIFICANT:
        return None
    short = max(FEWEST_LABELS / max(look.labels, 1), FEWEST_OF_A_CLASS / max(look.fewest, 1))
    if short <= 1:
        return None
    more = round(look.labels * (short - 1))
    if look.fewest < FEWEST_OF_A_CLASS and math.isnan(look.score):
        said = f"the rarest class has about {look.fewest} of {look.labels} labels, too few to tell anything"
        return "more labels", f"{said}; get {more:,} more before giving up"
    return "more labels", f"{_chance(look)}, on {look.labels} labels; get {more:,} more before giving up"


def _no_signal(evidence: Evidence) -> Answer | None:
    look = evidence.look
    if look is None or look.p_value < SIGNIFICANT:
        return None
    return "stop", f"the inputs tell nothing of the target: {_chance(look)}"


def _chance(look: QuickLook) -> str:
    return (
        f"a quick model's {look.metric} is {look.score:.3g}, with shuffled labels {look.chance_score:.3g} "
        f"(p = {look.p_value:.2g})"
    )


def _out_of_reach(evidence: Evidence) -> Answer | None:
    """The required value is beyond what a model is expected to earn."""
    required, expected = evidence.goal.require.get("value_per_decision"), evidence.expected
    if required is None or expected is None or required.holds(expected.value.high):
        return None
    base = expected.value.estimate - expected.gain.estimate
    if required.holds(base + BEYOND_QUICK * max(expected.gain.high, 0.0)):
        return None
    unit = _unit(evidence)
    worth = _amount(expected.value, unit)
    said = f"a quick model's decisions are worth {worth}, the goal requires {required}{unit}"
    return _or_labels(evidence, said)


def _metric_out_of_reach(evidence: Evidence) -> Answer | None:
    """The required metric is beyond what the learning curve reaches."""
    labels = evidence.labels
    if labels is None or labels.required is None or labels.now is None or labels.needed == 0:
        return None
    if labels.needed is not None:
        near = next((one for one in labels.ahead if one.more >= labels.needed), labels.ahead[-1])
        cost = _cost(evidence, labels.needed)
        said = (
            f"{labels.metric} {labels.required} is required and {labels.now.estimate:.3g} is expected now; "
        )
        return "more labels", (
            f"{said}about {labels.needed:,} more labels{cost} reach it: with {near.more:,} more "
            f"{near.score.estimate:.3g} ({near.score.low:.3g} to {near.score.high:.3g})"
        )
    said = f"{labels.metric} {labels.required} is required and {labels.now.estimate:.3g} is expected"
    return "rephrase", (
        f"{said}; ten times the labels would not reach it: bring other columns, or require less"
    )


def _no_gain(evidence: Evidence) -> Answer | None:
    expected, outlook = evidence.expected, evidence.outlook
    if expected is None:
        return None
    unit = _unit(evidence)
    if expected.gain.high <= 0:
        gain = _amount(expected.gain, unit)
        return _or_labels(
            evidence, f"a quick model's decisions add {gain} to {expected.over} at these prices"
        )
    month = outlook.gain_per_month if outlook else None
    if month is not None and month.high <= 0:
        said = f"a model would add {_amount(month, unit)} a month, the cost of predictions taken off"
        return _or_labels(evidence, said)
    return None


def _or_labels(evidence: Evidence, said: str) -> Answer:
    labels = evidence.labels
    if labels is not None and labels.verdict == "more" and labels.ahead:
        more = labels.ahead[1].more
        return (
            "more labels",
            f"{said}; {more:,} more labels{_cost(evidence, more)} would help: {labels.reason}",
        )
    return "rephrase", f"{said}: bring other columns, ask another question of them, or require less"


def _cost(evidence: Evidence, more: int) -> str:
    price = evidence.goal.costs.label
    return f" ({more * price:,.0f}{_unit(evidence)})" if price else ""


def _unit(evidence: Evidence) -> str:
    """Gives what is written behind an amount: the currency, where the file states one."""
    value = evidence.goal.value
    return f" {value.currency}" if value is not None and value.currency else ""


def _amount(found: Interval, unit: str) -> str:
    return f"{found.estimate:.4g}{unit} ({found.low:.4g} to {found.high:.4g})"


RULES: tuple[Callable[[Evidence], Answer | None], ...] = (
    _priced_out,
    _too_few,
    _no_signal,
    _out_of_reach,
    _metric_out_of_reach,
    _no_gain,
)


def _go(evidence: Evidence) -> str:
    look, expected, outlook = evidence.look, evidence.expected, evidence.outlook
    unit = _unit(evidence)
    if expected is None:
        said = _chance(look) if look else "a quick model says nothing of this task"
        money = evidence.money
        if money.today is not None and money.perfect is not None:
            room = money.perfect - money.today.estimate
            most = f"{room:.4g}{unit}"
            return f"{said}; at most {most} a decision is to be gained over what is done without a model"
        return f"{said}; decisions have no price: goal.value is not stated"
    month = outlook.gain_per_month if outlook else None
    if month is not None:
        return (
            f"a quick model's decisions would add {month.estimate:,.0f}{unit} a month ({month.low:,.0f} to "
            f"{month.high:,.0f}) to {expected.over}"
        )
    return f"a quick model's decisions would add {_amount(expected.gain, unit)} each to {expected.over}"


def _notes(evidence: Evidence, verdict: str) -> tuple[str, ...]:
    """What else the reader should know, in the order of weight."""
    found = (
        evidence.money.note,
        _suspect(evidence),
        _required(evidence),
        _rule(evidence),
        _noise(evidence, verdict),
    )
    return tuple(note for note in found if note)


def _suspect(evidence: Evidence) -> str | None:
    """Says that one column nearly tells the target, as one does that is known only afterwards."""
    look = evidence.look
    if look is None or not look.rule or look.p_value >= SIGNIFICANT:
        return None
    best = 1.0 if METRICS[look.metric].greater_is_better else 0.0
    way = best - look.chance_score
    if way == 0 or (look.rule_score - look.chance_score) / way < NEARLY_TELLS:
        return None
    return (
        f"the rule {look.rule} alone nearly tells the target ({look.metric} {look.rule_score:.3g}): "
        "is that known when the decision is made?"
    )


def _required(evidence: Evidence) -> str | None:
    money, required = evidence.money, evidence.goal.require.get("value_per_decision")
    if required is None or money.today is None or money.perfect is None:
        return None
    gap = money.perfect - money.today.estimate
    if gap <= 0 or required.holds(money.today.estimate):
        return None
    share = (required.limit - money.today.estimate) / gap
    return f"the goal requires {share:.0%} of what lies between today and perfect"


def _rule(evidence: Evidence) -> str | None:
    """Says that a rule on one column does as well as a model."""
    look, expected = evidence.look, evidence.expected
    if look is None or not look.rule or look.p_value >= SIGNIFICANT:
        return None
    if expected is not None:
        # A fiftieth of what a model adds is not worth a model.
        more = expected.value.estimate - expected.rule.estimate
        if more > abs(expected.gain.estimate) / 50:
            return None
        how = "hardly" if more > 0 else "no"
        earned = f"{expected.rule.estimate:.4g}{_unit(evidence)}"
        return f"the rule {look.rule} alone earns {earned} each, a quick model {how} more"
    better = look.score - look.chance_score
    share = (look.rule_score - look.chance_score) / better if better else 0.0
    if share < 0.98:
        return None
    how = "hardly" if share < 1 else "no"
    return f"the rule {look.rule} alone has {look.metric} {look.rule_score:.3g}, a quick model {how} better"


def _noise(evidence: Evidence, verdict: str) -> str | None:
    look = evidence.look
    if look is None or look.noise is None or look.p_value >= SIGNIFICANT:
        return None
    if not MANY_WRONG <= look.noise <= MOST_WRONG:
        return None
    first = ", ".join(str(row) for row in look.suspects[:3])
    before = "check them before buying more" if verdict == "more labels" else f"such as rows {first}"
    return f"{look.noise:.0%} of the labels look wrong; {before}"
