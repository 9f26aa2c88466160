"""A release of a small package from the front door, for groups that export it."""
# ruff: noqa: D103, INP001

import socket

import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.deploy.targets import Release
from everloop.runtime.manifest import read_manifest


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


@pytest.fixture(scope="session")
def release(tmp_path_factory):
    draw = np.random.default_rng(0)
    amount, region = draw.normal(size=400), draw.choice(["north", "south"], 400)
    late = np.where(amount + (region == "south") > draw.normal(size=400), "yes", "no")
    table = pl.DataFrame({"amount": amount, "region": region, "late": late})
    folder = tmp_path_factory.mktemp("release") / "package"
    el.model.search(table, target="late", budget={"trials": 1}, seed=0).package(folder, sample=table)
    return Release(folder, read_manifest(folder), port=free_port())
