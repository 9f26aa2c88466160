"""Reading the lifecycle file: every mistake at once, each with its place and what was expected."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from everloop.core.errors import SpecFault
from everloop.spec.data import AsOfFeature, WindowFeature
from everloop.spec.lifecycle import LifecycleSpec

FILE_NAME = "everloop.yaml"
Location = tuple[int | str, ...]
# What pydantic's kinds of errors mean to who writes YAML.
_EXPECTED = {
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "keys with values",
    "model_type": "keys with values",
    "model_attributes_type": "keys with values",
    "string_type": "text (put it in quotes)",
    "string_pattern_mismatch": "a name of a-z, 0-9, - and _, that begins with a letter or digit",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
}


@dataclass(frozen=True, order=True, slots=True)
class _Mistake:
    line: int
    column: int
    key: str
    message: str
    hint: str = ""


def load(path: str | Path = FILE_NAME) -> LifecycleSpec:
    """Reads a lifecycle file.

    Args:
        path: The file, or the folder that it is in.

    Returns:
        The lifecycle; its relative paths start from the file's folder.

    Raises:
        SpecFault: When the file is not there, is no YAML, or says something that cannot be.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE_NAME
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise SpecFault(
            f"There is no lifecycle file at {path}.", hint="everloop new NAME --data FILE --target COLUMN"
        ) from None
    except UnicodeDecodeError as error:
        raise SpecFault(f"{path} is not UTF-8: byte {error.start} is not text.", place=str(path)) from None
    except OSError as error:
        raise SpecFault(f"{path} cannot be read: {error.strerror}.", place=str(path)) from None
    return parse(text, folder=path.resolve().parent, name=str(path))


def parse(text: str, folder: Path | None = None, *, name: str = FILE_NAME) -> LifecycleSpec:
    """Reads a lifecycle file's text.

    Args:
        text: YAML 1.2.
        folder: Where relative paths start from; by default the working folder.
        name: What to call the file in errors.

    Raises:
        SpecFault: With every mistake in the text.
    """
    tree = _tree(text, name)
    try:
        spec = LifecycleSpec.model_validate(_plain(tree))
    except ValidationError as error:
        mistakes = [_mistake(tree, found) for found in error.errors(include_url=False)]
        raise _fault(name, mistakes) from None
    dangling = [_at(tree, location, message) for location, message in _dangling(spec)]
    if dangling:
        raise _fault(name, dangling)
    return spec.in_folder(Path() if folder is None else folder)


def _tree(text: str, name: str) -> CommentedMap:
    try:
        tree = YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        first_line = str(error.problem or error.context).splitlines()[0]
        raise SpecFault(f"{name} is not YAML: {first_line}.", place=place) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise SpecFault(f"{name} is not YAML: {error}.", place=name) from None
    if not isinstance(tree, CommentedMap):
        found = "nothing" if tree is None else type(tree).__name__
        raise SpecFault(
            f"{name} holds {found}; expected keys such as name, problem and data.",
            place=f"{name}:1:1",
            hint="everloop new NAME --data FILE --target COLUMN",
        )
    return tree


def _plain(node: Any) -> Any:
    """Gives ruamel's tree as plain values; what YAML takes for a time is text in this format."""
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, (datetime, date)):
        return node.isoformat()
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return str(node)


def _mistake(tree: CommentedMap, error: Any) -> _Mistake:
    location: Location = error["loc"]
    kind = error["type"]
    if kind == "extra_forbidden":
        known = _keys_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(known)}"
        return _at(tree, location, f"{location[-1]!r} is no key of this part", hint, of_key=True)
    if kind == "missing":
        return _at(tree, location[:-1], f"the key {location[-1]!r} is missing")
    message = str(error["msg"]).removeprefix("Value error, ")
    shown = _shown(location, error.get("input"))
    text = message if message.startswith("expected") else f"expected {_EXPECTED.get(kind, _lower(message))}"
    return _at(tree, location, f"{text}{shown}", _choice_hint(error))


def _lower(message: str) -> str:
    text = message.removeprefix("Input should be ").removeprefix("a valid ")
    return text[0].lower() + text[1:]


