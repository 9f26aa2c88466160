"""Serves the pipeline with MLServer, in process: FOLDER PORT BATCH, the largest batch (0: none)."""

import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    import joblib
    from serving_model import train

    folder, port, batch = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    target = folder / f"mlserver-{batch}"
    target.mkdir(exist_ok=True)
    if not (target / "model.joblib").exists():
        joblib.dump(train(folder / "training.json"), target / "model.joblib")
    ports = {"http_port": port, "grpc_port": port + 1, "metrics_port": port + 2}
    settings = {"host": "127.0.0.1", "parallel_workers": 0, "debug": False, "metrics_endpoint": None, **ports}
    (target / "settings.json").write_text(json.dumps(settings))
    model = {
        "name": "model",
        "implementation": "serving_mlserver.Pipeline",
        "parameters": {"uri": "./model.joblib"},
    }
    if batch:
        model |= {"max_batch_size": batch, "max_batch_time": 0.005}
    (target / "model-settings.json").write_text(json.dumps(model))
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    command = Path(sys.executable).with_name("mlserver")
    os.execv(command, ["mlserver", "start", str(target)])

import joblib
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec
from mlserver.types import InferenceResponse
from mlserver.utils import get_model_uri
from serving_model import table_of


class Pipeline(MLModel):
    """The pipeline as MLServer's own runtime for scikit-learn calls it, on a table of named columns."""

    async def load(self):
        self.pipeline = joblib.load(await get_model_uri(self.settings))
        return True

    async def predict(self, payload):
        table = table_of(PandasCodec.decode_request(payload))
        scores = self.pipeline.predict_proba(table)[:, 1:]
        return InferenceResponse(model_name=self.name, outputs=[NumpyCodec.encode_output("score", scores)])
