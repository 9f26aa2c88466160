"""The same convolutional network for images and sounds, trained by Keras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.image_net import PORTFOLIO, SPACE, ImageNet
from everloop.model.learners.keras_layers import keras_layers
from everloop.model.learners.keras_training import train_keras
from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]


class CnnKeras:
    """The network of `cnn`, for who has Keras and not PyTorch.

    TensorFlow trains it on the processor in float32, its operators deterministic; what is kept are its
    weights, which answer in doubles without either.
    """

    name: ClassVar[str] = "cnn_keras"
    capabilities: ClassVar[Capabilities] = Capabilities(
        wants_scaling=True, cost=90.0, most_rows=100_000, reads_grids=True, loads="keras"
    )
    space: ClassVar[tuple[Parameter, ...]] = SPACE
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = PORTFOLIO

    def fit(
        self,
        X: Matrix,
        y: NDArray[Any],
        *,
        task: Task,
        configuration: Mapping[str, Any],
        weights: Matrix | None = None,
        seed: int = 0,
        threads: int = 1,
    ) -> Any:
        """Fits; see `Learner.fit`."""
        del threads
        net = ImageNet.of(configuration, X.shape[1])

        def build(keras: Any, outputs: int) -> Any:
            return _model(keras, net, outputs)

        trained = train_keras(
            build, X[:, net.slots], y, weights, task=task, configuration=configuration, seed=seed
        )
        layers = [*net.chosen(X.shape[1]), *keras_layers(trained.module)[1], *trained.last]
        return Network(X.shape[1], layers, trained.classes)


def _model(keras: Any, net: ImageNet, outputs: int) -> Any:
    layers = keras.layers
    parts: list[Any] = [
        keras.Input((net.rows * net.columns * net.channels,)),
        layers.Reshape((net.rows, net.columns, net.channels)),
    ]
    for filters, pool in zip(net.filters, net.pools, strict=True):
        parts += [
            layers.Conv2D(filters, 3, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
            layers.MaxPooling2D(pool),
        ]
    parts += [layers.Flatten(), layers.Dropout(net.dropout), layers.Dense(net.units, activation="relu")]
    last = layers.Dense(outputs, kernel_initializer="zeros")
    return keras.Sequential([*parts, layers.Dropout(net.dropout), last])
