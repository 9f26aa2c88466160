"""The columns that a model reads: raw ones, and those that are computed from a row by a definition."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from everloop.core.errors import SpecFault
from everloop.runtime.plan import DerivedColumn, PlanInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from everloop.model.columns import Kind
    from everloop.table.expression import Expression


@dataclass(frozen=True, slots=True)
class Features:
    """What a model may read.

    Attributes:
        kinds: Feature -> what kind of feature it is, in the order of the matrix.
        types: Column of the table -> its type in the words of `table.schema`.
        definitions: Feature -> the expression that computes it; one that is not here is a raw column.
    """

    kinds: Mapping[str, Kind]
    types: Mapping[str, str]
    definitions: Mapping[str, Expression] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, expression in self.definitions.items():
            if name in expression.columns:
                raise SpecFault(
                    f"The feature {name!r} is computed from a column of the same name.",
                    hint=f"data: {{features: {{{name}_2: ...}}}}",
                )

    def __iter__(self) -> Iterator[str]:
        return iter(self.kinds)

    def __len__(self) -> int:
        return len(self.kinds)

    def only(self, names: Iterable[str]) -> Features:
        """Gives these features alone, in their old order."""
        wanted = set(names)
        return replace(self, kinds={name: kind for name, kind in self.kinds.items() if name in wanted})

    @property
    def derived(self) -> tuple[DerivedColumn, ...]:
        """The definitions that the features need, those that they read in turn included."""
        return tuple(
            DerivedColumn(name, self.definitions[name].to_dict())
            for name in self._reached()
            if name in self.definitions
        )

    @property
    def inputs(self) -> tuple[PlanInput, ...]:
        """The raw columns that the features need."""
        return tuple(
            PlanInput(name, self.types[name]) for name in self._reached() if name not in self.definitions
        )

    @property
    def columns(self) -> list[str]:
        """Every column that a table needs for them, raw and computed."""
        return self._reached()

    def _reached(self) -> list[str]:
        found: dict[str, None] = {}
        waiting = list(self.kinds)
        while waiting:
            name = waiting.pop(0)
            if name in found:
                continue
            found[name] = None
            if name in self.definitions:
                waiting.extend(self.definitions[name].columns)
        return list(found)
