"""History replayed event by event: what is read online is what the offline join says, every row."""

from __future__ import annotations

from datetime import timedelta

import polars as pl
import pytest

from everloop.runtime.features import FeatureReader, FeatureSet, FeatureWriter, open_store
from everloop.spec import AsOfFeature, WindowFeature
from everloop.table.feature_join import EventTable, join_features
from everloop.table.feature_joined import SourceEvents, define_joined

TYPES = {"quantity": "number", "sales_value": "number", "product_id": "text"}
WINDOWS = {
    "spent_30d": ("30d", "sum(sales_value)"),
    "spent_90d": ("90d", "sum(sales_value)"),
    "mean_30d": ("30d", "avg(sales_value)"),
    "least_90d": ("90d", "min(sales_value)"),
    "greatest_7d": ("7d", "max(sales_value)"),
    "rows_7d": ("7d", "count(*)"),
    "products_30d": ("30d", "count(distinct product_id)"),
    "each_90d": ("90d", "sum(sales_value / nullif(quantity, 0))"),
    "last_product_90d": ("90d", "latest(product_id)"),
}
DAY_US = 86_400_000_000
SHARE = 12
"""One household in so many is replayed, with all that it bought in the year; 1 takes a few minutes."""


def defined(events):
    features = [
        define_joined(
            name,
            WindowFeature.model_validate({"from": "sales", "by": "household", "over": over, "value": value}),
            TYPES,
        )
        for name, (over, value) in WINDOWS.items()
    ]
    latest = {"from": "sales", "by": "household", "latest": "sales_value", "within": "14d"}
    features.append(define_joined("last_value", AsOfFeature.model_validate(latest), TYPES))
    return FeatureSet(tuple(features), {"sales": events})


def purchases(shared_data):
    """The transactions with their time of booking: a third are known some hours or days later."""
    raw = pl.read_parquet(shared_data / "grocery_transactions.parquet")
    household = next(name for name in raw.columns if name.startswith("household"))
    ids = pl.col(household).cast(pl.Float64).cast(pl.Int64).alias("household")
    table = raw.select(
        ids,
        pl.col("product_id").cast(pl.Float64).cast(pl.Int64).cast(pl.String),
        *(pl.col(name).cast(pl.Float64) for name in ("quantity", "sales_value") if name in raw.columns),
        pl.col("ts").cast(pl.Datetime("us", "UTC")).alias("at"),
    )
    if "quantity" not in table.columns:
        table = table.with_columns(quantity=pl.lit(1.0))
    late = pl.int_range(pl.len()) % 9
    delay = pl.when(late < 6).then(0).otherwise(late * 11)
    return table.with_columns(known=pl.col("at") + pl.duration(hours=delay)).with_row_index("id")


def replayed(table, features, every):
    """Sends events in the order in which they became known; after each of some, asks as of that moment."""
    moments = table.with_columns(
        at_us=pl.col("at").dt.timestamp("us"), known_us=pl.col("known").dt.timestamp("us")
    )
    rows = moments.sort("known", "id").select(
        "household", "product_id", "quantity", "sales_value", "id", "at_us", "known_us"
    )
    asked, found = [], []
    with open_store("memory:") as store:
        writer, reader = FeatureWriter(features, store), FeatureReader(features.features, store)
        waiting, now = [], 0
        for number, row in enumerate(rows.iter_rows(named=True)):
            if row["known_us"] > now and waiting:
                _ask(waiting, reader, now, asked, found)
                waiting = []
            now = row["known_us"]
            event = {**row, "at": row["at_us"], "known": now}
            writer.add("sales", [event], now=now)
            if number % every == 0:
                waiting.append(row)
        _ask(waiting, reader, now, asked, found)
    return asked, found


def _ask(waiting, reader, now, asked, found):
    for row in waiting:
        for moment in (now, now - DAY_US // 3):  # a decision may lie back
            asked.append({"household": row["household"], "decided": moment})
            found.append(reader.read(row, moment))


@pytest.mark.slow
@pytest.mark.parametrize("key", [(), ("id",)], ids=["rows", "versions"])
def test_online_equals_offline_for_every_row(shared_data, key):
    table = purchases(shared_data)
    some = table.filter(pl.col("household") % SHARE == 0)
    if key:  # every seventh purchase is corrected two days later
        corrected = some.gather_every(7).with_columns(
            sales_value=pl.col("sales_value") + 1, known=pl.col("known") + timedelta(days=2)
        )
        some = pl.concat([some, corrected])
    events = SourceEvents("at", "known", key)
    features = defined(events)
    asked, found = replayed(some, features, every=1)
    decisions = pl.DataFrame(asked).with_columns(
        decided=pl.from_epoch("decided", time_unit="us").dt.replace_time_zone("UTC")
    )
    offline = join_features(decisions, "decided", features.features, {"sales": EventTable(some, events)})
    online = pl.DataFrame(found, schema=offline.schema)
    assert online.height == 2 * some.height
    for name in offline.columns:
        differ = ~online[name].eq_missing(offline[name])
        assert not differ.any(), (name, online.filter(differ), offline.filter(differ))
    assert offline["spent_30d"].null_count() < offline.height / 2
