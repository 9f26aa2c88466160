"""What one column must satisfy.

A missing value breaks ``nullable`` and ``max_missing`` alone; NaN is a missing value. Severity
``error`` stops, ``warn`` records; a value of the wrong type is always an error.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Literal

from everloop.core.errors import SpecFault
from everloop.table.content import CONTENT_KINDS, ContentKind
from everloop.table.contract.text_pattern import matcher
from everloop.table.schema import TYPES, ColumnType

Severity = Literal["error", "warn"]
SEVERITIES = ("error", "warn")

Limit = float | int | datetime | None


@dataclass(frozen=True)
class ColumnRule:
    """What one column must satisfy.

    Attributes:
        name: The column.
        type: Its type; an integer is a number, and a number without fraction an integer.
        nullable: Whether a value may be missing.
        minimum: The least number or time.
        maximum: The greatest number or time.
        allowed: The only values there are.
        pattern: A regular expression that the whole text matches, in the form of Rust (`text_pattern`).
        unique: Whether no value comes twice.
        max_missing: The largest share of missing values, 0 to 1.
        content: What a text carries: ``image`` or ``sound`` (`table.content`), which can be decoded.
        size: The rows and columns of every image.
        severity: ``error`` or ``warn``, for all but the type.
    """

    name: str
    type: ColumnType
    nullable: bool = True
    minimum: Limit = None
    maximum: Limit = None
    allowed: tuple[Any, ...] | None = None
    pattern: str | None = None
    unique: bool = False
    max_missing: float | None = None
    content: ContentKind | None = None
    size: tuple[int, int] | None = None
    severity: Severity = "error"

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise SpecFault(f"Column {self.name!r}: type {self.type!r} is none of {', '.join(TYPES)}.")
        if self.severity not in SEVERITIES:
            raise SpecFault(f"Column {self.name!r}: severity {self.severity!r} is neither error nor warn.")
        for limit in ("minimum", "maximum"):
            object.__setattr__(self, limit, _limit(self, limit))
        _check_pattern(self)
        _check_content(self)
        if self.allowed is not None:
            object.__setattr__(self, "allowed", tuple(self.allowed))
            _check_allowed(self)
        if self.max_missing is not None and not (_is_number(self.max_missing) and 0 <= self.max_missing <= 1):
            raise SpecFault(
                f"Column {self.name!r}: max_missing is a share from 0 to 1, not {self.max_missing!r}."
            )

    def to_dict(self) -> dict[str, Any]:
        """Gives the rule as what JSON can carry, without what is as it is by default."""
        plain: dict[str, Any] = {"name": self.name, "type": self.type}
        for field in fields(self)[2:]:
            value = getattr(self, field.name)
            if value != field.default:
                plain[field.name] = _plain(value)
        return plain


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _limit(rule: ColumnRule, which: str) -> Limit:
    value: Any = getattr(rule, which)
    if value is None:
        return None
    if rule.type in {"integer", "number"}:
        if _is_number(value) and value - value == 0:
            return value  # type: ignore[no-any-return]
        raise SpecFault(f"Column {rule.name!r}: {which} is a number, not {value!r}.")
    if rule.type == "time":
        return _moment(rule, which, value)
    raise SpecFault(
        f"Column {rule.name!r} is {rule.type}, which has no {which}.", hint="numbers and times have one"
    )


def _moment(rule: ColumnRule, which: str, value: object) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise SpecFault(
                f"Column {rule.name!r}: {which} is a time such as 2026-01-31, not {value!r}."
            ) from error
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    raise SpecFault(f"Column {rule.name!r}: {which} is a time such as 2026-01-31, not {value!r}.")


def _check_pattern(rule: ColumnRule) -> None:
    if rule.pattern is None:
        return
    if rule.type != "text":
        raise SpecFault(f"Column {rule.name!r} is {rule.type}; only text has a pattern.")
    try:
        matcher(rule.pattern)
    except SpecFault as fault:
        raise SpecFault(f"Column {rule.name!r}: {fault.message}", hint=fault.hint) from None


def _check_content(rule: ColumnRule) -> None:
    content: Any = rule.content
    size: Any = rule.size
    if content is not None and (rule.type != "text" or content not in CONTENT_KINDS):
        raise SpecFault(
            f"Column {rule.name!r}: content is {' or '.join(CONTENT_KINDS)}, of a text; not {content!r}."
        )
    if size is None:
        return
    whole = isinstance(size, (list, tuple)) and len(size) == 2 and all(isinstance(one, int) for one in size)
    if content != "image" or not whole or min(size) < 1:
        raise SpecFault(
            f"Column {rule.name!r}: size is the rows and columns of images, not {size!r}.",
            hint="{type: text, content: image, size: [28, 28]}",
        )
    object.__setattr__(rule, "size", tuple(size))


_ALLOWED: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int, float),
    "number": (int, float),
    "text": (str,),
}


def _check_allowed(rule: ColumnRule) -> None:
    kinds = _ALLOWED.get(rule.type)
    if kinds is None:
        raise SpecFault(
            f"Column {rule.name!r} is {rule.type}, which has no allowed values.",
            hint="give minimum and maximum",
        )
    for value in rule.allowed or ():
        if not isinstance(value, kinds) or (isinstance(value, bool) and rule.type != "boolean"):
            hint = f"put it in quotes: '{value}'" if rule.type == "text" else None
            raise SpecFault(f"Column {rule.name!r} is {rule.type}; {value!r} is not.", hint=hint)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return list(value) if isinstance(value, tuple) else value
