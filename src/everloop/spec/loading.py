"""Reading the lifecycle file: every mistake at once, each with its place and what was expected."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, ReusedAnchorWarning, YAMLError

from everloop.core.errors import SpecFault
from everloop.core.tasks import TASKS, UNTARGETED
from everloop.spec.data import AsOfFeature, WindowFeature
from everloop.spec.lifecycle import LifecycleSpec
from everloop.spec.mistakes import Mistake, fault, mistake_at, mistake_of, nearest
from everloop.spec.places import all_places

FILE_NAME = "everloop.yaml"
_NEW = "everloop new NAME --data FILE --target COLUMN"


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
        raise SpecFault(f"There is no lifecycle file at {path}.", hint=_NEW) from None
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
        raise fault(name, [mistake_of(tree, found) for found in error.errors(include_url=False)]) from None
    except RecursionError:
        raise SpecFault(f"{name} refers to itself.", place=name) from None
    except UnicodeDecodeError:
        raise SpecFault(
            f"{name} holds half a character: a \\ud... escape without its other half.", place=name
        ) from None
    dangling = list(_dangling(tree, spec))
    if dangling:
        raise fault(name, dangling)
    return spec.in_folder(Path() if folder is None else folder).in_file(all_places(tree, name))


def _tree(text: str, name: str) -> CommentedMap:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ReusedAnchorWarning)
            tree = YAML(typ="rt").load(text)
    except ReusedAnchorWarning:
        # The parser's own words show the lines, one of which may hold a secret.
        raise SpecFault(f"{name} defines the same anchor (&) twice.", place=name) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        raise SpecFault(f"{name} is not YAML: {_problem(error)}.", place=place) from None
    except (YAMLError, ValueError) as error:
        raise SpecFault(f"{name} is not YAML: {str(error).splitlines()[0]}.", place=name) from None
    except RecursionError:
        raise SpecFault(f"{name} is nested too deeply.", place=name) from None
    if not isinstance(tree, CommentedMap):
        raise SpecFault(
            f"{name} holds {_kind(tree)}; expected keys such as name, problem and data.",
            place=f"{name}:1:1",
            hint=_NEW,
        )
    return tree


def _problem(error: MarkedYAMLError) -> str:
    problem = str(error.problem or error.context).splitlines()[0]
    if isinstance(error, DuplicateKeyError):
        # The parser's own words show the values, one of which may be a secret.
        return f"the key {problem.split(chr(34))[1]!r} is there twice"
    return problem


def _kind(tree: Any) -> str:
    if tree is None:
        return "nothing"
    return "a list" if isinstance(tree, CommentedSeq) else "a single value"


def _plain(node: Any) -> Any:
    """Gives ruamel's tree as plain values; what YAML takes for a time is text in this format."""
    if isinstance(node, CommentedMap):
        return {_text(str(key)): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    if isinstance(node, (datetime, date)):
        return node.isoformat()
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float):
        if isinstance(node, kind):
            return kind(node)
    return _text(str(node))


def _text(text: str) -> str:
    """Puts the halves of characters together that JSON escapes in two, and YAML takes for two."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def _dangling(tree: CommentedMap, spec: LifecycleSpec) -> Iterator[Mistake]:
    """Finds names that refer to nothing in the file, and what is missing because of another part."""
    sources = spec.data.sources
    for name, feature in spec.data.features.items():
        if isinstance(feature, (WindowFeature, AsOfFeature)) and feature.source not in sources:
            hint = nearest(feature.source, sources) or f"sources: {', '.join(sources) or 'none'}"
            place = ("data", "features", name, "from")
            yield mistake_at(tree, place, f"there is no source {feature.source!r}", hint)
    task = TASKS.get(spec.problem.task or "")
    if not spec.problem.target and (task is None or task.needs_target):
        hint = f"without one the task must be stated: {' or '.join(UNTARGETED)}"
        yield mistake_at(tree, ("problem",), "the key 'target' is missing", hint)
    looked_at = {getattr(feature, "source", None) for feature in spec.data.features.values()}
    if len(sources) > 1 and spec.data.table is None and len([s for s in sources if s not in looked_at]) != 1:
        yield mistake_at(
            tree, ("data",), "there are several sources; the key 'table' has to say how they are joined"
        )
