"""What is said of a model's file that cannot be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import ModelFault

if TYPE_CHECKING:
    from pathlib import Path

AGAIN = "write it again with the library's own save"


def called(file: Path) -> str:
    """Says which model a file is: by its name, a SavedModel by its folder, since its file's name is fixed."""
    if file.suffix.lower() != ".pb":
        return file.name
    return str(file.parent if file.parent.name else file.parent.resolve())


def first_line(error: BaseException) -> str:
    """Gives what an error says, in a line of bounded length."""
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


def damaged(file: Path, error: BaseException) -> ModelFault:
    """Says of a file that its reader failed, with the first line of what that said."""
    return ModelFault(f"{called(file)} cannot be read: {first_line(error)}", hint=AGAIN)
