"""Estimates six metrics of a Parquet file with NannyML's CBPE, fitted on another; gives the seconds.

Asked for none, it answers what it estimated last.
"""

import json
import os
import sys
import time
import warnings

import pandas as pd

warnings.simplefilter("ignore")
os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"

import nannyml  # noqa: E402

METRICS = ["roc_auc", "average_precision", "f1", "precision", "recall", "accuracy"]

before, after = (pd.read_parquet(path) for path in sys.argv[1:3])
estimator = nannyml.CBPE(
    y_pred_proba="score",
    y_pred="decision",
    y_true="actual",
    problem_type="classification_binary",
    metrics=METRICS,
    chunk_number=int(sys.argv[3]),
)
estimator.fit(before)
for line in sys.stdin:
    took = []
    for _ in range(int(line)):
        start = time.perf_counter()
        result = estimator.estimate(after)
        took.append(time.perf_counter() - start)
    if took:
        print(json.dumps(took), flush=True)
        table = result.filter(period="analysis").to_df()
    else:
        print(json.dumps({name: table[name]["value"].tolist() for name in METRICS}), flush=True)
