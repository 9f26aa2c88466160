"""How each cost grows: the same work at three sizes, each four times the one before.

Processor time is what is compared, so what other programs take does not count. Beside each size stands the
one before it: four times as much is linear, as much is flat. `benchmarks.growth_tables` has what grows with
a table, `benchmarks.growth_loop` what grows with traffic and with a lifecycle's past.
"""

from __future__ import annotations

from benchmarks import growth_loop, growth_tables
from benchmarks.figures import Options, Report
from benchmarks.growth_cost import grown, measured_at, order


def run(options: Options) -> Report:
    """Measures each cost at its sizes, one after the other."""
    figures, notes = [], []
    for cost in (*growth_tables.COSTS, *growth_loop.COSTS):
        measured = {size: measured_at(cost, size) for size in cost.sizes(quick=options.quick)}
        figures += list(grown(cost, measured, goal=not options.quick))
        notes.append(f"{cost.what}: {cost.by} to the power of {order(measured):.2f}")
    return Report(tuple(figures), tuple(notes))
