"""KServe's own client, whose protocol v1 is TensorFlow Serving's REST and whose v2 is Open Inference's."""
# ruff: noqa: D103, INP001, S101

import asyncio

import httpx
import numpy as np
import pytest
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig


def ask(port, protocol, what):
    async def run():
        client = InferenceRESTClient(RESTConfig(protocol=protocol))
        try:
            return await what(client, f"http://127.0.0.1:{port}")
        finally:
            await client.close()

    return asyncio.run(run())


def test_v1_predicts_as_tensorflow_serving_does(port, name, rows, expected):
    async def what(client, url):
        by_row = await client.infer(url, {"instances": rows}, model_name=name)
        columns = {column: [row[column] for row in rows] for column in rows[0]}
        request = {"signature_name": "serving_default", "inputs": columns}
        by_column = await client.infer(url, request, model_name=name)
        return by_row["predictions"], by_column["outputs"]

    by_row, by_column = ask(port, "v1", what)
    assert [one["score"] for one in by_row] == [one.score for one in expected]
    assert [one["prediction"] for one in by_row] == [one.prediction for one in expected]
    assert by_column["score"] == [one.score for one in expected]


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_the_client_says_what_is_refused_and_why(port, name, protocol):
    text = InferInput("amount", [1], "BYTES", data=["secret-12"])
    wrong = {"v1": {"instances": [{"amount": "secret-12"}]}, "v2": InferRequest(name, [text])}[protocol]

    async def what(client, url):
        await client.infer(url, wrong, model_name=name)

    with pytest.raises(httpx.HTTPStatusError, match="422") as caught:
        ask(port, protocol, what)
    assert "amount: type, expected a finite number" in str(caught.value)
    assert "secret" not in caught.value.response.text


@pytest.mark.parametrize("binary", [True, False])
def test_v2_takes_tensors(port, name, rows, expected, binary):
    kinds = {"amount": ("FP64", np.float64), "months": ("INT64", np.int64), "region": ("BYTES", object)}
    known = rows if binary else rows[:2]  # what is missing has no form in JSON that the client writes

    async def what(client, url):
        tensors = []
        for column, (datatype, kind) in kinds.items():
            values = [np.nan if row[column] is None else row[column] for row in known]
            tensor = InferInput(column, [len(known)], datatype)
            tensor.set_data_from_numpy(np.array(values, kind), binary_data=binary)
            tensors.append(tensor)
        request = InferRequest(name, tensors, request_id="kserve")
        assert await client.is_server_ready(url)
        assert await client.is_server_live(url)
        assert await client.is_model_ready(url, name)
        return await client.infer(url, request, model_name=name)

    found = ask(port, "v2", what)
    said = {output.name: output.as_numpy().tolist() for output in found.outputs}
    assert found.id == "kserve"
    assert found.model_name == name
    assert said["score"] == [one.score for one in expected[: len(known)]]
    assert said["id"] == [f"kserve:{place}" for place in range(len(known))]
