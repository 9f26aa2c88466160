"""A network of PyTorch or Keras as arrays: layers that follow one another, in doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from everloop.core.errors import ModelFault
from everloop.model.learners.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def is_network(model: Any) -> bool:
    """Says whether something is a PyTorch module or a Keras model; neither library is loaded for it."""
    kinds = {f"{kind.__module__.partition('.')[0]}.{kind.__name__}" for kind in type(model).__mro__}
    return not kinds.isdisjoint({"torch.Module", "keras.Model"})


def network_of(model: Any, classes: Sequence[str] = ()) -> Network:
    """Reads a PyTorch module or a Keras model.

    Args:
        model: A ``torch.nn.Sequential`` of known layers, or a Keras model whose layers follow one another.
        classes: The labels in the order of the outputs; none for a number. One output of two classes
            is the score of the second.

    Raises:
        ModelFault: When a layer has no form here, or the outputs are not as many as the classes.
    """
    if type(model).__module__.partition(".")[0] == "keras":
        from everloop.model.learners.keras_layers import keras_layers

        width, layers = keras_layers(model)
    else:
        from everloop.model.learners.torch_layers import torch_layers

        width, layers = torch_layers(model)
    outputs = Network(width, layers, None).outputs(np.zeros((1, width))).shape[1]
    one_score = outputs == 1 and len(classes) == 2
    if classes and layers[-1][0] == ("sigmoid" if one_score else "softmax"):
        layers = layers[:-1]  # the package makes the chances itself
    if one_score:
        # One score s as two, 0 and s: their softmax is the sigmoid of s.
        layers.append(("dense", {"weight": np.array([[0.0, 1.0]]), "bias": np.zeros(2)}))
    elif outputs != max(len(classes), 1):
        raise ModelFault(
            f"The network has {outputs} outputs for {len(classes)} classes.",
            hint="name the classes in the order of the outputs: --classes no,yes",
        )
    labels: NDArray[Any] | None = np.array(list(classes)) if classes else None
    return Network(width, layers, labels)
