"""Reasons of rows with very many inputs keep nobody else waiting, and are bounded."""

from __future__ import annotations

import asyncio
import json
import threading

import httpx
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from everloop.core.clock import SystemClock
from everloop.runtime import Package
from everloop.runtime.explain import save_reference_row
from everloop.runtime.http import Refusal
from everloop.runtime.manifest import Manifest, ManifestColumn, write_manifest
from everloop.runtime.plan import NumberEncoder, Plan, PlanInput
from everloop.runtime.server import ServerSettings
from everloop.runtime.service import explaining
from everloop.runtime.service.metrics import metrics_text
from everloop.runtime.service.service import Service
from everloop.table.contract import ColumnRule, Contract

WIDE = 1_500
HIDDEN = 1_500


def graph():
    """A network with one layer in between: it takes a while for each of very many rows."""
    random = np.random.default_rng(0)
    return helper.make_model(
        helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "first"], ["h"]),
                helper.make_node("Tanh", ["h"], ["bent"]),
                helper.make_node("MatMul", ["bent", "last"], ["z"]),
                helper.make_node("Sigmoid", ["z"], ["score"]),
            ],
            "score",
            [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", WIDE])],
            [helper.make_tensor_value_info("score", TensorProto.DOUBLE, ["n", 1])],
            [
                numpy_helper.from_array(random.normal(size=(WIDE, HIDDEN)) / 40, "first"),
                numpy_helper.from_array(random.normal(size=(HIDDEN, 1)) / 40, "last"),
            ],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


@pytest.fixture(scope="module")
def wide(tmp_path_factory):
    """A package of very many inputs."""
    folder = tmp_path_factory.mktemp("wide") / "package"
    folder.mkdir()
    names = [f"c{number}" for number in range(WIDE)]
    encoders = tuple(NumberEncoder(name, place, fill=0.0) for place, name in enumerate(names))
    Plan(tuple(PlanInput(name, "number") for name in names), encoders, WIDE).save(folder / "plan.json")
    rules = tuple(ColumnRule(name=name, type="number", nullable=True) for name in names)
    contract = Contract(columns=rules, rules=(), extra="ignore").to_dict()
    (folder / "contract.json").write_text(json.dumps(contract))
    onnx.save(graph(), folder / "score.onnx")
    save_reference_row(folder / "explain.npz", dict.fromkeys(names, 0.0))
    write_manifest(
        folder,
        Manifest(
            lifecycle="wide",
            version=1,
            created="2013-05-01T00:00:00Z",
            task="binary",
            target="y",
            inputs=tuple(ManifestColumn(name, "number") for name in names),
            classes=("no", "yes"),
            positive="yes",
            threshold=0.5,
            entity=None,
            time=None,
            files={},
        ),
    )
    return folder


ROW = {f"c{number}": number % 7 - 3.0 for number in range(WIDE)}


def test_others_are_answered_while_reasons_are_looked_for(wide, start_server):
    server = start_server(package=str(wide))
    told = []

    def ask():
        with httpx.Client(base_url=server.url, timeout=60) as client:
            told.append(client.post("/predict?explain=5", json=ROW))

    asking = threading.Thread(target=ask)
    asking.start()
    meanwhile = 0
    while asking.is_alive():
        assert server.client.get("/health/live").status_code == 200
        assert server.client.post("/predict", json={"c1": 1.0}).status_code == 200
        meanwhile += 1
    asking.join()
    (answer,) = told
    assert meanwhile > 5, "who waits for the event loop is answered once before it is taken and once after"
    expected = Package(wide).explain(ROW, 5)
    reasons = answer.json()["reasons"]
    assert [reason["column"] for reason in reasons] == [reason.column for reason in expected]
    assert [reason["effect"] for reason in reasons] == pytest.approx([one.effect for one in expected])


def test_no_more_wait_for_reasons_than_can_be_given_soon(wide, tmp_path, monkeypatch):
    monkeypatch.setattr(explaining, "MOST_WAITING", 2)
    service = Service(ServerSettings(package=str(wide), log=str(tmp_path / "log")), SystemClock())
    service.start()

    async def ask():
        asked = [service.predict([{"c1": 1.0}], [None], 0.0, explain=number % 2) for number in range(10)]
        return await asyncio.gather(*asked, return_exceptions=True)

    try:
        found = asyncio.run(ask())
        with pytest.raises(Refusal) as many:
            asyncio.run(service.predict([{}] * 100, [None] * 100, 0.0, explain=1))
        monkeypatch.setattr(explaining, "MOST_WAITING", 0)
        with pytest.raises(Refusal) as none_now:
            asyncio.run(service.predict([{}], [None], 0.0, explain=1))
    finally:
        service.stop()
    plain, explained = found[::2], found[1::2]
    assert all(one[0].reasons is None for one in plain)
    refused = [one for one in explained if isinstance(one, Refusal)]
    assert [one.status for one in refused] == [503] * 3
    assert all(len(one[0].reasons) == 1 for one in explained if one not in refused)
    assert many.value.status == 413
    assert "at most 66 with reasons" in many.value.detail
    assert none_now.value.status == 503
    assert 'everloop_shed_total{reason="reasons"}' in metrics_text([("", service.metrics)])
