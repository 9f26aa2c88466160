"""What a verb answers: facts for programs, text for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from everloop.cli.pipe import quiet_pipe
from everloop.core.values import to_jsonable


@dataclass(frozen=True, slots=True)
class Answer:
    """What a verb has to say.

    Attributes:
        facts: The answer as values; printed under `--json`.
        text: The answer for a person.
        status: The exit status: 0, or 1 where the answer is no.
    """

    facts: Any
    text: str = ""
    status: int = 0


def give(answer: Answer, *, as_json: bool) -> int:
    """Prints an answer and gives its exit status."""
    facts = to_jsonable(answer.facts) if as_json else None
    text = json.dumps(facts, indent=2, ensure_ascii=False) if as_json else answer.text
    with quiet_pipe():
        if text:
            sys.stdout.write(text.rstrip("\n") + "\n")
    return answer.status


def pairs(rows: Iterable[tuple[str, object]]) -> str:
    """Writes names and values in two columns; a value of None is left out.

    Example:
        >>> print(pairs([("rows", 3), ("verdict", "go")]))
        rows     3
        verdict  go
    """
    kept = [(name, str(value)) for name, value in rows if value is not None]
    width = max((len(name) for name, _ in kept), default=0) + 2
    indent = "\n" + " " * width
    return "\n".join(f"{name:<{width}}{value}".replace("\n", indent).rstrip() for name, value in kept)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Writes a table in columns of text, two spaces apart.

    Example:
        >>> print(table(["version", "status"], [[1, "champion"]]))
        version  status
        1        champion
    """
    cells = [[str(value) for value in row] for row in [headings, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )
