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

    columns = [
        {"type": "string" if item.type == "text" else "double", "name": item.name, "required": True}
        for item in trained.plan.inputs
    ]
    answer = [{"name": "score", "type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, scores]}}]
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
