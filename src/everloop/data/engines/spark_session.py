"""The Spark session that is worked on."""

from __future__ import annotations

import os
import sys
from typing import Any

from everloop.core.extras import require

EXTRA = "spark"
# What names another session than one on this machine.
_SAYS_WHERE = ("SPARK_REMOTE", "SPARK_CONF_DIR", "SPARK_HOME", "MASTER", "PYSPARK_SUBMIT_ARGS")
_LOOPBACK = "127.0.0.1"


def session() -> Any:
    """Gives the Spark session that is active, the one that the environment names, or one on this machine.

    A session on this machine listens on the loopback address alone, and lasts as long as the program.

    Raises:
        MissingExtra: When PySpark is not installed.
    """
    sql = require("pyspark.sql", extra=EXTRA)
    active = sql.SparkSession.getActiveSession()
    if active is not None:
        return active
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.appName("everloop")
    if not any(os.environ.get(name) for name in _SAYS_WHERE):
        os.environ.setdefault("SPARK_LOCAL_IP", _LOOPBACK)
        builder = builder.master("local[*]").config("spark.ui.enabled", "false")
        for setting in ("spark.driver.bindAddress", "spark.driver.host"):
            builder = builder.config(setting, _LOOPBACK)
    return builder.getOrCreate()


def is_spark_table(table: Any) -> bool:
    """Tells whether a table lives in Spark."""
    return type(table).__module__.startswith("pyspark.sql.") and hasattr(table, "selectExpr")
