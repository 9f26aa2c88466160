"""How errors are told: a message, a place, a hint, an exit status; never a traceback unasked."""

from __future__ import annotations

import errno
import json
import sys
import traceback

from everloop.core.errors import EverloopError, OutsideFault, StorageFull

FULL = ("no space left on device", "disk quota exceeded", "os error 28")
KEPT = "free some space and give the same command again: it continues where it was"


class Defect(EverloopError):
    """Something that must not happen did."""

    code = "defect"


def fault_of(error: BaseException, command: str) -> EverloopError:
    """Gives an exception as an error that a user can act on.

    Args:
        error: What was raised.
        command: The command line, for the hint.
    """
    if isinstance(error, EverloopError):
        return error
    if _is_full(error):
        place = getattr(error, "filename", None)
        return StorageFull(
            f"No room left on the disk{f' while writing {place}' if place else ''}.", hint=KEPT
        )
    if isinstance(error, MemoryError):
        return OutsideFault(
            "There is not enough memory for this.",
            hint="close other programs, or take fewer rows in data.table; what was finished is kept",
        )
    if isinstance(error, PermissionError):
        return OutsideFault(f"{error.filename or 'A file'} may not be used: {error.strerror}.")
    told = str(error).strip().splitlines()
    return Defect(
        f"{type(error).__name__}{f': {told[0]}' if told else ''}; this is a defect of Everloop.",
        hint=f"{command} --debug shows where; please report it with that output",
    )


def tell_fault(fault: EverloopError, *, as_json: bool = False, cause: BaseException | None = None) -> int:
    """Prints an error and gives its exit status.

    Args:
        fault: The error.
        as_json: Whether to print one JSON object on standard output.
        cause: What to show the traceback of; None shows none.
    """
    if cause is not None:
        traceback.print_exception(cause, file=sys.stderr)
    if as_json:
        told = {"error": fault.to_dict() | {"exit_status": fault.exit_status}}
        sys.stdout.write(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
        return fault.exit_status
    sys.stdout.flush()
    lines = [f"error: {fault.message}"]
    lines += [f"  at: {fault.place}"] if fault.place else []
    lines += [f"  hint: {fault.hint}"] if fault.hint else []
    sys.stderr.write("\n".join(lines) + "\n")
    return fault.exit_status


def _is_full(error: BaseException) -> bool:
    """Tells whether the disk is full, whichever library says so in whichever words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    return any(words in str(error).lower() for words in FULL)
