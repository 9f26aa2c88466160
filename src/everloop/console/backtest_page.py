"""A backtest: what each retraining policy would have earned on history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from everloop.core.clock import as_utc
from everloop.report import Badge, Figures, Page, Picture, Section, Table, pictures
from everloop.report.writing import day, money, number, plural


def backtest_page(result: Mapping[str, Any], *, lifecycle: str = "") -> Page:
    """Tells what a backtest found.

    Args:
        result: `BacktestResult.to_dict()` of `everloop.loop.backtest`.
        lifecycle: The lifecycle's name.
    """
    policies = list(result["policies"])
    currency = str(result.get("currency") or "")
    best = next(each for each in policies if each["name"] == result["best"])
    months = [
        pictures.Line(each["name"], [_month(m) for m in each["months"]], list(each["months"].values()))
        for each in policies
        if each["months"]
    ]
    net = {each["name"]: float(each["net"]) for each in policies}
    blocks: list[Any] = [
        Picture(
            pictures.bars(net, x_label=f"{currency}, retrains and labels paid", highlight=[best["name"]],
                          names=("policy", "best")),
            "What each policy earned on the same decisions, after its costs.",
        ),
    ]  # fmt: skip
    gains = {
        each["name"]: (
            each["against_never"]["low"],
            each["against_never"]["estimate"],
            each["against_never"]["high"],
        )
        for each in policies
        if each.get("against_never") and each["against_never"].get("low") is not None
    }
    if gains:
        drawn = pictures.intervals(gains, x_label=f"{currency} a decision", level=(0.0, "never retraining"))
        blocks.append(Picture(drawn, "What a decision was worth more than without any retrain, row by row."))
    if months and len(months[0].x) > 1:
        drawn = pictures.lines(months, y_label=f"{currency} a decision")
        blocks.append(Picture(drawn, "What a decision was worth, month by month."))
    rows = [
        [
            Badge(each["name"], "yes" if each is best else "plain"), each["value_per_decision"],
            money(each["value"], currency), each["retrains"], each["promoted"], each["alarms"],
            money(each["cost"], currency), money(each["net"], currency),
        ]
        for each in policies
    ]  # fmt: skip
    blocks.append(
        Table(["policy", "a decision", "all", "retrains", "promoted", "alarms", "cost", "after costs"], rows)
    )
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
                    ("policies", number(float(len(policies))), "compared on the same rows"),
                ]
            )
        ],
    )


def _month(text: str) -> datetime:
    return as_utc(datetime.fromisoformat(f"{text}-01" if len(text) == len("2013-05") else text))
