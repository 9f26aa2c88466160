"""Where in the file a location is: pydantic's locations name tags of unions too, the file does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, Tag
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from everloop.spec.lifecycle import LifecycleSpec

Location = tuple[int | str, ...]
_NO_KEY = object()


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the file.

    Attributes:
        line: Counted from 1.
        column: Counted from 1.
        path: The keys that lead to it, such as ``monitor.alerts[0].webhook``.
    """

    line: int
    column: int
    path: str


def find_place(tree: CommentedMap, location: Location, *, of_key: bool = False) -> Place:
    """Finds a location in the file, as deep as the file goes.

    Args:
        tree: The file as ruamel read it.
        location: As pydantic gives it.
        of_key: Whether the key's place is wanted and not its value's.
    """
    node: Any = tree
    line, column, names = 0, 0, []
    for step in own_steps(location):
        key = _key(node, step)
        if key is _NO_KEY:
            break
        # A value that is left out stands nowhere, so its key is shown.
        line, column = _mark(node, key, at_key=of_key or node[key] is None) or (line, column)
        node = node[key]
        names.append(f"[{step}]" if isinstance(step, int) else f".{step}")
    return Place(line + 1, column + 1, "".join(names).removeprefix("."))


def all_places(tree: CommentedMap, name: str) -> dict[str, str]:
    """Gives from the keys that lead to each part, such as ``data.sources.loans``, the place of its key.

    Args:
        tree: The file as ruamel read it.
        name: What the file is called.
    """
    return {path: f"{name}:{line + 1}:{column + 1}" for path, (line, column) in _marks(tree, "")}


def _marks(node: Any, above: str) -> Iterator[tuple[str, tuple[int, int]]]:
    if isinstance(node, CommentedMap):
        inner = [(key, f"{above}.{key}".removeprefix(".")) for key in node]
    elif isinstance(node, CommentedSeq):
        inner = [(position, f"{above}[{position}]") for position in range(len(node))]
    else:
        return
    for key, path in inner:
        mark = _mark(node, key, at_key=True)
        if mark is not None:
            yield path, mark
        yield from _marks(node[key], path)


def own_steps(location: Location) -> list[int | str]:
    """Leaves out of a location what is not in the file: tags of unions, names of validators."""
    steps: list[int | str] = []
    annotation: Any = LifecycleSpec
    for step in location:
        tags = _tags(annotation)
        if step in tags:
            annotation = tags[str(step)]
            continue
        inner = _inner(annotation, step)
        if inner is not None:
            annotation = inner
            steps.append(step)
        elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return [*steps, step]  # a key that is not known
    return steps


def keys_at(location: Location) -> list[str]:
    """Gives the keys that the part at a location may have."""
    annotation: Any = LifecycleSpec
    for step in location:
        annotation = _tags(annotation).get(str(step)) or _inner(annotation, step) or annotation
    fields = [item for model in _models(annotation) for item in model.model_fields.items()]
    return list(dict.fromkeys(field.alias or name for name, field in fields))


def _key(node: Any, step: int | str) -> Any:
    if isinstance(node, CommentedMap):
        return next((key for key in node if str(key) == str(step)), _NO_KEY)
    return step if isinstance(node, CommentedSeq) and isinstance(step, int) and step < len(node) else _NO_KEY


def _mark(node: CommentedMap | CommentedSeq, key: Any, *, at_key: bool) -> tuple[int, int] | None:
    try:
        if isinstance(node, CommentedSeq):
            return node.lc.item(key)  # type: ignore[no-any-return]
        return node.lc.key(key) if at_key else node.lc.value(key)  # type: ignore[no-any-return]
    except KeyError:  # it was merged from elsewhere by `<<`
        return None


def _tags(annotation: Any) -> dict[str, Any]:
    """Gives the members of a tagged union under their tags."""
    found = {}
    for member in _flat(annotation):
        for note in getattr(member, "__metadata__", ()):
            if isinstance(note, Tag):
                found[note.tag] = get_args(member)[0]
    return found


def _flat(annotation: Any) -> Iterator[Any]:
    """Goes through unions and annotations down to their members."""
    notes = getattr(annotation, "__metadata__", ())
    if get_origin(annotation) is None or any(isinstance(note, Tag) for note in notes):
        yield annotation
    elif notes:
        yield from _flat(get_args(annotation)[0])
    elif get_origin(annotation) in (dict, tuple):
        yield annotation
    else:
        for member in get_args(annotation):
            yield from _flat(member)


def _inner(annotation: Any, step: int | str) -> Any:
    """Gives what stands at a key or position, or None where there can be nothing."""
    for member in _flat(annotation):
        if get_origin(member) is dict:
            return get_args(member)[1]
        if get_origin(member) is tuple and isinstance(step, int):
            return get_args(member)[0]
        for model in _models(member):
            for name, field in model.model_fields.items():
                if step in (name, field.alias):
                    return field.rebuild_annotation()
    return None


def _models(annotation: Any) -> Sequence[type[BaseModel]]:
    members = [*_flat(annotation), *_tags(annotation).values()]
    return [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
