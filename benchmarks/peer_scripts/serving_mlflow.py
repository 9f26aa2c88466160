"""Serves the pipeline with MLflow's own server: FOLDER PORT."""

import os
import sys
from pathlib import Path

import mlflow.sklearn
from serving_model import train

folder, port = Path(sys.argv[1]), sys.argv[2]
target = folder / "mlflow-model"
if not target.exists():
    mlflow.sklearn.save_model(
        train(folder / "training.json"),
        target,
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
    )
command = Path(sys.executable).with_name("mlflow")
words = [
    "mlflow",
    "models",
    "serve",
    "-m",
    str(target),
    "--env-manager",
    "local",
    "-h",
    "127.0.0.1",
    "-p",
    port,
    "-w",
    "1",
]
os.environ["PATH"] = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
os.environ["PYTHONPATH"] = str(Path(__file__).parent)
os.execv(command, words)
