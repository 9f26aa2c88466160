"""What a text that carries an image or a sound must satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.errors import DataFault
from everloop.table.content import content_kind
from everloop.table.contract import words
from everloop.table.images import read_image
from everloop.table.sounds import read_sound

if TYPE_CHECKING:
    from everloop.table.contract.column_rules import ColumnRule


def content_flaw(text: str, rule: ColumnRule) -> tuple[str, str] | None:
    """Says which rule of a content is broken, and what was expected; None where none is.

    Args:
        text: The value.
        rule: The column's rule, with a content.

    Raises:
        MissingExtra: When what decodes it is not installed.
    """
    if content_kind(text) != rule.content:
        return "content", words.carries(rule)
    try:
        if rule.content == "sound":
            read_sound(text)
            return None
        shape = read_image(text).shape
    except DataFault:
        return "content", words.carries(rule)
    if rule.size is not None and shape[:2] != rule.size:
        return "size", words.sized(rule)
    return None
