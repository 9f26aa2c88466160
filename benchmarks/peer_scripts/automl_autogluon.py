"""AutoGluon's default preset: `automl_autogluon.py JSON`, of what `benchmarks.automl` asks."""

import json
import os
import sys
import time
from pathlib import Path

import pandas as pd
from autogluon.tabular import TabularPredictor

METRICS = {"roc_auc": "roc_auc", "log_loss": "log_loss", "rmse": "root_mean_squared_error"}


def main(*, train, test, target, task, metric, seconds, out, **_unused) -> None:
    rows, held_out = pd.read_parquet(train), pd.read_parquet(test)
    start = time.perf_counter()
    predictor = TabularPredictor(
        label=target,
        problem_type=task,
        eval_metric=METRICS[metric],
        path=str(Path(out).with_suffix("")),
        verbosity=0,
    )
    predictor.fit(rows, time_limit=float(seconds), num_cpus=os.cpu_count(), num_gpus=0)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    table = held_out.drop(columns=target)
    if task == "regression":
        found = {"prediction": predictor.predict(table).tolist()}
    else:
        chances = predictor.predict_proba(table, as_multiclass=True)
        found = {"classes": [str(one) for one in chances.columns], "chances": chances.to_numpy().tolist()}
    told = predictor.model_best
    found |= {"fit": fitted, "predict": time.perf_counter() - start, "told": told}
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
