"""A feature view of a Feast repository as a source, from the repository's offline store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from everloop.core.digest import digest_file
from everloop.core.extras import require
from everloop.core.files import scratch_folder
from everloop.core.progress import Event
from everloop.data.sources import Reading, Surroundings
from everloop.data.sources.protocol import Capabilities
from everloop.integrations.feast.repository import EXTRA, View, faults, open_view

if TYPE_CHECKING:
    from everloop.spec import FeastSource

_FIRST = datetime(1971, 1, 1, tzinfo=UTC)
_LAST = datetime(2200, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class FeastView:
    """All rows of a view: its entities' keys, its features, and when each row happened and was made.

    Rows are in the order of these columns, so that equal content is equal however the store gives it.
    A feature of Everloop over them, ``{from: scores, by: customer, latest: score, within: 30d}``, is what
    Feast's own point-in-time join gives with that time to live.
    """

    spec: FeastSource
    surroundings: Surroundings
    capabilities: ClassVar[Capabilities] = Capabilities(
        kind="feast",
        reads="feature views of a Feast repository, from its offline store",
        cheap_fingerprint=False,
        keeps_order=True,
        needs_network=True,
    )

    def fingerprint(self) -> dict[str, Any]:
        """Gives the digest of the rows, which are read to find it."""
        with scratch_folder(self.surroundings.folder.resolve()) as scratch:
            return self.read(scratch).fingerprint

    def read(self, scratch: Path) -> Reading:
        """Reads the view.

        Raises:
            SourceUnreachable: When there is no such repository or view, or its store does not answer.
        """
        import polars as pl

        view = open_view(self.surroundings.folder / self.spec.feast, self.spec.view)
        with faults(f"The offline store of {self.spec.feast}"):
            rows = pl.DataFrame(pl.from_arrow(_job(view).to_arrow())).select(_columns(view))
        times = [name for name, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
        plain = rows.with_columns(_in_utc(name, rows.schema[name]) for name in times)
        target = scratch / "view.parquet"
        plain.sort(plain.columns, maintain_order=True).write_parquet(target)
        self.surroundings.progress(
            Event(
                "data", f"{self.spec.view}: {rows.height:,} rows", fraction=1.0, facts={"rows": rows.height}
            )
        )
        return Reading((target,), {"kind": "feast", "view": self.spec.view, "digest": digest_file(target)})


def _job(view: View) -> Any:
    utilities = require("feast.infra.offline_stores.offline_utils", extra=EXTRA)
    config, batch = view.store.config, view.definition.batch_source
    store = utilities.get_offline_store_from_config(config.offline_store)
    return store.pull_all_from_table_or_query(
        config=config,
        data_source=batch,
        join_key_columns=list(view.keys),
        feature_name_columns=list(view.features),
        timestamp_field=batch.timestamp_field,
        created_timestamp_column=batch.created_timestamp_column or None,
        start_date=_FIRST,
        end_date=_LAST,
    )


def _columns(view: View) -> list[str]:
    batch = view.definition.batch_source
    times = [batch.timestamp_field, batch.created_timestamp_column]
    return [*view.keys, *view.features, *(name for name in times if name)]


def _in_utc(name: str, dtype: Any) -> Any:
    import polars as pl

    moment = pl.col(name).dt.cast_time_unit("us")
    return moment.dt.convert_time_zone("UTC") if dtype.time_zone else moment.dt.replace_time_zone("UTC")
