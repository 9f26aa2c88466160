"""What every room stands on: clock, ids, errors, units, progress, files, extras.

Example:
    >>> from everloop.core import Bound, parse_duration
    >>> parse_duration("12h").total_seconds(), Bound.parse(">= 0.6").holds(0.7)
    (43200.0, True)
"""

from everloop.core.clock import Clock, SimulatedClock, SystemClock, as_utc, parse_time
from everloop.core.errors import EverloopError, NegativeAnswer, OutsideFault, UsageFault
from everloop.core.ids import new_id
from everloop.core.progress import Event, Progress, silent
from everloop.core.units import Bound, Rate, format_duration, parse_duration, parse_percent

__all__ = [
    "Bound",
    "Clock",
    "Event",
    "EverloopError",
    "NegativeAnswer",
    "OutsideFault",
    "Progress",
    "Rate",
    "SimulatedClock",
    "SystemClock",
    "UsageFault",
    "as_utc",
    "format_duration",
    "new_id",
    "parse_duration",
    "parse_percent",
    "parse_time",
    "silent",
]
