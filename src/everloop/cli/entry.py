"""The front door. It imports nothing heavy: what a verb needs is imported when the verb is run."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

USAGE = 2
# What other tools call it, or where a word of its own stands below a verb.
_CALLED_HERE = {
    "init": "new",
    "create": "new",
    "validate": "check",
    "train": "run",
    "fit": "run",
    "start": "up",
    "score": "predict",
    "ui": "console",
    "card": "report v1",
    "learn": "data learn",
    "profile": "data profile",
    "diff": "data diff",
    **{move: f"rollout {move}" for move in ("pause", "resume", "promote", "abort", "approve", "reject")},
    "rollback": "rollout abort",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after `everloop`; by default the process's own.

    Returns:
        The exit status: 0 done, 1 the answer is no, 2 used wrongly, 3 something outside failed,
        70 a defect of Everloop, 130 stopped by Ctrl-C.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    first = words[0] if words else "--help"
    if first in ("--help", "-h", "help"):
        return _say(overview())
    if first in ("--version", "-V"):
        return _say(f"everloop {_version()}")
    from everloop.cli.verbs import VERBS

    if first not in VERBS:
        return _unknown(first, words)
    from everloop.cli.calling import run_verb

    return run_verb(first, words[1:])


def overview() -> str:
    """Writes the help of `everloop` itself, from the table of verbs."""
    from everloop.cli.verbs import GROUPS, VERBS

    lines = [
        "Usage: everloop VERB [OPTIONS]",
        "",
        "The whole life of a machine-learning model from one file, everloop.yaml.",
    ]
    width = max(map(len, VERBS)) + 2
    for group, title in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {verb:<{width}}{line}" for verb, (_, line, home) in VERBS.items() if home == group]
    lines += [
        "",
        "everloop VERB --help    a verb's options, with an example",
        "everloop --version      the version",
        "",
        "Start here: everloop new NAME --data FILE --target COLUMN, then everloop run",
    ]
    return "\n".join(lines)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("everloop")
    except PackageNotFoundError:
        return "unknown (not installed)"


def _say(text: str) -> int:
    from everloop.cli.pipe import quiet_pipe

    with quiet_pipe():
        sys.stdout.write(f"{text}\n")
    return 0


def _unknown(word: str, words: list[str]) -> int:
    from everloop.cli.faults import tell_fault
    from everloop.cli.verbs import VERBS
    from everloop.core.errors import UsageFault
    from everloop.core.nearness import near_names

    if word.startswith("-"):
        fault = UsageFault(
            f"A verb comes first; {word} is none.", hint="everloop run --json, or everloop --help"
        )
    else:
        here = _CALLED_HERE.get(word)
        near = [here] if here else near_names(word, VERBS, most=3)
        hint = " or ".join(f"everloop {verb}" for verb in near) if near else "everloop --help"
        fault = UsageFault(f"There is no verb {word!r}.", hint=hint)
    return tell_fault(fault, as_json="--json" in words)
