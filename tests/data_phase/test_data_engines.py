"""Every engine does what Polars does."""

from everloop.testing.engine_suite import EngineSuite


class TestPolars(EngineSuite):
    engine = "polars"


class TestDuck(EngineSuite):
    engine = "duckdb"
