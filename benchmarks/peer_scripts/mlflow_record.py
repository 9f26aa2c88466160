"""MLflow's client on SQLite: a run with 10 parameters and 10 metrics, by its batch calls.

Reads a number of runs from each line of input; answers with a JSON list of seconds.
"""

import json
import sys
import time

import mlflow
from mlflow.entities import Metric, Param


def main(folder: str) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")
    experiment = client.create_experiment("flights", artifact_location=f"{folder}/artifacts")
    parameters = [Param(f"parameter_{number}", str(number * 1.5)) for number in range(10)]
    metrics = [Metric(f"metric_{number}", number / 10, 0, 0) for number in range(10)]
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            run = client.create_run(experiment)
            client.log_batch(run.info.run_id, metrics=metrics, params=parameters)
            client.set_terminated(run.info.run_id)
            seconds.append(time.perf_counter() - start)
        print(json.dumps(seconds), flush=True)


main(sys.argv[1])
