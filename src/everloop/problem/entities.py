"""Whom or what a row is about, inferred from names and from values that come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from everloop.problem.columns import ColumnFacts

FEWEST = 20
# An entity comes again, and not so often that it is a category: 2 to 100 rows of each on average.
FEWEST_ROWS_OF_ONE = 1.2
MOST_ROWS_OF_ONE = 100
_WORDS = frozenset({"id", "key", "uuid", "nr", "no", "number"})
# What rows are usually about, in the order in which it is taken.
_NOUNS = (
    *("customer", "client", "user", "patient", "person", "member", "account", "household", "card"),
    *("subscriber", "borrower", "employee", "driver", "student", "player", "visitor", "session"),
    *("device", "machine", "vehicle", "engine", "sensor", "equipment"),
)


def infer_entity(facts: dict[str, ColumnFacts], taken: set[str | None]) -> tuple[str, str] | None:
    """Finds the column that names whom or what rows are about.

    Args:
        facts: The columns' counts.
        taken: Columns with another role.

    Returns:
        The column and the reason, or None where no column qualifies.
    """
    named = [column for name, column in facts.items() if name not in taken and _names_one(column)]
    if not named:
        return None
    best = min(named, key=lambda column: (_place(column.name), -column.distinct))
    rows = f"{best.distinct:,} values come again in {best.known:,} rows"
    return best.name, f"its name says so and {rows}; rows of one stay in one part"


def _names_one(column: ColumnFacts) -> bool:
    words = _words_of(column.name)
    if column.type not in ("integer", "text") or not words & _WORDS or _place(column.name) == len(_NOUNS):
        return False
    if column.distinct < FEWEST or column.missing:
        return False
    return FEWEST_ROWS_OF_ONE <= column.known / column.distinct <= MOST_ROWS_OF_ONE


def _place(name: str) -> int:
    words = _words_of(name)
    return next((place for place, noun in enumerate(_NOUNS) if noun in words), len(_NOUNS))


def _words_of(name: str) -> set[str]:
    spread = "".join(f"_{letter}" if letter.isupper() else letter for letter in name)
    both = f"{spread}_{name}".lower().replace("-", "_").replace(" ", "_")
    return set(both.split("_"))
