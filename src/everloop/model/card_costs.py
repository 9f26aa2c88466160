"""What a version costs: energy and money, from what is on record; what is not on record is said so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop.model.card_origin import Origins
from everloop.report import Facts, Text
from everloop.report.writing import money, number

if TYPE_CHECKING:
    from everloop.model.trained import Trained
    from everloop.report.page import Block

WATTS = 15.0
"""Assumed for a processor core under load, its share of memory and cooling included."""

UNKNOWN = "unknown: it is not on record"


def cost_blocks(
    trained: Trained | None, brief: Mapping[str, Any], currency: str, origins: Origins
) -> list[Block]:
    """Tells the time of training, its energy as an estimate, and what labels and predictions cost.

    Args:
        trained: The model, with its trials and how long each took; None leaves the times out.
        brief: Facts of the goal's brief.
        currency: What the brief's money is in.
        origins: The steps that figures are linked to: money to the brief's.
    """
    seconds = 0.0 if trained is None else sum(trial.seconds for trial in trained.trials)
    unknown = "in the report of the version: everloop report" if trained is None else UNKNOWN
    monthly, labels = brief.get("cost_per_month"), brief.get("labels")
    told = {
        "Search": f"{_duration(seconds)} of trials" if seconds > 0 else unknown,
        "Energy of the search": f"about {_energy(seconds)} (an estimate)" if seconds > 0 else unknown,
        **origins.told(
            {
                "Labels": money(labels, currency) if labels else UNKNOWN,
                "Predictions in a month": money(monthly, currency) if monthly is not None else UNKNOWN,
            },
            "brief",
        ),
        "Energy of a prediction": UNKNOWN,
    }
    how = (
        f"The energy is the trials' time on one core at {number(WATTS)} W, which is assumed, not measured; "
        "the final fit, the data and the machine's making are not in it. "
        "Money is what goal.costs states."
    )
    return [Facts(told), Text(how)]


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{number(seconds)} s"
    return f"{number(seconds / 60)} min" if seconds < 7200 else f"{number(seconds / 3600)} h"


def _energy(seconds: float) -> str:
    joules = seconds * WATTS
    return f"{number(joules / 3600)} Wh" if joules < 3.6e6 else f"{number(joules / 3.6e6)} kWh"
