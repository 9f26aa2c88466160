"""Judges windows with Evidently's preset: for each the largest score over its threshold, and flags.

Arguments: the reference's Parquet file, the windows' (with a column `window`). Answers each line.
"""

import json
import os
import sys
import warnings

import pandas as pd

warnings.simplefilter("ignore")
os.environ["DO_NOT_TRACK"] = "1"

from evidently import Report  # noqa: E402
from evidently.presets import DataDriftPreset  # noqa: E402


def judged(reference, rows):
    """The largest ratio of a column's score to its threshold, how many were flagged, how many there are."""
    told = Report([DataDriftPreset()]).run(rows, reference).dict()["metrics"]
    ratios = []
    for one in told:
        config = one["config"]
        if "column" not in config:
            continue
        value, threshold = float(one["value"]), float(config["threshold"])
        p_value = "p_value" in config["method"]
        ratios.append(threshold / max(value, 1e-12) if p_value else value / threshold)
    return [max(ratios), sum(ratio > 1 for ratio in ratios), len(ratios)]


for _ in sys.stdin:
    reference, windows = (pd.read_parquet(path) for path in sys.argv[1:3])
    found = [judged(reference, rows.drop(columns="window")) for _, rows in windows.groupby("window")]
    print(json.dumps(found), flush=True)
