"""From a trained model to graphs: every estimator becomes arrays, and arrays become ONNX in double precision.

`registry.score_form` reads an estimator, `score.score_model` writes `score.onnx`, `graph.model_graph`
writes `model.onnx`, the whole path from raw columns.

Example:
    >>> from everloop.model.compile import compiles
    >>> compiles(object())
    False
"""

from __future__ import annotations

from everloop.model.compile.form import ScoreForm, Tree
from everloop.model.compile.registry import EXPORTERS, compiles, score_form
from everloop.model.compile.score import score_model

__all__ = ["EXPORTERS", "ScoreForm", "Tree", "compiles", "score_form", "score_model"]
