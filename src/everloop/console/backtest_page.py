"""A backtest: what each retraining policy would have earned on history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from everloop.core.clock import as_utc
from everloop.report import Badge, Figures, Page, Picture, Section, Table, pictures
from everloop.report.writing import day, money, plural

if TYPE_CHECKING:
    from everloop.report.page import Block

Policy = Mapping[str, Any]


def backtest_page(result: Mapping[str, Any], *, lifecycle: str = "") -> Page:
    """Tells what a backtest found.

    Args:
        result: `BacktestResult.to_dict()` of `everloop.loop.backtest`.
        lifecycle: The lifecycle's name.
    """
    policies: list[Policy] = list(result["policies"])
    currency = str(result.get("currency") or "")
    best = next(each for each in policies if each["name"] == result["best"])
    blocks: list[Block] = [
        _earned(policies, best, currency),
        *_against_never(policies, currency),
        *_by_month(policies, currency),
        _table(policies, best, currency),
    ]
    compared = plural(int(result["decisions"]), "decision")
    return Page(
        title=f"{lifecycle}: backtest" if lifecycle else "Backtest",
        subtitle=f"{day(result['since'])} to {day(result['until'])}, {compared}",
        sections=[
            Section("Policies", blocks, lead=f"{best['name']!r} would have earned most after its costs.")
        ],
        footer="The loop that runs in production, on a simulated clock over history.",
        summary=[
            Figures(
                [
                    ("best policy", str(best["name"]), plural(int(best["retrains"]), "retrain")),
                    ("a decision", money(best["value_per_decision"], currency), "under it"),
                    ("after costs", money(best["net"], currency), f"cost {money(best['cost'], currency)}"),
                    ("policies", str(len(policies)), "compared on the same rows"),
                ]
            )
        ],
    )


def _earned(policies: Sequence[Policy], best: Policy, currency: str) -> Picture:
    drawn = pictures.bars(
        {each["name"]: float(each["net"]) for each in policies},
        x_label=f"{currency}, retrains and labels paid",
        highlight=[best["name"]],
        names=("policy", "best"),
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
    drawn = pictures.intervals(gains, x_label=f"{currency} a decision", level=(0.0, "never retraining"))
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
            each["value_per_decision"],
            money(each["value"], currency),
            each["retrains"],
            each["promoted"],
            each["alarms"],
            money(each["cost"], currency),
            money(each["net"], currency),
        ]
        for each in policies
    ]
    columns = ["policy", "a decision", "all", "retrains", "promoted", "alarms", "cost", "after costs"]
    return Table(columns, rows)


def _month(text: str) -> datetime:
    return as_utc(datetime.fromisoformat(f"{text}-01" if len(text) == len("2013-05") else text))
