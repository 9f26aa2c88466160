"""Judges windows with NannyML's Jensen-Shannon distance and its default thresholds.

Arguments: the reference's Parquet file, the windows' (with a column `window`). Answers each line with, for
each window, the largest distance over its upper threshold, the columns alerted and how many there are.
"""

import json
import os
import sys
import warnings

import pandas as pd

warnings.simplefilter("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml  # noqa: E402

for _ in sys.stdin:
    reference, windows = (pd.read_parquet(path) for path in sys.argv[1:3])
    columns = list(reference.columns)
    size = int(windows["window"].value_counts().iloc[0])
    calculator = nannyml.UnivariateDriftCalculator(column_names=columns, chunk_size=size)
    told = calculator.fit(reference).calculate(windows[columns]).filter(period="analysis").to_df()
    parts = [told[name]["jensen_shannon"] for name in columns]
    ratio = pd.concat([part["value"] / part["upper_threshold"] for part in parts], axis=1)
    alerts = pd.concat([part["alert"] for part in parts], axis=1).sum(axis=1)
    found = [[float(a), int(b), len(columns)] for a, b in zip(ratio.max(axis=1), alerts, strict=True)]
    print(json.dumps(found), flush=True)
