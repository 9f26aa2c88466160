"""Counters and histograms, written as Prometheus text.

The format: https://prometheus.io/docs/instrumenting/exposition_formats/. Every label has a bounded
set of values: routes, known fields, versions; never what a client sent.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
COUNTED_TOGETHER = 256
"""So many answers are counted at once at the latest."""

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Family:
    """A metric: its name, what it counts, its labels."""

    name: str
    meaning: str
    labels: Labels = ()
    kind: str = "counter"


REQUESTS = Family("everloop_requests_total", "Requests answered.", ("route", "method", "status"))
PREDICTIONS = Family("everloop_predictions_total", "Predictions made.", ("version", "arm"))
FAMILIES = (
    REQUESTS,
    PREDICTIONS,
    Family("everloop_contract_violations_total", "What rows violated.", ("field", "rule")),
    Family("everloop_actuals_total", "Actuals taken."),
    Family("everloop_events_total", "Events of sources taken.", ("source",)),
    Family("everloop_shed_total", "Requests answered 503.", ("reason",)),
    Family("everloop_version_shed_total", "Requests answered 503 as their version was full.", ("version",)),
    Family("everloop_shadow_errors_total", "Shadow answers that could not be made."),
    Family("everloop_shadow_dropped_total", "Rows that the shadow did not keep up with."),
    Family("everloop_fallbacks_total", "Rows that the champion answered since the challenger failed."),
    Family("everloop_load_failures_total", "Packages or routings that could not be loaded."),
    Family("everloop_log_lines_total", "Lines in the prediction log.", ("state",)),
    Family("everloop_log_waiting_bytes", "Bytes that wait for the disk.", kind="gauge"),
    Family("everloop_log_fault", "1 while the prediction log cannot be written.", kind="gauge"),
    Family("everloop_requests_now", "Requests under way.", kind="gauge"),
    Family("everloop_routing_generation", "The routing's generation.", kind="gauge"),
)
SECONDS = Family("everloop_request_seconds", "How long requests took.", ("route",), "histogram")


class Metrics:
    """All numbers of one lifecycle in a server process. Used from the event loop alone.

    Attributes:
        predicted: The version and the arm of predictions that are not counted yet. Whoever makes one adds it
            here, and calls `count` once there are `COUNTED_TOGETHER`: each answer comes by, and what is done
            for each has left the processor's caches since the last.
    """

    def __init__(self) -> None:
        self._values: dict[str, dict[Labels, float]] = {family.name: {} for family in FAMILIES}
        self.predicted: list[tuple[int, str]] = []
        self._answered: dict[tuple[str, str, int], Answers] = {}

    def add(self, name: str, *labels: str, amount: float = 1) -> None:
        """Adds to a counter."""
        values = self._values[name]
        values[labels] = values.get(labels, 0) + amount

    def put(self, name: str, value: float, *labels: str) -> None:
        """Sets a gauge, or a counter that is kept elsewhere."""
        self._values[name][labels] = value

    def count(self) -> None:
        """Counts the predictions and answers that are not counted yet."""
        for (version, arm), times in Counter(self.predicted).items():
            self.add(PREDICTIONS.name, str(version), arm, amount=times)
        self.predicted.clear()
        for answers in self._answered.values():
            answers.count()

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Counts an answer and how long it took."""
        answers = self.answers(route, method, status)
        answers.took(seconds)
        answers.count()

    def answers(self, route: str, method: str, status: int) -> Answers:
        """Gives where answers of a kind are counted, for those who give many of it."""
        at = (route, method, status)
        try:
            return self._answered[at]
        except KeyError:
            return self._answered.setdefault(at, Answers())

    def lines(self, family: Family, lifecycle: str = "") -> Iterator[str]:
        """Gives a family's values as lines of Prometheus text, with the label `lifecycle` if one is named."""
        if family is SECONDS:
            yield from self._histogram(lifecycle)
        elif family is REQUESTS:
            values = {(*at, str(status)): float(sum(one.times)) for (*at, status), one in self._given()}
            yield from _lines(family, values, lifecycle)
        else:
            if family is PREDICTIONS:
                self.count()
            yield from _lines(family, self._values[family.name], lifecycle)

    def _given(self) -> Iterator[tuple[tuple[str, str, int], Answers]]:
        """Gives the kinds of answers of which there are any."""
        return (found for found in self._answered.items() if any(found[1].times))

    def _histogram(self, lifecycle: str) -> Iterator[str]:
        name = SECONDS.name
        for route in dict.fromkeys(route for (route, _, _), _ in self._given()):
            of_route = [one for (known, _, _), one in self._given() if known == route]
            counts, total = (
                (sum(of_bound) for of_bound in zip(*(one.times for one in of_route), strict=True)),
                0,
            )
            for bound, count in zip((*map(str, LATENCY_BUCKETS), "+Inf"), counts, strict=True):
                total += count
                yield f"{name}_bucket{_labels(('route', 'le'), (route, bound), lifecycle)} {total}"
            labels = _labels(SECONDS.labels, (route,), lifecycle)
            yield f"{name}_sum{labels} {sum(one.seconds for one in of_route):.9g}"
            yield f"{name}_count{labels} {total}"


class Answers:
    """Answers of a route, a method and a status: how many took how long, and seconds in all.

    Attributes:
        took: Takes how many seconds an answer took. Whoever calls it has them counted in time, as
            `Metrics.predicted` says.
    """

    __slots__ = ("_seconds", "_times", "_uncounted", "took")

    def __init__(self) -> None:
        self._times = [0] * (len(LATENCY_BUCKETS) + 1)
        self._seconds = 0.0
        self._uncounted: list[float] = []
        self.took: Callable[[float], None] = self._uncounted.append

    @property
    def times(self) -> list[int]:
        """How many took as long as each bound at most and longer than the one before; last, longer."""
        self.count()
        return self._times

    @property
    def seconds(self) -> float:
        """How long they took in all."""
        self.count()
        return self._seconds

    def count(self) -> None:
        """Counts what is not counted yet."""
        for seconds in self._uncounted:
            self._times[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._seconds += sum(self._uncounted)
        self._uncounted.clear()


def metrics_text(parts: Sequence[tuple[str, Metrics]]) -> str:
    """Gives the numbers of lifecycles as one Prometheus text.

    Args:
        parts: The name of each lifecycle and its numbers; an empty name gives no label.
    """
    lines: list[str] = []
    for family in (*FAMILIES, SECONDS):
        lines += _heading(family)
        for lifecycle, numbers in parts:
            lines += numbers.lines(family, lifecycle)
    return "\n".join([*lines, ""])


def exposition(families: tuple[Family, ...], values: dict[str, dict[Labels, float]]) -> Iterator[str]:
    """Gives the lines of counters and gauges.

    Args:
        families: What is counted.
        values: For each family's name, its values by their labels.
    """
    for family in families:
        yield from _heading(family)
        yield from _lines(family, values[family.name])


def _heading(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {family.meaning}"
    yield f"# TYPE {family.name} {family.kind}"


def _lines(family: Family, values: dict[Labels, float], lifecycle: str = "") -> Iterator[str]:
    for labels, value in values.items():
        yield f"{family.name}{_labels(family.labels, labels, lifecycle)} {value:.16g}"


def _labels(names: Labels, values: Labels, lifecycle: str = "") -> str:
    if lifecycle:
        names, values = ("lifecycle", *names), (lifecycle, *values)
    if not names:
        return ""
    pairs = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{pairs}}}"


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
