"""A profile as a page: what is worth a look, how columns relate, and each column with its picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from everloop.data.profile_text import shortened
from everloop.report import Badge, Beside, Block, Facts, Figures, Page, Picture, Section, Table, Text
from everloop.report.sparks import histogram_svg, matrix_svg, values_svg
from everloop.report.writing import share_of

if TYPE_CHECKING:
    from everloop.data.profiles import ColumnProfile, Oddity, Profile

_MOST_IN_MATRIX = 16
_TONES = {"sentinel": "no", "type": "no", "mixed": "no", "duplicates": "no", "missing": "open"}


def page_of(profile: Profile, title: str) -> Page:
    """Puts a profile together as a page.

    Args:
        profile: What was found.
        title: What the page is called.
    """
    cells = sum(column.rows for column in profile.columns) or 1
    missing = sum(column.missing for column in profile.columns)
    figures = [
        ("rows", f"{profile.rows:,}", f"{profile.duplicates:,} repeated"),
        ("columns", f"{len(profile.columns):,}", _types(profile)),
        ("missing", share_of(missing, cells), f"{missing:,} of {cells:,} values"),
        ("worth a look", f"{len(profile.oddities):,}", "listed below" if profile.oddities else "nothing odd"),
    ]
    sections = [_look(profile), _overview(profile), _related(profile)]
    sections += [_column(column, profile) for column in profile.columns]
    return Page(
        title,
        _subtitle(profile),
        [section for section in sections if section.blocks],
        summary=[Figures(figures)],
        footer="Counts are exact; quantiles are linear between the two nearest values.",
    )


def _subtitle(profile: Profile) -> str:
    said = [f"key: {' or '.join(' + '.join(key) for key in profile.keys[:3])}"] if profile.keys else []
    said += [f"time: {profile.time}"] if profile.time else []
    return "; ".join(said) or "no column names each row"


def _types(profile: Profile) -> str:
    counts: dict[str, int] = {}
    for column in profile.columns:
        counts[column.type] = counts.get(column.type, 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _look(profile: Profile) -> Section:
    if not profile.oddities:
        return Section("Worth a look", [])
    rows = [_odd(odd) for odd in profile.oddities]
    headings = ["", "column", "what", "rows", "what cleaning does, in data.clean"]
    return Section("Worth a look", [Table(headings, rows)])


def _odd(odd: Oddity) -> list[Any]:
    return [
        Badge(odd.kind, _TONES.get(odd.kind, "plain")),
        odd.column,
        odd.detail,
        odd.rows or None,
        odd.clean,
    ]


def _overview(profile: Profile) -> Section:
    rows = [
        [
            column.name,
            column.type,
            share_of(column.missing, column.rows),
            column.distinct,
            shortened(column.low),
            shortened(column.quantiles.get("50%")),
            shortened(column.high),
            shortened(column.top[0][0]) if column.top else "",
        ]
        for column in profile.columns
    ]
    headings = ["column", "type", "missing", "distinct", "least", "median", "greatest", "most frequent"]
    return Section("All columns", [Table(headings, rows)])


def _related(profile: Profile) -> Section:
    if not profile.associations:
        return Section("What columns say about each other", [])
    names: list[str] = []
    for pair in profile.associations:
        names += [name for name in (pair.first, pair.second) if name not in names]
        if len(names) >= _MOST_IN_MATRIX:
            break
    order = [column.name for column in profile.columns if column.name in names[:_MOST_IN_MATRIX]]
    strengths = {(pair.first, pair.second): pair.strength for pair in profile.associations}
    rows = [[pair.first, pair.second, pair.measure, pair.strength] for pair in profile.associations[:12]]
    caption = (
        f"Blue together, orange against each other; from {profile.associated_rows:,} rows. Numbers by their "
        "correlation, categories by Cramér's V, numbers by category by the correlation ratio."
    )
    return Section(
        "What columns say about each other",
        [
            Picture(matrix_svg(order, strengths), caption),
            Table(["one", "other", "measure", "strength"], rows),
        ],
    )


def _column(column: ColumnProfile, profile: Profile) -> Section:
    odd = [one.detail for one in profile.oddities if one.column == column.name]
    lead = "; ".join(odd)
    blocks: list[Block] = []
    picture = _picture(column)
    facts = Facts({name: value for name, value in _facts(column).items() if value not in (None, "")})
    blocks.append(Beside([picture, facts]) if picture else facts)
    if column.spellings:
        merged = [f"{', '.join(map(repr, others))} as {kept!r}" for kept, others in column.spellings.items()]
        blocks.append(Text("Spelled alike: " + "; ".join(merged[:8]) + ("; …" if len(merged) > 8 else "")))
    return Section(column.name or "(no name)", blocks, lead=f"{lead[:1].upper()}{lead[1:]}." if lead else "")


def _facts(column: ColumnProfile) -> dict[str, Any]:
    told: dict[str, Any] = {
        "type": column.type
        + (f", reads as {column.reads_as}" if column.reads_as in ("number", "time") else ""),
        "missing": f"{column.missing:,} ({share_of(column.missing, column.rows)})" if column.missing else "0",
        "distinct": f"{column.distinct:,}",
    }
    if column.mean is not None and column.deviation is not None:
        told["mean ± deviation"] = f"{column.mean:.6g} ± {column.deviation:.6g}"
    if column.quantiles:
        told |= {name: f"{column.quantiles[name]:.6g}" for name in ("1%", "25%", "50%", "75%", "99%")}
    if column.zeros:
        told["zeros"] = f"{column.zeros:,}"
    if column.lengths is not None:
        told["length"] = (
            f"{column.lengths[0]} to {column.lengths[2]} letters, {column.lengths[1]:.1f} on average"
        )
    if column.sentinels:
        told["means missing?"] = ", ".join(f"{value} ({rows:,})" for value, rows in column.sentinels.items())
    return told


def _picture(column: ColumnProfile) -> Picture | None:
    if column.top and (not column.histogram or column.distinct <= len(column.top)):
        values = {shortened(value): float(rows) for value, rows in column.top}
        return Picture(
            values_svg(values, total=column.rows), f"The most frequent of {column.distinct:,} values."
        )
    if not column.histogram or column.low == column.high:
        return None
    marks = {}
    if column.quantiles:
        low, high = float(column.low), float(column.high)
        marks = {"median": (column.quantiles["50%"] - low) / (high - low)}
    ends = (shortened(column.low), shortened(column.high))
    return Picture(
        histogram_svg(column.histogram, ends, marks=marks), f"How often each {column.name} occurs."
    )
