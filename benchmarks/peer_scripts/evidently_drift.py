"""Compares two Parquet files with Evidently's preset, as often as it is told to; gives the seconds."""

import json
import os
import sys
import time
import warnings

import pandas as pd

warnings.simplefilter("ignore")
os.environ["DO_NOT_TRACK"] = "1"

from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402

before, after = (pd.read_parquet(path) for path in sys.argv[1:3])
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        start = time.perf_counter()
        Report([DataDriftPreset()]).run(after, before).dict()
        took.append(time.perf_counter() - start)
    print(json.dumps(took), flush=True)
