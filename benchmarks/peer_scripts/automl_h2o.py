"""H2O's AutoML, which needs Java: `automl_h2o.py JSON`, of what `benchmarks.automl` asks."""

import json
import os
import sys
import time
from pathlib import Path

import h2o
import pandas as pd
from h2o.automl import H2OAutoML

METRICS = {"roc_auc": "AUC", "log_loss": "logloss", "rmse": "RMSE"}


def main(*, train, test, target, task, metric, seconds, seed, out) -> None:  # noqa: PLR0913
    os.environ["NO_PROXY"] = "localhost,127.0.0.1"
    h2o.init(
        ip="127.0.0.1", bind_to_localhost=True, nthreads=os.cpu_count(), max_mem_size="6G", verbose=False
    )
    h2o.no_progress()
    try:
        rows, held_out = pd.read_parquet(train), pd.read_parquet(test)
        found = fit_and_ask(rows, held_out, target, task, metric, float(seconds), int(seed))
    finally:
        h2o.cluster().shutdown()
    Path(out).write_text(json.dumps(found))


def fit_and_ask(rows, held_out, target, task, metric, seconds, seed) -> dict:
    labels = None
    if task != "regression":
        names = sorted(rows[target].astype(str).unique())
        labels = {name: f"class{place:05d}" for place, name in enumerate(names)}
        rows[target] = rows[target].astype(str).map(labels)
    types = {name: "enum" for name in rows.columns if rows[name].dtype.kind not in "iufbM"}
    start = time.perf_counter()
    frame = h2o.H2OFrame(rows, column_types=types)
    if labels:
        frame[target] = frame[target].asfactor()
    automl = H2OAutoML(max_runtime_secs=int(seconds), seed=seed, sort_metric=METRICS[metric], verbosity=None)
    automl.train(y=target, training_frame=frame)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    types.pop(target, None)
    said = automl.leader.predict(h2o.H2OFrame(held_out.drop(columns=target), column_types=types))
    said = said.as_data_frame(use_multi_thread=False)
    told = {"fit": fitted, "predict": time.perf_counter() - start, "told": automl.leader.model_id}
    if labels is None:
        return {"prediction": said["predict"].tolist(), **told}
    return {"classes": list(labels), "chances": said[list(labels.values())].to_numpy().tolist(), **told}


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
