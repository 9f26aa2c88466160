"""A backtest: what each retraining policy would have earned on history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from everloop.core.clock import as_utc, parse_time
from everloop.report import Badge, Figures, Page, Picture, Section, Table, Text, pictures
from everloop.report.writing import day, money, plural

if TYPE_CHECKING:
    from everloop.report.page import Block

Policy = Mapping[str, Any]
BASE = "never"


def backtest_page(result: Mapping[str, Any], *, lifecycle: str = "") -> Page:
    """Tells what a backtest found.

    Args:
        result: `BacktestResult.to_dict()` of `everloop.loop.compared`.
        lifecycle: The lifecycle's name.
    """
    policies: list[Policy] = sorted(result["policies"], key=lambda each: -float(each["net"]))
    currency = str(result.get("currency") or "")
    best = next(each for each in policies if each["name"] == result["best"])
    blocks: list[Block] = [
        *_over_time(policies, float(result["window"]), currency),
        _table(policies, best, currency),
        *([Text(str(result["meaning"]))] if result.get("meaning") else []),
        _earned(policies, best, currency),
        *_against_never(policies, currency),
        *_by_month(policies, currency),
    ]
    compared = plural(int(result["decisions"]), "decision")
    return Page(
        title=f"{lifecycle}: backtest" if lifecycle else "Backtest",
        subtitle=f"{day(result['since'])} to {day(result['until'])}, {compared}",
        sections=[Section("Policies", blocks, lead=str(result["verdict"]))],
        footer="The loop that runs in production, on a simulated clock over history.",
        summary=[
            Figures(
                [
                    ("best policy", str(best["name"]), f"in {best['best_in']:.0%} of resampled histories"),
                    ("after costs", money(best["net"], currency), f"cost {money(best['cost'], currency)}"),
                    ("retrains", str(best["retrains"]), f"{best['promoted']} promoted"),
                    ("policies", str(len(policies)), "compared on the same rows"),
                ]
            )
        ],
    )


def _over_time(policies: Sequence[Policy], seconds: float, currency: str) -> list[Block]:
    """What each policy has earned so far more than never retraining, above what it did meanwhile."""
    base = next((each for each in policies if each["name"] == BASE), policies[-1])
    others = [each for each in policies if each is not base]
    if not others or len(base["windows"]) < 2:
        return []
    length = timedelta(seconds=seconds)
    ends = [parse_time(window["since"]) + length for window in base["windows"]]
    begin = ends[0] - length
    kept = [_net(window) for window in base["windows"]]
    lines = []
    for each in others:
        gained = [_net(window) - usual for window, usual in zip(each["windows"], kept, strict=True)]
        lines.append(pictures.Line(each["name"], [begin, *ends], [0.0, *accumulate(gained)]))
    lanes = [
        pictures.Lane(f"{each['name']}: {what}", marks=_marks(each, what, length))
        for each, what in _happened(policies)
    ]
    drawn = pictures.lines(
        lines, y_label=f"{currency}, after costs", level=(0.0, f"as {base['name']}"), lanes=lanes
    )
    told = f"What each policy had earned by then more than {base['name']}, its costs paid, and what it did."
    return [Picture(drawn, told)]


def _happened(policies: Sequence[Policy]) -> list[tuple[Policy, str]]:
    pairs = [(each, what) for each in policies for what in ("retrains", "alarms")]
    return [(each, what) for each, what in pairs if any(window[what] for window in each["windows"])]


def _marks(policy: Policy, what: str, length: timedelta) -> list[pictures.Mark]:
    return [
        pictures.Mark(parse_time(window["since"]) + length, f"{window[what]} {what}", bad=what == "alarms")
        for window in policy["windows"]
        if window[what]
    ]


def _net(window: Mapping[str, Any]) -> float:
    return float(window["value"]) - float(window["cost"])


def _earned(policies: Sequence[Policy], best: Policy, currency: str) -> Picture:
    drawn = pictures.bars(
        {each["name"]: float(each["net"]) for each in policies},
        x_label=f"{currency}, retrains and labels paid",
        highlight=[best["name"]],
        names=("policy", "best"),
        write=money,
    )
    return Picture(drawn, "What each policy earned on the same decisions, after its costs.")


def _against_never(policies: Sequence[Policy], currency: str) -> list[Block]:
    known = {each["name"]: each["against_never"] for each in policies if each.get("against_never")}
    gains = {
        name: (found["low"], found["estimate"], found["high"])
        for name, found in known.items()
        if None not in (found["low"], found["estimate"], found["high"])
    }
    if not gains:
        return []
    unit, never = f"{currency} a decision", (0.0, "never retraining")
    drawn = pictures.intervals(gains, x_label=unit, level=never, write=money)
    return [Picture(drawn, "What a decision was worth more than without any retrain, row by row.")]


def _by_month(policies: Sequence[Policy], currency: str) -> list[Block]:
    months = [
        pictures.Line(each["name"], [_month(name) for name in each["months"]], list(each["months"].values()))
        for each in policies
        if len(each["months"]) > 1
    ]
    if not months:
        return []
    drawn = pictures.lines(months, y_label=f"{currency} a decision")
    return [Picture(drawn, "What a decision was worth, month by month.")]


def _table(policies: Sequence[Policy], best: Policy, currency: str) -> Table:
    rows = [
        [
            Badge(each["name"], "yes" if each is best else "plain"),
            money(each["net"], currency),
            money(each["value"], currency),
            money(each["cost"], currency),
            each["value_per_decision"],
            each["retrains"],
            each["promoted"],
            each["alarms"],
            f"{each['best_in']:.0%}",
        ]
        for each in policies
    ]
    columns = ["policy", "after costs", "value", "cost", "a decision"]
    return Table([*columns, "retrains", "promoted", "alarms", "best in"], rows)


def _month(text: str) -> datetime:
    return as_utc(datetime.fromisoformat(f"{text}-01" if len(text) == len("2013-05") else text))
