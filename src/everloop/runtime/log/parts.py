"""Reading a span of the prediction log in parts, so that what it takes does not grow with the traffic.

A part is what one segment holds of the span: segments end at a size, so each fits in memory, however many
there are. What the log says of a line elsewhere is looked up for the lines of a part alone: their actuals,
which come later, and whether a client asked for the same earlier.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.clock import as_utc
from everloop.runtime.log.reading import LogTables, first_asked, new_actuals, read_segment
from everloop.runtime.log.segment import SegmentName, segment_names

if TYPE_CHECKING:
    import polars as pl

MOST_IDS = 200_000
"""So many ids are looked at together for those that are there twice."""


def answered_parts(
    folder: str | Path, since: datetime, until: datetime, *, most_ids: int = MOST_IDS
) -> Iterator[pl.DataFrame]:
    """Gives the answers of a span with their actuals, a segment at a time.

    Together they are the lines of `read_log(folder, since).joined()` before `until`, without shadows.

    Args:
        folder: Where the segments are; one that is not there is an empty log.
        since: Lines of this time and later, actuals too.
        until: Answers before this time; actuals that came later are joined.
        most_ids: So many ids are held at once.

    Yields:
        The lines of a segment by time, as `LogTables.joined` gives them; none is empty.

    Raises:
        DataFault: When a segment is of a newer form.
    """
    import polars as pl

    folder, since, until = Path(folder), as_utc(since), as_utc(until)
    names = segment_names(folder) if folder.is_dir() else []
    within = (pl.col("time") >= since) & (pl.col("time") < until) & (pl.col("arm") != "shadow")
    again = _asked_again(folder, names, within, most_ids)
    for place, name in enumerate(names):
        lines = read_segment(folder, name, since).predictions.filter(within)
        lines = lines.with_row_index("line").with_columns(segment=pl.lit(place, pl.UInt32))
        lines = lines.join(again, on=["id", "segment", "line"], how="anti").drop("segment", "line")
        if lines.height:
            lines = lines.sort("time", maintain_order=True)
            yield LogTables(lines, _actuals_of(folder, names, lines["id"], since)).joined()


def _asked_again(folder: Path, names: list[SegmentName], within: pl.Expr, most: int) -> pl.DataFrame:
    """Finds the lines that repeat an earlier one: `id`, `segment` and `line` of each.

    Ids are looked at in shares by their hash, each no larger than `most`.
    """
    import polars as pl

    rows = sum(_asked(folder, name, within).height for name in names)
    shares = max(1, -(-rows // most))
    found = [
        _repeats(folder, names, within, pl.col("id").hash() % shares == share) for share in range(shares)
    ]
    return pl.concat(found)


def _repeats(folder: Path, names: list[SegmentName], within: pl.Expr, share: pl.Expr) -> pl.DataFrame:
    import polars as pl

    asked = pl.concat(
        [
            pl.DataFrame(schema={"line": pl.UInt32, "id": pl.String, "time": pl.Datetime("us", "UTC")})
            .with_columns(segment=pl.lit(0, pl.UInt32))
            .clear(),
            *(
                _asked(folder, name, within).filter(share).with_columns(segment=pl.lit(place, pl.UInt32))
                for place, name in enumerate(names)
            ),
        ]
    )
    several = asked.filter(pl.col("id").is_duplicated()).sort("time", maintain_order=True)
    return several.filter(~first_asked("id")).select("id", "segment", "line")


def _asked(folder: Path, name: SegmentName, within: pl.Expr) -> pl.DataFrame:
    """The ids and times of a segment's answers within the span, numbered as they lie."""
    import polars as pl

    try:
        lines = pl.scan_parquet(name.sealed_predictions(folder))
        lines = lines.filter(within).select("id", "time").with_row_index("line")
        return lines.collect()
    except (FileNotFoundError, pl.exceptions.PolarsError):  # not sealed yet, or damaged: as it is read whole
        table = read_segment(folder, name).predictions.filter(within)
        return table.select("id", "time").with_row_index("line")


def _actuals_of(folder: Path, names: list[SegmentName], ids: pl.Series, since: datetime) -> pl.DataFrame:
    """The actuals of some predictions, wherever in the log they are, by time; each says something new."""
    import polars as pl

    wanted = ids.to_frame("id")
    found = []
    for name in names:
        try:
            lazily = pl.scan_parquet(name.sealed_actuals(folder)).filter(pl.col("time") >= since)
            found.append(lazily.join(wanted.lazy(), on="id", how="semi", maintain_order="left").collect())
        except (FileNotFoundError, pl.exceptions.PolarsError):
            whole = read_segment(folder, name, since).actuals
            found.append(whole.join(wanted, on="id", how="semi", maintain_order="left"))
    return new_actuals(pl.concat(found).sort("time", maintain_order=True))
