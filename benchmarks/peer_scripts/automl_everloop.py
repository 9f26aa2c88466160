"""Everloop's search: `automl_everloop.py TRAIN TEST TARGET TASK METRIC SECONDS SEED OUT`."""

import json
import sys
import time

import polars as pl

import everloop


def main(train, test, target, task, metric, seconds, seed, out) -> None:  # noqa: PLR0913
    rows, held_out = pl.read_parquet(train), pl.read_parquet(test)
    start = time.perf_counter()
    model = everloop.model.search(rows, target, metric=metric, budget=float(seconds), seed=int(seed))
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    table = held_out.drop(target)
    if task == "regression":
        found = {"prediction": model.predict(table).tolist()}
    else:
        found = {"classes": list(model.classes), "chances": model.predict_proba(table).tolist()}
    found |= {"fit": fitted, "predict": time.perf_counter() - start, "told": str(model)}
    with open(out, "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
