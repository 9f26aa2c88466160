"""A convolutional network for images and sounds, trained by PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.image_net import PORTFOLIO, SPACE, ImageNet
from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.network import Network
from everloop.model.learners.network_training import Schedule
from everloop.model.learners.torch_layers import torch_layers
from everloop.model.learners.torch_training import train_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]


class Cnn:
    """Blocks of convolution, batch normalisation, ReLU and pooling, then two dense layers.

    It reads the images and sounds of a row and nothing else; beside other learners an ensemble joins what
    each of them reads. PyTorch trains it on the processor, one thread, in float32; what is kept are its
    weights, which answer in doubles without PyTorch.
    """

    name: ClassVar[str] = "cnn"
    capabilities: ClassVar[Capabilities] = Capabilities(
        wants_scaling=True, cost=60.0, most_rows=100_000, reads_grids=True
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
        """Fits; see `Learner.fit`. One thread trains whatever `threads` says, so that all agree."""
        del threads
        net = ImageNet.of(configuration, X.shape[1])

        def build(torch: Any, outputs: int) -> Any:
            return _module(torch, net, outputs)

        first = net.chosen(X.shape[1])
        images = X[:, net.slots].reshape(len(X), -1, net.channels).transpose(0, 2, 1).reshape(len(X), -1)
        schedule = Schedule.of(configuration)
        trained = train_network(build, images, y, weights, task=task, schedule=schedule, seed=seed)
        layers = torch_layers(trained.module)[1]
        if net.channels > 1:
            layers = layers[1:]  # PyTorch's rows are channels first; ours are last, as the layers that follow
        return Network(X.shape[1], [*first, *layers, *trained.last], trained.classes)


def _module(torch: Any, net: ImageNet, outputs: int) -> Any:
    nn = torch.nn
    parts: list[Any] = [nn.Unflatten(1, (net.channels, net.rows, net.columns))]
    before, sides = net.channels, [net.rows, net.columns]
    for filters, pool in zip(net.filters, net.pools, strict=True):
        parts += [nn.Conv2d(before, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        parts.append(nn.MaxPool2d(pool))
        before, sides = filters, [side // step for side, step in zip(sides, pool, strict=True)]
    width = before * sides[0] * sides[1]
    parts += [nn.Flatten(), nn.Dropout(net.dropout), nn.Linear(width, net.units), nn.ReLU()]
    last = nn.Linear(net.units, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, nn.Dropout(net.dropout), last)
