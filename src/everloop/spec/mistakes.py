"""What is wrong in a lifecycle file, told to who writes it: the place, what was expected, what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ruamel.yaml.comments import CommentedMap

from everloop.core.errors import SpecFault
from everloop.core.nearness import near_names
from everloop.spec.places import Location, find_place, keys_at, own_steps
from everloop.spec.secret import EXPECTED_REFERENCE, holds_password

# What pydantic's kinds of errors mean to who writes YAML; braces are filled from the error's context.
_EXPECTED = {
    "tuple_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "string_type": "text (put it in quotes)",
    "string_pattern_mismatch": "a name of a-z, 0-9, - and _, that begins with a letter or digit",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of at least {ge:g}",
    "less_than_equal": "a number of at most {le:g}",
    "less_than": "a number below {lt:.0f}",
    "literal_error": "{expected}",
}
# Keys below which a value could be a secret that was written where its reference belongs.
_SECRETIVE = frozenset(
    "url webhook smtp auth record integrations headers http kafka servers pages sources alerts tokens".split()
)
# Keys below a source or receiver whose values are harmless to show.
_HARMLESS = frozenset("format cursor port within pattern email".split())


@dataclass(frozen=True, order=True, slots=True)
class Mistake:
    """One thing that is wrong.

    Attributes:
        line: Counted from 1.
        column: Counted from 1.
        path: The keys that lead to it.
        message: What was expected and what was found.
        hint: What to do.
    """

    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


def mistake_at(
    tree: CommentedMap, location: Location, message: str, hint: str = "", *, of_key: bool = False
) -> Mistake:
    """Makes a mistake at a location of the file."""
    place = find_place(tree, location, of_key=of_key)
    return Mistake(place.line, place.column, place.path, message, hint)


def mistake_of(tree: CommentedMap, error: Any) -> Mistake:
    """Tells one of pydantic's errors in the words of the file."""
    location: Location = error["loc"]
    kind = error["type"]
    if kind == "extra_forbidden":
        known = keys_at(location[:-1])
        message = f"{location[-1]!r} is no key of this part"
        hint = nearest(str(location[-1]), known) or f"known here: {', '.join(known)}"
        return mistake_at(tree, location, message, hint, of_key=True)
    if kind == "missing":
        return mistake_at(tree, location[:-1], f"the key {location[-1]!r} is missing")
    expected = _expected(error)
    # What stands where a secret's reference belongs may be the secret, whatever the key is called.
    found = "" if expected == EXPECTED_REFERENCE else _found(location, error.get("input"))
    return mistake_at(tree, location, f"{expected}{found}", _choice(error))


def nearest(name: str, known: Iterable[str]) -> str:
    """Asks whether the nearest of the known names was meant; nothing where none is near."""
    near = near_names(name, known)
    return f"did you mean {near[0]!r}?" if near else ""


def fault(name: str, mistakes: Iterable[Mistake]) -> SpecFault:
    """Makes one error of all mistakes, in the order of the file."""
    ordered = sorted(set(mistakes))
    first = ordered[0]
    place = f"{name}:{first.line}:{first.column}"
    if len(ordered) == 1:
        return SpecFault(f"{first}.", place=place, hint=first.hint or None)
    lines = [f"  {name}:{m.line}:{m.column}: {m}{f' ({m.hint})' if m.hint else ''}" for m in ordered]
    return SpecFault(f"The lifecycle file has {len(ordered)} mistakes:\n" + "\n".join(lines), place=place)


def _expected(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if message.startswith("expected"):
        return message
    known = _EXPECTED.get(error["type"])
    if known is not None:
        return f"expected {known.format(**error.get('ctx', {}))}"
    text = message.removeprefix("Input should be ").removeprefix("a valid ")
    return f"expected {text[0].lower()}{text[1:]}"


def _found(location: Location, value: Any) -> str:
    """Shows the value that was found, unless it could be a secret."""
    steps = own_steps(location)
    guarded = not _SECRETIVE.isdisjoint(map(str, steps)) and steps[-1] not in _HARMLESS
    if guarded or holds_password(value):
        return ""
    if isinstance(value, bool):
        return f", found {str(value).lower()}"
    if isinstance(value, (str, int, float)):
        shown = repr(value)
        return f", found {shown if len(shown) <= 80 else shown[:77] + '...'}"
    return ", found nothing" if value is None else ""


def _choice(error: Any) -> str:
    if error["type"] != "literal_error" or not isinstance(error.get("input"), str):
        return ""
    return nearest(error["input"], re.findall(r"'([^']*)'", error["ctx"]["expected"]))
