"""Profiles a Parquet file with ydata-profiling, minimal, as often as it is told to; gives the seconds."""

import json
import sys
import time
import warnings

import pandas as pd

warnings.simplefilter("ignore")

from ydata_profiling import ProfileReport  # noqa: E402

table = pd.read_parquet(sys.argv[1])
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        start = time.perf_counter()
        ProfileReport(table, minimal=True, progress_bar=False).get_description()
        took.append(time.perf_counter() - start)
    print(json.dumps(took), flush=True)
