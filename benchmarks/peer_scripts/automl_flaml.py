"""FLAML's AutoML: `automl_flaml.py JSON`, of what `benchmarks.automl` asks."""

import json
import os
import sys
import time
from pathlib import Path

import pandas as pd
from flaml import AutoML

TASKS = {"binary": "classification", "multiclass": "classification", "regression": "regression"}


def main(*, train, test, target, task, metric, seconds, seed, out) -> None:  # noqa: PLR0913
    rows, held_out = pd.read_parquet(train), pd.read_parquet(test)
    actual = rows.pop(target)
    if task != "regression":
        actual = actual.astype(str)
    start = time.perf_counter()
    automl = AutoML()
    automl.fit(
        rows,
        actual,
        task=TASKS[task],
        metric=metric,
        time_budget=float(seconds),
        seed=int(seed),
        n_jobs=os.cpu_count(),
        verbose=0,
    )
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    table = held_out.drop(columns=target)
    if task == "regression":
        found = {"prediction": [float(value) for value in automl.predict(table)]}
    else:
        chances = automl.predict_proba(table)
        found = {"classes": [str(one) for one in automl.classes_], "chances": chances.tolist()}
    found |= {"fit": fitted, "predict": time.perf_counter() - start, "told": str(automl.best_estimator)}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
