"""`everloop backtest`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from everloop.cli.options import DEFAULT_FILE, LifecycleFile
from everloop.cli.output import Answer, table
from everloop.cli.progress import watching
from everloop.cli.reading import opened, optional_time

if TYPE_CHECKING:
    from everloop.loop.backtest import BacktestResult


def command(  # noqa: PLR0913, PLR0917  (one argument for each option)
    context: typer.Context,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="never, weekly, monthly, drift or pays; several times."),
    ] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Where to begin (ISO 8601).")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Where to end.")] = None,
    sample: Annotated[str, typer.Option(metavar="PERCENT", help="The share of the rows.")] = "100%",
    seed: Annotated[int, typer.Option(help="Which rows the sample takes.")] = 0,
    every: Annotated[
        str, typer.Option(metavar="DURATION", help="The time between two looks of the loop.")
    ] = "1d",
    file: LifecycleFile = DEFAULT_FILE,
) -> Answer:
    """Replays history through the loop under several retraining policies and compares what they earn.

    The same loop, on a simulated clock, in this process; the lifecycle's own record stays as it is.

    Example:
        everloop backtest --since 2013-05-01 --sample 20%
        everloop backtest --policy monthly --policy pays
    """
    from everloop.core.units import parse_duration, parse_percent
    from everloop.loop.backtest import POLICIES, backtest

    with watching(context) as progress, opened(file, progress) as workspace:
        result = backtest(
            workspace,
            policy or tuple(POLICIES),
            optional_time(since),
            optional_time(until),
            sample=parse_percent(sample),
            seed=seed,
            every=parse_duration(every),
        )
    return Answer(result.to_dict(), _told(result))


def _told(result: BacktestResult) -> str:
    money = result.currency or "value"
    rows = [
        (
            policy.name,
            f"{policy.value_per_decision:.3f}",
            "" if policy.against_never is None else str(policy.against_never),
            f"{policy.value:,.0f}",
            policy.retrains,
            policy.promoted,
            policy.alarms,
            f"{policy.cost:,.2f}",
        )
        for policy in result.policies
    ]
    headings = (
        "policy",
        f"{money}/decision",
        "against never",
        money,
        "retrains",
        "promoted",
        "alarms",
        "cost",
    )
    by_month = table(
        ("month", *(policy.name for policy in result.policies)),
        [
            (month, *(f"{policy.months[month]:.3f}" for policy in result.policies))
            for month in result.policies[0].months
        ],
    )
    span = f"{result.since:%Y-%m-%d} to {result.until:%Y-%m-%d}, {result.decisions:,} decisions"
    return f"\n{span}\n\n{table(headings, rows)}\n\n{by_month}\n\nbest after costs: {result.best.name}"
