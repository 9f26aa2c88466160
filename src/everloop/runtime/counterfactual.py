"""Counterfactuals: the smallest change of a row that a package decides otherwise.

The search asks the package itself, so what it gives is true of what serves: every proposal was scored, is
decided as wanted, and satisfies the contract. Fewest columns first (every single change, then pairs, then
more from the nearest of them), then the least distance; a number is moved back towards what it was for as
long as the decision stands.

Source:
    Wachter, Mittelstadt and Russell, "Counterfactual explanations without opening the black box", Harvard
    JOLT 31 (2018), with the sparsity and the actionable columns of Ustun, Spangher and Liu, "Actionable
    recourse", FAT* 2019.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault, UsageFault
from everloop.runtime.encoders import LookupEncoder, NumberEncoder, OneHotEncoder

if TYPE_CHECKING:
    from everloop.runtime.package import Package

MOST_CHANGES = 3
BEAM = 16
STEPS = 10
FINE, EVEN = 201, 15
"""How many numbers over the range are tried where one column changes, and where more do."""

HALVINGS = 14
MOST_CATEGORIES = 40
REFINED = 12

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """One column that is changed.

    Attributes:
        column: The raw input.
        value: What it is in the row.
        to: What it would have to be.
        distance: How far that is: a share of the column's range, 1 for another category.
    """

    column: str
    value: Any
    to: Any
    distance: float


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """A row that is decided as wanted.

    Attributes:
        changes: What is changed, the largest first.
        row: The changed row.
        prediction: What the package says of it.
        score: Its score; of several classes one each.
    """

    changes: tuple[Change, ...]
    row: dict[str, Any]
    prediction: str
    score: float | tuple[float, ...]

    @property
    def distance(self) -> float:
        """The sum of the changes' distances."""
        return sum(change.distance for change in self.changes)


@dataclass(frozen=True, slots=True)
class _Domain:
    """What a column may be."""

    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    whole: bool = False

    @property
    def numeric(self) -> bool:
        return not self.values

    def distance(self, value: Any, to: Any) -> float:
        if not self.numeric or value is None or self.high <= self.low:
            return 1.0
        return min(1.0, abs(float(to) - float(value)) / (self.high - self.low))

    def proposals(self, value: Any, even: int) -> list[Any]:
        """Gives what to try: every other category, or numbers over the range and ever nearer to what is."""
        if not self.numeric:
            return [other for other in self.values if other != value]
        start = self.low if value is None else float(value)
        span = self.high - self.low
        steps = span * 2.0 ** -np.arange(STEPS)
        tried = np.clip(
            np.concatenate([start - steps, start + steps, np.linspace(self.low, self.high, even)]),
            self.low,
            self.high,
        )
        shaped = {self.shaped(number) for number in tried.tolist()}
        return sorted(number for number in shaped if number != value)

    def shaped(self, number: float) -> Any:
        return round(number) if self.whole else float(number)


@dataclass(frozen=True, slots=True)
class _State:
    """A changed row on the way, with how near it is to the wanted decision."""

    row: dict[str, Any]
    changed: tuple[str, ...]
    nearness: float
    flipped: bool


def counterfactual(
    package: Package,
    row: Row,
    wanted: str | None = None,
    *,
    fixed: Sequence[str] = (),
    most: int = MOST_CHANGES,
) -> Counterfactual | None:
    """Finds the smallest change of a row that is decided as wanted; see `Package.counterfactual`."""
    search = _Search(package, row, wanted, frozenset(fixed))
    states = [search.start]
    for _ in range(min(most, len(search.domains))):
        states = search.widened(states)
        flipped = [state for state in states if state.flipped]
        if flipped:
            flipped.sort(key=lambda state: (search.distance(state), state.changed))
            refined = [search.refined(state) for state in flipped[:REFINED]]
            return search.told(min(refined, key=lambda state: (search.distance(state), state.changed)))
        states = sorted(states, key=lambda state: (-state.nearness, state.changed))[:BEAM]
    return None


