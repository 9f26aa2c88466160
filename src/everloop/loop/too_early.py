"""What the lifecycle file reads as if it were known before, of the columns that tell what came of a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from everloop.core.errors import EverloopError, SpecFault
from everloop.table.acting import known_later

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec


def read_too_early(spec: LifecycleSpec) -> Iterator[EverloopError]:
    """Gives an error for each feature, and for today's rule, that reads what is known only afterwards.

    What cannot be read at all is told elsewhere.
    """
    try:
        later = known_later(spec.goal, spec.problem)
    except SpecFault as fault:
        yield fault
        return
    if not later:
        return
    for place, what, columns in _readers(spec):
        read = [name for name in columns if name in later]
        if read:
            yield SpecFault(
                f"{what} reads {', '.join(read)}, which goal.value.kpi prices as what comes of a row, and no "
                "row has when it is asked for.",
                hint="read another column; or, where it is known beforehand, take it out of problem.exclude",
                place=place,
            )


def _readers(spec: LifecycleSpec) -> Iterator[tuple[str, str, Iterable[str]]]:
    """Gives the place, the name and the columns of what is worked out when a row is asked for."""
    from everloop.table.expression import parse

    today = spec.goal.today
    if today is not None and today.rule is not None:
        with suppress(EverloopError):
            yield "goal.today.rule", "Today's rule", parse(today.rule).columns
    for name, feature in spec.data.features.items():
        with suppress(EverloopError):
            yield f"data.features.{name}", f"The feature {name}", _columns(spec, name, feature)


def _columns(spec: LifecycleSpec, name: str, feature: Any) -> Iterable[str]:
    from everloop.data.joining import joined_names
    from everloop.data.python_features import is_python, load_python_features
    from everloop.table.expression import parse
    from everloop.table.feature_joined import define_joined

    if is_python(feature):
        functions = load_python_features(spec.data, spec.folder)
        return next(one.columns for one in functions if one.name == name)
    if name not in joined_names(spec.data):
        return parse(str(feature)).columns
    source = spec.data.sources.get(feature.source)
    # Where rows of the source say when they were known, no earlier one is read.
    return () if getattr(source, "known", None) else define_joined(name, cast("Any", feature)).columns
