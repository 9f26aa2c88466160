"""MLflow's own client of its scoring server asks ours."""
# ruff: noqa: D103, INP001, S101

import os

import pandas as pd
import polars as pl
import pytest

from everloop.runtime import Package

os.environ |= {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}


@pytest.mark.filterwarnings("ignore:.*inferred as AnyType:UserWarning")  # of MLflow's own import
def test_mlflows_scoring_client_is_answered(port, package, rows):
    from mlflow.pyfunc.scoring_server.client import ScoringServerClient

    client = ScoringServerClient("127.0.0.1", port)
    client.ping()
    asked = pd.DataFrame(rows)
    answered = client.invoke(asked).get_predictions()
    expected = Package(package).predict(pl.from_pandas(asked))
    assert answered.iloc[:, 0].tolist() == list(expected)
    with pytest.raises(Exception, match=r"INVALID_PARAMETER_VALUE.*amount"):
        client.invoke(pd.DataFrame({"amount": ["many"], "months": [3], "region": ["north"]}))
