"""The file ``MLmodel``, by which platforms that speak MLflow load the package's folder."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from everloop.model.trained import Trained


def mlmodel_text(trained: Trained, *, identity: str, created: datetime, scores: int) -> str:
    """Writes the model's description for MLflow: the flavour ``onnx`` on ``model.onnx``.

    The signature states tensors, since with columns MLflow hands a graph of several inputs vectors where
    it takes (n, 1). So its `pyfunc` takes a data frame or a dictionary of arrays; a text that is missing
    is the single character NUL, a number that is missing NaN.

    Args:
        trained: What the package was made from.
        identity: Hexadecimal, at least 32 digits; the same for the same model.
        created: When the package was made.
        scores: The width of the score.

    Returns:
        YAML, in which every value is written as JSON.

    Source:
        https://mlflow.org/docs/latest/ml/model/#mlmodel-file
    """
    import onnx

    from everloop.model.compile.graph import input_name

    columns = [
        _tensor(input_name(item.name), "object" if item.type == "text" else "float64", 1)
        for item in trained.plan.inputs
    ]
    answer = [_tensor("score", "float64", scores)]
    data: dict[str, Any] = {
        "flavors": {
            "onnx": {
                "onnx_version": onnx.__version__,
                "data": "model.onnx",
                "providers": ["CPUExecutionProvider"],
                "onnx_session_options": {"intra_op_num_threads": 1},
            },
            "python_function": {
                "loader_module": "mlflow.onnx",
                "data": "model.onnx",
                "python_version": platform.python_version(),
            },
        },
        "model_uuid": identity[:32],
        "utc_time_created": created.strftime("%Y-%m-%d %H:%M:%S.%f"),
        "signature": {"inputs": json.dumps(columns), "outputs": json.dumps(answer), "params": None},
    }
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in data.items())


def _tensor(name: str, dtype: str, width: int) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, width]}}