class _Search:
    def __init__(self, package: Package, row: Row, wanted: str | None, fixed: frozenset[str]) -> None:
        from everloop.table.contract import row_checker

        manifest = package.manifest
        if manifest.task == "regression":
            raise ModelFault("A number is not decided one way or another, so it has no counterfactual.")
        self.package = package
        self.original = dict(row)
        self.prediction = str(package.answer(row).prediction)
        self.wanted = _wanted(manifest.classes, self.prediction, wanted)
        self.checker = row_checker(package.contract)
        unknown = fixed - {item.name for item in manifest.inputs}
        if unknown:
            raise UsageFault(
                f"{sorted(unknown)[0]!r} is no input of the package; "
                f"it reads {', '.join(item.name for item in manifest.inputs)}."
            )
        self.domains = _domains(package, fixed | set(manifest.fixed))
        self.start = _State(self.original, (), float("-inf"), flipped=False)

    def widened(self, states: list[_State]) -> list[_State]:
        """Changes one more column of each state, in every way; rows that break the contract are left out."""
        rows, changed, seen = [], [], set()
        for state in states:
            for column, domain in self.domains.items():
                if column in state.changed:
                    continue
                for value in domain.proposals(state.row.get(column), EVEN if state.changed else FINE):
                    columns = tuple(sorted((*state.changed, column)))
                    key = (columns, tuple(value if name == column else state.row[name] for name in columns))
                    if key not in seen:
                        seen.add(key)
                        rows.append({**state.row, column: value})
                        changed.append(columns)
        return [state for state in self._scored(rows, changed) if not self.checker(state.row)]

    def refined(self, state: _State) -> _State:
        """Moves each changed number back towards what it was, for as long as the decision stands."""
        for column in state.changed:
            domain, value = self.domains[column], self.original.get(column)
            if not domain.numeric or value is None:
                continue
            stays, flips = float(value), float(state.row[column])
            for _ in range(HALVINGS):
                middle = domain.shaped((stays + flips) / 2)
                if middle in (stays, flips, value):
                    break
                (tried,) = self._scored([{**state.row, column: middle}], [state.changed])
                if tried.flipped and not self.checker(tried.row):
                    state, flips = tried, float(middle)
                else:
                    stays = float(middle)
        return state

    def distance(self, state: _State) -> float:
        """How far a state is from the row."""
        return sum(
            self.domains[name].distance(self.original.get(name), state.row[name]) for name in state.changed
        )

    def told(self, state: _State) -> Counterfactual:
        """Gives a state as what is answered, scored once more as the server would."""
        answer = self.package.answer(state.row)
        changes = [
            Change(
                name,
                self.original.get(name),
                state.row[name],
                self.domains[name].distance(self.original.get(name), state.row[name]),
            )
            for name in state.changed
        ]
        changes.sort(key=lambda change: (-change.distance, change.column))
        return Counterfactual(tuple(changes), state.row, str(answer.prediction), answer.score)

    def _scored(self, rows: list[dict[str, Any]], changed: list[tuple[str, ...]]) -> list[_State]:
        if not rows:
            return []
        answers = self.package.answers(rows)
        return [
            _State(row, columns, self._nearness(answer.score), str(answer.prediction) == self.wanted)
            for row, columns, answer in zip(rows, changed, answers, strict=True)
        ]

    def _nearness(self, score: float | tuple[float, ...]) -> float:
        classes = self.package.manifest.classes
        if isinstance(score, tuple):
            return score[classes.index(self.wanted)]
        return score if self.wanted == classes[-1] else -score


def _wanted(classes: tuple[str, ...], prediction: str, wanted: str | None) -> str:
    if wanted is None:
        if len(classes) == 2:
            return next(name for name in classes if name != prediction)
        raise UsageFault(
            f"Which class is wanted must be said where there are several: {', '.join(classes)}.",
            hint=f"wanted={next(name for name in classes if name != prediction)!r}",
        )
    if wanted not in classes:
        raise UsageFault(f"{wanted!r} is no class; there are {', '.join(classes)}.")
    if wanted == prediction:
        raise UsageFault(f"The row is decided {wanted!r} already: there is nothing to change.")
    return wanted


def _domains(package: Package, fixed: frozenset[str]) -> dict[str, _Domain]:
    """Gives what each column that may change can be; columns without a known range or list are left out."""
    rules = {rule.name: rule for rule in package.contract.columns}
    found = {}
    for item in package.manifest.inputs:
        if item.name in fixed or item.origin != "row":
            continue
        rule = rules.get(item.name)
        domain = _domain(package, item.name, item.type, rule)
        if domain is not None:
            found[item.name] = domain
    return found


def _domain(package: Package, name: str, type_name: str, rule: Any) -> _Domain | None:
    if rule is not None and rule.allowed is not None:
        return _Domain(values=tuple(rule.allowed[:MOST_CATEGORIES]))
    if type_name == "boolean":
        return _Domain(values=(False, True))
    encoders = [one for one in package.plan.encoders if one.column == name]
    if type_name == "text":
        texts = dict.fromkeys(chain.from_iterable(_categories(one) for one in encoders))
        return _Domain(values=tuple(texts)[:MOST_CATEGORIES]) if texts else None
    if type_name not in ("integer", "number"):
        return None
    low = rule.minimum if rule is not None else None
    high = rule.maximum if rule is not None else None
    numbers = [one for one in encoders if isinstance(one, NumberEncoder)]
    low = low if low is not None else next((one.low for one in numbers if one.low is not None), None)
    high = high if high is not None else next((one.high for one in numbers if one.high is not None), None)
    if low is None or high is None or not low < high:
        return None
    return _Domain(low=float(low), high=float(high), whole=type_name == "integer")


def _categories(encoder: Any) -> tuple[str, ...]:
    if isinstance(encoder, OneHotEncoder):
        return encoder.categories
    return tuple(encoder.values) if isinstance(encoder, LookupEncoder) else ()
