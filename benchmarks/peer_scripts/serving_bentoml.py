"""Serves the pipeline with BentoML: FOLDER PORT BATCH, the largest batch (0: none)."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    import joblib
    from serving_model import train

    folder, port, batch = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    target = folder / "bentoml.joblib"
    if not target.exists():
        joblib.dump(train(folder / "training.json"), target)
    os.environ |= {
        "SERVING_MODEL": str(target), "SERVING_BATCH": batch, "BENTOML_DO_NOT_TRACK": "True",
        "BENTOML_HOME": str(folder / "bentoml"), "PYTHONPATH": str(Path(__file__).parent),
    }  # fmt: skip
    os.chdir(Path(__file__).parent)
    command = Path(sys.executable).with_name("bentoml")
    os.execv(command, ["bentoml", "serve", "serving_bentoml:Pipeline", "--host", "127.0.0.1", "--port", port])

import bentoml
import joblib
from serving_model import table_of

BATCH = int(os.environ.get("SERVING_BATCH", "0"))


@bentoml.service(workers=1)
class Pipeline:
    """The pipeline behind one route."""

    def __init__(self) -> None:
        self.pipeline = joblib.load(os.environ["SERVING_MODEL"])

    @bentoml.api(batchable=bool(BATCH), max_batch_size=BATCH or 100, max_latency_ms=1000)
    def predict(self, rows: list[dict]) -> list[float]:
        return self.pipeline.predict_proba(table_of(rows))[:, 1].tolist()
