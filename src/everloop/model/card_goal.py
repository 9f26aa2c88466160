"""Whether the goal is worth pursuing, from the brief on record: the verdict, and the evidence for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from everloop.model.card_origin import Origins
from everloop.report import Facts, Verdict
from everloop.report.writing import money, number, percent
from everloop.table.quick_look import MOST_WRONG

if TYPE_CHECKING:
    from everloop.report.page import Block

_TRAINED = _AFTER, _PAID = "Expected gain after training", "Paid back"
_ANSWERS = {"go": "yes", "stop": "no", "more labels": "open", "rephrase": "open"}


def verdict_blocks(
    brief: Mapping[str, Any], after: Mapping[str, Any] | None = None, origins: Origins | None = None
) -> list[Block]:
    """Tells the verdict on the goal, and what it rests on.

    Args:
        brief: Facts of the brief; of none nothing is told.
        after: What a month brings by the trained model, where that is known.
        origins: The steps that figures are linked to; what follows from the model comes from training.
    """
    if not brief.get("verdict"):
        return []
    said: dict[str, Any] = verdict_facts(brief, after)
    if origins is not None:
        said |= origins.told({name: said[name] for name in _TRAINED if name in said}, "train")
    evidence: list[Block] = [Facts(said)] if said else []
    return [verdict_of(brief), *evidence]


def verdict_of(brief: Mapping[str, Any]) -> Verdict:
    """Gives the verdict with its reasons."""
    reasons = "; ".join(brief["reasons"])
    text = f"{reasons[:1].upper()}{reasons[1:]}{'' if reasons.endswith('.') else '.'}" if reasons else ""
    return Verdict(_ANSWERS.get(brief["verdict"], "open"), text, label=f"{brief['verdict'].capitalize()}.")


def verdict_facts(brief: Mapping[str, Any], after: Mapping[str, Any] | None) -> dict[str, str]:
    """Gives the evidence by its name; what is not known is left out."""
    told = {
        "Expected gain before training": _month(brief.get("outlook"), brief.get("currency") or ""),
        _AFTER: _month(after, brief.get("currency") or ""),
        _PAID: None if after is None else _paid(after),
        **_signal(brief.get("signal")),
    }
    return {name: value for name, value in told.items() if value}


def _month(outlook: Mapping[str, Any] | None, currency: str) -> str | None:
    month = outlook["gain_per_month"] if outlook else None
    if month is None:
        return None
    ends = f"{money(month['low'], currency)} to {money(month['high'], currency)}"
    return f"{money(month['estimate'], currency)} a month ({ends})"


def _paid(outlook: Mapping[str, Any]) -> str | None:
    if outlook["gain_per_month"] is None or not outlook["upfront"]:
        return None
    days = outlook["payback_days"]
    if days is None:
        return "never"
    return "within a day" if days < 1 else f"after {number(days)} days"


def _signal(found: Mapping[str, Any] | None) -> dict[str, str | None]:
    if not found:
        return {}
    return {
        "A quick model": f"{found['metric']} {number(found['score'])}; shuffled labels "
        f"{number(found['chance_score'])} (p = {found['p_value']:.2g})",
        "The best rule on one column": f"{found['rule']}: {number(found['rule_score'])}"
        if found["rule"]
        else None,
        "Labels that look wrong": _wrong(found["noise"]),
    }


def _wrong(share: float | None) -> str | None:
    if share is None:
        return None
    if share > MOST_WRONG:
        return f"cannot be told: the quick model expects another label in {percent(share)} of the rows"
    return percent(share)
