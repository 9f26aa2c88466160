"""Engines: where contract, cleaning, features and split are computed, with the same answers everywhere.

Example:
    >>> import polars as pl
    >>> from everloop.data.engines import open_engine
    >>> with open_engine("duckdb").open(pl.DataFrame({"town": ["A", "B", "A"]})) as table:
    ...     first, second, third = table.row_hashes(["town"])
    >>> bool(first == third), bool(first == second)
    (True, False)
"""

from everloop.data.engines.protocol import Capabilities, DataEngine
from everloop.data.engines.registry import installed_engines, open_engine

__all__ = ["Capabilities", "DataEngine", "installed_engines", "open_engine"]
