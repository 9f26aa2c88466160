"""A neural net for tables, trained by PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from everloop.model.learners.learner import Capabilities, Parameter
from everloop.model.learners.network import Layer, Network
from everloop.model.learners.network_training import Schedule
from everloop.model.learners.torch_layers import column_factors, torch_layers
from everloop.model.learners.torch_training import train_network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from everloop.model.learners.learner import Task

    Matrix = NDArray[np.float64]

SOFT_LIMIT = 3.0
"""Robustly scaled numbers are bent so that none is beyond this many units (Holzmüller et al. 2024)."""


class NeuralNet:
    """A multilayer perceptron with the tricks of RealMLP (Holzmüller, Grinsztajn, Steinwart 2024).

    Numbers are scaled by their quartiles and bent softly, each column has a learned factor, the rate
    falls along a cosine, and of all epochs the one that is best on rows kept aside is taken. PyTorch
    trains it on the processor, one thread, in float32; what is kept are its weights, which answer in
    doubles without PyTorch.
    """

    name: ClassVar[str] = "neural_net"
    capabilities: ClassVar[Capabilities] = Capabilities(wants_scaling=True, cost=30.0, most_rows=200_000)
    space: ClassVar[tuple[Parameter, ...]] = (
        Parameter("layers", "integer", 1, 4),
        Parameter("units", "choice", choices=(64, 128, 256, 512)),
        Parameter("epochs", "integer", 10, 150, log=True),
        Parameter("learning_rate", "number", 3e-4, 2e-2, log=True),
        Parameter("dropout", "number", 0.0, 0.4),
        Parameter("weight_decay", "number", 1e-5, 0.3, log=True),
        Parameter("smoothing", "number", 0.0, 0.1),
    )
    portfolio: ClassVar[tuple[Mapping[str, Any], ...]] = (
        {"layers": 2, "units": 128, "epochs": 40, "learning_rate": 0.004, "dropout": 0.1},
        {"layers": 3, "units": 256, "epochs": 80, "learning_rate": 0.003, "dropout": 0.2, "smoothing": 0.02},
    )

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
        first = _robust_layers(X)
        inputs = Network(X.shape[1], first, None).outputs(X)

        def build(torch: Any, outputs: int) -> Any:
            return _perceptron(torch, X.shape[1], outputs, configuration)

        schedule = Schedule.of(configuration)
        trained = train_network(build, inputs, y, weights, task=task, schedule=schedule, seed=seed)
        return Network(X.shape[1], [*first, *torch_layers(trained.module)[1], *trained.last], trained.classes)


def _robust_layers(X: Matrix) -> list[Layer]:
    """Gives the scaling by median and quartiles, or by half the range where the quartiles are equal."""
    low, first, middle, third, high = np.quantile(X, [0.0, 0.25, 0.5, 0.75, 1.0], axis=0)
    spread = np.where(third > first, third - first, (high - low) / 2.0)
    factor = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-12)
    return [
        ("scale", {"factor": factor, "shift": -middle * factor}),
        ("soft_clip", {"limit": np.array(SOFT_LIMIT)}),
    ]


def _perceptron(torch: Any, width: int, outputs: int, configuration: Mapping[str, Any]) -> Any:
    nn, units = torch.nn, int(configuration.get("units", 128))
    parts: list[Any] = [column_factors(torch, width)]
    for _ in range(int(configuration.get("layers", 2))):
        parts += [nn.Linear(width, units), nn.SiLU(), nn.Dropout(float(configuration.get("dropout", 0.1)))]
        width = units
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(*parts, last)