def _shown(location: Location, value: Any) -> str:
    """Shows the value that was found, unless it could be a secret."""
    secretive = {"url", "webhook", "smtp", "auth", "record", "integrations", "headers"} & set(
        map(str, location)
    )
    if secretive or not isinstance(value, (str, int, float, bool)):
        return ""
    return f", found {value!r}"


def _choice_hint(error: Any) -> str:
    choices = str(error.get("ctx", {}).get("expected", ""))
    options = [part.strip().strip("'") for part in choices.replace(" or ", ", ").split(",") if part.strip()]
    near = difflib.get_close_matches(str(error.get("input")), options, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _at(
    tree: CommentedMap, location: Sequence[int | str], message: str, hint: str = "", *, of_key: bool = False
) -> _Mistake:
    """Finds a location in the file: as deep as the file goes, tags of unions passed over."""
    node: Any = tree
    place = (0, 0)
    names: list[str] = []
    for position, step in enumerate(location):
        last = position + 1 == len(location)
        if not _holds(node, step, last=last):
            continue
        place = _place(node, step, at_key=of_key or not last)
        node = node[step]
        names.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return _Mistake(place[0] + 1, place[1] + 1, "".join(names).removeprefix("."), message, hint)


def _holds(node: Any, step: int | str, *, last: bool) -> bool:
    """Tells whether a step leads on in the file; a union's tag is also a key, but leads nowhere."""
    if isinstance(node, CommentedMap):
        return step in node and (last or isinstance(node[step], (CommentedMap, CommentedSeq)))
    return isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node)


def _place(node: CommentedMap | CommentedSeq, step: int | str, *, at_key: bool) -> tuple[int, int]:
    if isinstance(node, CommentedSeq):
        line, column = node.lc.item(step)
    else:
        line, column = node.lc.key(step) if at_key else node.lc.value(step)
    return line, column


def _keys_at(location: Sequence[int | str]) -> list[str]:
    """Gives the keys that the part at a location may have."""
    annotation: Any = LifecycleSpec
    for step in location:
        annotation = _inner(annotation, step)
    keys = [field.alias or name for part in _models(annotation) for name, field in part.model_fields.items()]
    return list(dict.fromkeys(keys))


def _inner(annotation: Any, step: int | str) -> Any:
    models = _models(annotation)
    if len(models) > 1:
        # A union: the step is the tag of one of them, or a name that the user chose.
        tagged = [part for part in models if next(iter(part.model_fields)) == step]
        return tagged[0] if tagged else annotation
    for name, field in models[0].model_fields.items() if models else ():
        if step in (name, field.alias):
            return field.annotation
    return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for part in get_args(annotation) for model in _models(part)]


def _dangling(spec: LifecycleSpec) -> Iterator[tuple[Location, str]]:
    """Finds names that refer to nothing in the file."""
    for name, feature in spec.data.features.items():
        if isinstance(feature, (WindowFeature, AsOfFeature)) and feature.source not in spec.data.sources:
            near = difflib.get_close_matches(feature.source, spec.data.sources, n=1)
            close = f"; did you mean {near[0]!r}?" if near else ""
            yield ("data", "features", name, "from"), f"there is no source {feature.source!r}{close}"
    if not spec.problem.target:
        yield ("problem",), "the key 'target' is missing"
    if len(spec.data.sources) > 1 and spec.data.table is None:
        yield ("data",), "there are several sources; the key 'table' has to say how they are joined"


def _fault(name: str, mistakes: list[_Mistake]) -> SpecFault:
    ordered = sorted(set(mistakes))
    first = ordered[0]
    place = f"{name}:{first.line}:{first.column}"
    if len(ordered) == 1:
        return SpecFault(f"{_told(first)}.", place=place, hint=first.hint or None)
    lines = [f"  {name}:{m.line}:{m.column}: {_told(m)}{f' ({m.hint})' if m.hint else ''}" for m in ordered]
    return SpecFault(f"The lifecycle file has {len(ordered)} mistakes:\n" + "\n".join(lines), place=place)


def _told(mistake: _Mistake) -> str:
    return f"{mistake.key}: {mistake.message}" if mistake.key else mistake.message
