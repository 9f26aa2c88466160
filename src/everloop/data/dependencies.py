"""Typing errors that another column gives away: a hospital's number says its town, and one row says another.

Where a column's frequent values follow from another column's, a rare value that stands where a frequent one
has to, and differs from it by a slip, is that one: also where spelling alone cannot tell, as in short words
and numbers, of which several are equally near.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from everloop.data.spelling import edit_distance, is_slip, words_of

if TYPE_CHECKING:
    import polars as pl

RARE = 3
"""A slip comes in so many rows at most."""

FREQUENT = 5
MOST_RARE = 500
"""A column of more rare texts is no list of categories."""

FEWEST_WITNESSES = 3
"""So many other rows of a group have to say what a value should be."""

LEFT = 0.1
"""A column follows from another where this part, at most, of what is wrong without it is wrong with it."""

_ALIKE = 0.8


def dependent_spellings(table: pl.DataFrame) -> dict[str, dict[str, str]]:
    """Finds rare texts that are slips of what another column says.

    Args:
        table: Columns of texts, of few different values each.

    Returns:
        Column -> from a slip to what was meant; columns without one are left out.
    """
    found = {}
    for name in table.columns:
        counts = dict(table[name].drop_nulls().value_counts().sort(name).iter_rows())
        near = _suspects(counts)
        if not near:
            continue
        said: dict[str, set[str]] = {}
        for other in table.columns:
            if other != name:
                for text, meant in _witnessed(table.select(name, other), near, counts).items():
                    said.setdefault(text, set()).add(meant)
        agreed = {text: next(iter(meant)) for text, meant in sorted(said.items()) if len(meant) == 1}
        if agreed:
            found[name] = agreed
    return found


def _suspects(counts: Mapping[str, int]) -> dict[str, set[str]]:
    """Gives the rare texts, each with the frequent ones that are a slip away."""
    rare = [text for text, rows in counts.items() if rows <= RARE]
    frequent = {text: Counter(text) for text, rows in counts.items() if rows >= FREQUENT}
    if len(frequent) < 2 or not 0 < len(rare) <= MOST_RARE:
        return {}
    words: Counter[str] = Counter()
    for text, rows in counts.items():
        words.update(dict.fromkeys(words_of(text), rows))
    near: dict[str, set[str]] = {}
    for text in rare:
        own, most = Counter(text), max(1, int(len(text) * (1 - _ALIKE)))
        for other, letters in frequent.items():
            if abs(len(other) - len(text)) > most or len(text) < 2:
                continue
            if (own - letters).total() > most or (letters - own).total() > most:
                continue
            if edit_distance(text, other, most) <= most and _may_be_slip(text, other, words):
                near.setdefault(text, set()).add(other)
    return near


def _may_be_slip(text: str, other: str, words: Mapping[str, int]) -> bool:
    """Tells whether what differs may be a slip: no other digit, and no word that is written elsewhere."""
    if len(text) != len(other):
        return is_slip(text, other)
    if any(a != b and a.isdigit() for a, b in zip(text, other, strict=True)):
        return False
    return all(words[word] <= RARE for word in set(words_of(text)) - set(words_of(other)))


def _witnessed(
    pairs: pl.DataFrame, near: Mapping[str, set[str]], counts: Mapping[str, int]
) -> dict[str, str]:
    """Gives for each slip what the other column says, where the column follows from it."""
    import polars as pl

    name, other = pairs.columns
    counted = pairs.drop_nulls().group_by(other, name).agg(pl.len().alias("rows")).sort(other, name)
    usual = counted.filter(pl.col(name).is_in([text for text, rows in counts.items() if rows >= FREQUENT]))
    groups = (
        usual.sort("rows", descending=True, maintain_order=True)
        .group_by(other, maintain_order=True)
        .agg(pl.col(name).first().alias("meant"), pl.col("rows").first().alias("agree"), pl.col("rows").sum())
        .filter(pl.col("rows") >= FEWEST_WITNESSES)
    )
    rows = int(groups["rows"].sum())
    each = [counts[text] for text in usual[name].unique().to_list()]
    if not rows or 2 * rows < sum(each):
        return {}
    wrong, without = rows - int(groups["agree"].sum()), sum(each) - max(each)
    if wrong / rows > LEFT * without / sum(each):
        return {}
    sure = groups.filter(pl.col("agree") == pl.col("rows")).select(other, "meant")
    slips = counted.filter(pl.col(name).is_in(list(near))).join(sure, on=other, how="left")
    told: dict[str, set[str | None]] = {}
    for text, meant in slips.select(name, "meant").iter_rows():
        told.setdefault(text, set()).add(meant)
    return {
        text: meant
        for text, said in told.items()
        if len(said) == 1 and (meant := next(iter(said))) is not None and meant in near[text]
    }
