"""Times as microseconds since 1970, UTC.

Every engine holds a time as the double nearest to its microseconds: exact from 1684 to 2255, to
within 32 microseconds from year 1 to year 9999. What lies outside those years is null.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from everloop.core.errors import DataFault

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
DAY_US = 86_400_000_000
FIRST_US = -719_162 * DAY_US
"""The first instant of year 1."""
LAST_US = 2_932_896 * DAY_US + DAY_US - 32
"""The last instant of year 9999 that a double holds."""
ORDINAL_OF_1970 = 719_163
UNIT_US: dict[str, int] = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": DAY_US}
"""Units of one length."""


def microseconds_of(value: object, column: str) -> int | None:
    """Turns what a row may hold for a time into microseconds since 1970, UTC.

    Args:
        value: A datetime (without a zone it is UTC), a date, microseconds, or ISO 8601 text.
        column: Whose value it is, for the message.

    Returns:
        Microseconds as a double holds them, or None outside the years 1 to 9999.

    Raises:
        DataFault: It is none of these.
    """
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise DataFault(f"Column {column!r} holds {value!r}, which is no ISO 8601 time.") from error
    if isinstance(value, datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=UTC)
        exact = (value - EPOCH) // MICROSECOND
    elif isinstance(value, date):
        exact = (value.toordinal() - ORDINAL_OF_1970) * DAY_US
    elif isinstance(value, int | float) and not isinstance(value, bool):
        if value - value != 0:
            return None
        exact = int(value)
    else:
        raise DataFault(f"Column {column!r} holds {value!r}, which is no time.")
    held = int(float(exact))
    return min(held, LAST_US) if FIRST_US <= held <= LAST_US + 32 else None


def time_of(microseconds: float) -> datetime:
    """Turns microseconds since 1970 into a time in UTC."""
    return EPOCH + timedelta(microseconds=int(microseconds))


def date_of(microseconds: int) -> date:
    """The date in UTC."""
    return date.fromordinal(microseconds // DAY_US + ORDINAL_OF_1970)


def unit_index(microseconds: int, unit: str) -> int:
    """Numbers the units (days, ISO weeks, months ...) since a fixed start; a difference counts boundaries."""
    length = UNIT_US.get(unit)
    if length is not None:
        return microseconds // length
    if unit == "week":
        return (microseconds // DAY_US + 3) // 7
    day = date_of(microseconds)
    if unit == "month":
        return day.year * 12 + day.month - 1
    if unit == "quarter":
        return day.year * 4 + (day.month - 1) // 3
    return day.year
