"""What comes in beside requests for answers: actuals of earlier ones, and events of sources."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from everloop.core.errors import NotFound, OutsideFault
from everloop.core.tasks import decides_by
from everloop.runtime.http import Refusal
from everloop.runtime.service.problems import problem, refused
from everloop.table.labels import label_text

if TYPE_CHECKING:
    from everloop.runtime.features import Added
    from everloop.runtime.manifest import Manifest
    from everloop.runtime.service.arms import LoadedRouting
    from everloop.runtime.service.joining import FeatureJoin
    from everloop.runtime.service.shedding import Shedding


NUMBERS_COME = ("regression", "clustering")
"""The tasks whose actual is a number: of a row in a cluster the money that came of acting on it."""


def actual_of(manifest: Manifest, value: Any, index: int) -> str | float:
    """Gives an actual as the log keeps it: a class's text, or a number.

    Args:
        manifest: Says which there are.
        value: As it was sent.
        index: Its place among those that were sent.

    Raises:
        Refusal: 422 when it is none of the classes or no number.
    """
    field = f"actuals[{index}].actual"
    if manifest.task in NUMBERS_COME:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < math.inf:
            return float(min(max(value, -1e308), 1e308))
        raise refused("An actual is no number.", [problem(field, "type", "a number", value)])
    text = label_text(value) if isinstance(value, (str, bool, int, float)) else None
    if text is not None and decides_by(manifest.task, "items"):  # what was had may be no listed item
        return text
    if text is None or text not in manifest.classes:
        expected = f"one of {list(manifest.classes)}"
        raise refused("An actual is none of the classes.", [problem(field, "class", expected, value)])
    return text


async def take_events(
    features: FeatureJoin,
    routing: LoadedRouting,
    shedding: Shedding,
    source: str,
    events: Sequence[Any],
    now: int,
) -> Added:
    """Takes events of a source into the online store, all of them or none.

    Args:
        features: What keeps them.
        routing: What is served: its features say which events are wanted.
        shedding: Gives the refusal where the store does not answer.
        source: The source's name in the lifecycle file.
        events: Column to value, as JSON gives them.
        now: The time, in microseconds since 1970.

    Raises:
        Refusal: 404 when no feature reads the source, 422 when an event is flawed, 503 when the store does
            not answer.
    """
    problems = [
        problem(f"events[{place}]", "type", "an object of column to value", event)
        for place, event in enumerate(events)
        if not isinstance(event, dict)
    ]
    try:
        if not problems:
            problems = [
                {"field": f"events[{flaw.row}].{flaw.field}", "rule": "type"}
                | {"expected": flaw.expected, "type": flaw.type}
                for flaw in features.flaws(routing, source, events)
            ]
        if problems:
            raise refused("Events are flawed; none was taken.", problems)
        return await features.take(routing, source, events, now)
    except NotFound as error:
        raise Refusal(404, "No feature reads this source.", error.message) from None
    except OutsideFault:
        raise shedding.unavailable("features", "The online store does not answer.") from None
