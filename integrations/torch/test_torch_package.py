"""PyTorch modules that were trained elsewhere: tables and images, packaged in doubles."""
# ruff: noqa: D103, INP001, S101

import json

import numpy as np
import polars as pl
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import everloop as el
from everloop.core.errors import ModelFault

DIGITS = [str(digit) for digit in range(10)]


def trained(module: nn.Module, X: np.ndarray, y: np.ndarray, steps: int = 60) -> nn.Module:
    torch.manual_seed(0)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    rows, goal = torch.as_tensor(X, dtype=torch.float32), torch.as_tensor(y)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(rows), goal).backward()
        optimizer.step()
    return module.eval()


def packaged(module: nn.Module, X: np.ndarray, folder) -> el.runtime.Package:
    table = pl.DataFrame({f"pixel_{place}": X[:, place] for place in range(X.shape[1])})
    el.model.package(module, folder / "package", sample=table, classes=DIGITS)
    certificate = json.loads((folder / "package" / "parity.json").read_bytes())
    assert certificate["passed"]
    assert certificate["tolerance"] == 1e-9
    package = el.runtime.Package(folder / "package")
    with torch.no_grad():
        expected = torch.softmax(module.double()(torch.as_tensor(X)), dim=1).numpy()
    np.testing.assert_allclose(package.scores(table), expected, atol=1e-9)
    return package


def test_a_network_for_rows(tmp_path) -> None:
    torch.manual_seed(0)
    X, y = load_digits(return_X_y=True)
    module = nn.Sequential(
        nn.BatchNorm1d(64),
        nn.Linear(64, 32),
        nn.SiLU(),
        nn.Dropout(0.2),
        nn.Sequential(nn.Linear(32, 16), nn.LeakyReLU(0.1), nn.Linear(16, 16), nn.Tanh()),
        nn.Linear(16, 10),
    )
    packaged(trained(module, X, y), X, tmp_path)


def test_a_network_for_images(tmp_path) -> None:
    torch.manual_seed(0)
    X, y = load_digits(return_X_y=True)
    module = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 6, 3, padding=1),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 8, (3, 2), stride=(1, 2), padding=(1, 0), bias=False),
        nn.ReLU(),
        nn.AvgPool2d((2, 1)),
        nn.Flatten(),
        nn.Linear(32, 10),
    )
    package = packaged(trained(module, X, y), X, tmp_path)
    table = pl.DataFrame({f"pixel_{place}": X[:, place] for place in range(64)})
    assert (package.predict(table) == y.astype(str)).mean() > 0.9


def test_channels_first_become_channels_last(tmp_path) -> None:
    torch.manual_seed(0)
    X = np.random.default_rng(0).normal(size=(50, 3 * 4 * 5))
    module = nn.Sequential(
        nn.Unflatten(1, (3, 4, 5)),
        nn.Conv2d(3, 10, 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Identity(),
    )
    packaged(module.eval(), X, tmp_path)


def test_a_layer_without_a_form_is_named(tmp_path) -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.GELU())
    with pytest.raises(ModelFault, match="GELU has no compiled form") as raised:
        el.model.package(module, tmp_path / "package", sample=pl.DataFrame({"a": [1.0], "b": [2.0]}))
    assert "onnx" in str(raised.value.hint)
