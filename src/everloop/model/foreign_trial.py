"""Reads a model's file in a process of its own: what a native parser does to itself there hurts nobody.

The process is a new one and no fork: the libraries that parse have threads and locks, and a fork of a
process that has used them may wait for ever for a lock that no thread of it holds.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.errors import MissingExtra, ModelFault
from everloop.model.foreign_words import AGAIN, called, first_line

if TYPE_CHECKING:
    from collections.abc import Sequence

MEMORY, MEMORY_OF_SIZE = 4 * 2**30, 40
"""Bytes that reading may take, and how many more for each byte of the file."""

SECONDS, BYTES_A_SECOND = 60.0, 2**20

_OUT_OF_MEMORY, _FAILED = 3, 4


def try_to_read(file: Path, classes: Sequence[str]) -> None:
    """Reads a file elsewhere first.

    Raises:
        ModelFault: When the process could not read it, crashed or took too much.
    """
    size = sum(one.stat().st_size for one in _parts(file))
    seconds = SECONDS + size / BYTES_A_SECOND
    command = [sys.executable, "-m", __name__, str(file), str(MEMORY + MEMORY_OF_SIZE * size), *classes]
    try:
        done = subprocess.run(  # noqa: S603  (this Python, this module)
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        raise _refused(file, f"out of time: ended after {seconds:.0f} s") from None
    if done.returncode == _OUT_OF_MEMORY:
        raise _refused(file, "took more memory than a file of its size may")
    if done.returncode == _FAILED:
        told = json.loads(done.stdout.splitlines()[-1])  # before it stands what libraries print
        raise ModelFault(told["message"], hint=told["hint"])
    if done.returncode:
        raise _refused(file, f"crashed: its process {_told(done.returncode)}")


def _parts(file: Path) -> list[Path]:
    """Gives what a model consists of: its file, and what lies beside a SavedModel's."""
    beside = file.parent.glob("variables/*") if file.suffix.lower() == ".pb" else ()
    return [file, *(one for one in beside if one.is_file())]


def _refused(file: Path, why: str) -> ModelFault:
    return ModelFault(f"{called(file)} cannot be read: its reader {why}.", hint="convert the model to ONNX")


def _told(status: int) -> str:
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with {status}"


def _bound_memory(most: int) -> None:
    import resource

    present, _ = resource.getrlimit(resource.RLIMIT_DATA)
    most = most if present == resource.RLIM_INFINITY else min(most, present)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def main(arguments: Sequence[str]) -> int:
    """Reads the file that the arguments name: its path, the bytes of memory, the classes."""
    from everloop.model.foreign_readers import READERS

    file, memory, *classes = arguments
    if sys.platform == "linux":
        _bound_memory(int(memory))
    try:
        READERS[Path(file).suffix.lower()](Path(file), tuple(classes))
    except MissingExtra:  # nothing was read, and whoever asked is told the same
        return 0
    except MemoryError:
        return _OUT_OF_MEMORY
    except ModelFault as error:
        return _failed(error.message, error.hint)
    except Exception as error:  # noqa: BLE001  (libraries raise anything at what is damaged)
        return _failed(first_line(error), AGAIN)
    return 0


def _failed(message: str, hint: str | None) -> int:
    sys.stdout.write("\n" + json.dumps({"message": message, "hint": hint}) + "\n")
    return _FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
