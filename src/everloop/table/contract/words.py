"""What each rule expects, in words that the table's report and the server's answer share."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from everloop.core.units import format_duration

if TYPE_CHECKING:
    from everloop.table.contract.column_rules import ColumnRule, Limit
    from everloop.table.contract.table_rules import TableRule

FINITE = "a finite number"
WHOLE = "a whole number"
NOT_NULL = "given"
_LISTED = 10
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def comparable(limit: Limit) -> Any:
    """A limit as the number it is compared with; a time is its microseconds since 1970."""
    return (limit - _EPOCH) // timedelta(microseconds=1) if isinstance(limit, datetime) else limit


def at_least(rule: ColumnRule) -> str:
    """For ``minimum``."""
    return f"at least {_shown(rule.minimum)}"


def at_most(rule: ColumnRule) -> str:
    """For ``maximum``."""
    return f"at most {_shown(rule.maximum)}"


def one_of(rule: ColumnRule) -> str:
    """For ``allowed``."""
    allowed = rule.allowed or ()
    more = f" and {len(allowed) - _LISTED} more" if len(allowed) > _LISTED else ""
    return f"one of {', '.join(str(value) for value in allowed[:_LISTED])}{more}"


def like(rule: ColumnRule) -> str:
    """For ``pattern``."""
    return f"text that matches {rule.pattern}"


def carries(rule: ColumnRule) -> str:
    """For ``content``."""
    if rule.content == "sound":
        return "a sound that can be decoded: a WAV file in base64"
    return "an image that can be decoded: a PNG, JPEG, GIF, BMP or WebP file in base64, or rows of numbers"


def sized(rule: ColumnRule) -> str:
    """For ``size``."""
    rows, columns = rule.size or (0, 0)
    return f"an image of {rows} rows and {columns} columns"


def share(largest: float) -> str:
    """For ``max_missing``."""
    return f"missing in at most {largest:.4g} of the rows"


def between(low: int | None, high: int | None) -> str:
    """For ``row_count``."""
    if high is None:
        return f"at least {low} rows long"
    return f"at most {high} rows long" if low is None else f"{low} to {high} rows long"


def fresh(within: timedelta) -> str:
    """For ``fresh``."""
    return f"at most {format_duration(within)} old at its newest"


def newest(microseconds: int, now: datetime) -> str:
    """What was found of freshness: the newest time, and how long ago that is."""
    try:
        moment = _EPOCH + timedelta(microseconds=microseconds)
    except OverflowError:
        return "no time up to now"
    hours = (now - moment) / timedelta(hours=1)
    age = f"{hours / 24:.1f} days" if hours >= 48 else f"{hours:.1f} hours"
    return f"the newest is {moment.isoformat(timespec='seconds')}, {age} old"


def refers(source: str, key: tuple[str, ...], columns: str = "") -> str:
    """For ``refers``."""
    return f"{columns}one of {source} by its {', '.join(key)}"


def key(columns: tuple[str, ...]) -> str:
    """For ``unique`` of several columns."""
    return f"unique in {', '.join(columns)}"


def of_table(rule: TableRule) -> tuple[str, str]:
    """Gives the one column that a rule of the table is about, or the empty text, and what it asks for."""
    one = rule.columns[0] if len(rule.columns) == 1 else ""
    if rule.expression is not None:
        return "", holds(rule.expression.sql)
    if rule.within is not None:
        return one, fresh(rule.within)
    if rule.source is not None:
        return one, refers(rule.source, rule.key, "" if one else f"with {', '.join(rule.columns)} ")
    return "", key(rule.columns) if rule.columns else between(rule.minimum, rule.maximum)


def holds(sql: str) -> str:
    """For ``holds``."""
    return f"such that {sql}"


def _shown(limit: Limit) -> str:
    return limit.isoformat() if isinstance(limit, datetime) else f"{limit:.15g}"
