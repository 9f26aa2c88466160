"""Everloop's search: `automl_everloop.py JSON`, of what `benchmarks.automl` asks."""

import json
import sys
import time
from pathlib import Path

import polars as pl

import everloop


def main(*, train, test, target, task, metric, seconds, seed, out) -> None:  # noqa: PLR0913
    rows, held_out = pl.read_parquet(train), pl.read_parquet(test)
    start, scored = time.perf_counter(), []

    def told_of(event) -> None:
        if event.facts.get("score") is not None:
            scored.append(time.perf_counter() - start)

    options = {"metric": metric, "budget": float(seconds), "seed": int(seed), "progress": told_of}
    model = everloop.model.search(rows, target, **options)
    fitted = time.perf_counter() - start
    start = time.perf_counter()
    table = held_out.drop(target)
    if task == "regression":
        found = {"prediction": model.predict(table).tolist()}
    else:
        found = {"classes": list(model.classes), "chances": model.predict_proba(table).tolist()}
    found |= {"fit": fitted, "predict": time.perf_counter() - start, "told": told(model)}
    found["first"] = scored[0]
    Path(out).write_text(json.dumps(found))


def told(model) -> str:
    """Says what came out, and why trials failed."""
    trials = model.trained.trials
    failed = sorted({f"{one.learner}: {one.error}" for one in trials if one.error})[:4]
    return f"{model}; {len(trials)} trials" + (f"; failed: {'; '.join(failed)}" if failed else "")


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
