"""Compares two Parquet files with NannyML's Jensen-Shannon distance; gives the seconds."""

import json
import os
import sys
import time
import warnings

import pandas as pd

warnings.simplefilter("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml  # noqa: E402

before, after = (pd.read_parquet(path) for path in sys.argv[1:3])
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        start = time.perf_counter()
        calculator = nannyml.UnivariateDriftCalculator(
            column_names=list(before.columns), continuous_methods=["jensen_shannon"], chunk_number=10
        )
        calculator.fit(before).calculate(after).to_df()
        took.append(time.perf_counter() - start)
    print(json.dumps(took), flush=True)
