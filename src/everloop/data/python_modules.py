"""The local modules that a file of features imports: part of its digest, and found while it is run."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from everloop.core.digest import digest_bytes, digest_value


def code_digest(file: Path) -> str:
    """Gives the digest of a Python file with all local modules that it imports, without running it.

    Local is what lies beside the file, or in a package there; what those import counts, too.
    """
    found = _local_files(file)
    if len(found) == 1:
        return digest_bytes(file.read_bytes())
    folder = file.parent
    return digest_value(
        {path.relative_to(folder).as_posix(): digest_bytes(path.read_bytes()) for path in sorted(found)}
    )


def _local_files(file: Path) -> set[Path]:
    folder, found, left = file.parent, {file}, [file]
    while left:
        path = left.pop()
        package = path.parent.relative_to(folder).parts
        for name in _imported(path, package):
            for one in _files_of(folder, name):
                if one not in found:
                    found.add(one)
                    left.append(one)
    return found


def _imported(path: Path, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Gives the modules that a file may import, each with its packages; a name may be no module."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):  # said when it is run
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module or "").split(".")) if node.module else start
            yield module
            yield from ((*module, alias.name) for alias in node.names)


def _files_of(folder: Path, name: tuple[str, ...]) -> Iterator[Path]:
    """Gives the files that importing a module runs: its packages' and its own."""
    for length in range(1, len(name) + 1):
        place = folder.joinpath(*name[:length])
        for path in (place / "__init__.py", place.with_name(place.name + ".py")):
            if path.is_file():
                yield path


@contextmanager
def importable(folder: Path) -> Iterator[None]:
    """Lets modules in a folder be imported by name, for a while; none stays behind for another lifecycle."""
    before, place = set(sys.modules), str(folder.resolve())
    sys.path.insert(0, place)
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(place)
        for name in set(sys.modules) - before:
            where = getattr(sys.modules[name], "__file__", None) or ""
            if Path(where).is_relative_to(place):
                del sys.modules[name]
