"""Whether a retrain pays: an advice with its reasons; doing nothing is an advice too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from everloop.core.values import to_jsonable
from everloop.measure.intervals import Interval
from everloop.monitor.situation import Situation
from everloop.monitor.triggers import ORDERS, fired
from everloop.spec.fields import Trigger


@dataclass(frozen=True, slots=True)
class RetrainAdvice:
    """Whether to retrain, and why.

    Attributes:
        retrain: The advice.
        reasons: Why, the triggers first.
        triggered: The triggers that asked for it.
        expected_gain: Value lost per decision times volume over the horizon, less the cost; None where
            the loss is not known in money.
        cost: What the retrain costs.
        ordered: Whether a standing order is among the triggers.
    """

    retrain: bool
    reasons: tuple[str, ...]
    triggered: tuple[str, ...]
    expected_gain: Interval | None
    cost: float
    ordered: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Gives the advice as what JSON can carry."""
        return {name: to_jsonable(getattr(self, name)) for name in self.__slots__}


def advise(triggers: Sequence[Trigger], situation: Situation, *, if_it_pays: bool = True) -> RetrainAdvice:
    """Decides whether to retrain.

    A trigger that fires asks for a retrain. Where the loss is known in money, it must also pay: where no
    gain is expected, the advice is to do nothing. A schedule, a number of labels, a new contract and a
    rule are the owner's standing orders and are followed anyway.

    Args:
        triggers: `monitor.retrain.on` of the lifecycle file.
        situation: What is known.
        if_it_pays: False: what fires is followed whether or not a gain is expected.

    Returns:
        The advice.

    Raises:
        SpecFault: When a trigger's argument cannot be read.
    """
    found = [(trigger, reason) for trigger in triggers if (reason := fired(trigger, situation))]
    gain = situation.expected_gain
    reasons = [f"{trigger}: {reason}" for trigger, reason in found]
    ordered = any(trigger.kind in ORDERS for trigger, _ in found)
    retrain = bool(found)
    if not found:
        watched = ", ".join(map(str, triggers)) or "nothing"
        reasons.append(f"nothing asks for a retrain (watched: {watched})")
    elif if_it_pays and gain is not None and gain.estimate <= 0 and not ordered:
        retrain = False
        reasons.append(
            f"it would not pay: {gain.estimate:,.2f} expected after the cost of {situation.cost:,.2f}"
        )
    if gain is not None:
        reasons.append(f"expected gain {gain.estimate:,.2f} ({gain.low:,.2f} to {gain.high:,.2f})")
    return RetrainAdvice(
        retrain, tuple(reasons), tuple(str(trigger) for trigger, _ in found), gain, situation.cost, ordered
    )
