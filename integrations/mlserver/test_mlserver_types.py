"""MLServer's own types and codecs write what is asked and read what is answered."""
# ruff: noqa: D103, INP001, S101, S310

import urllib.error
import urllib.request

import numpy as np
import pandas as pd
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of MLServer's own import


def infer(port, name, request):
    """Sends what MLServer's types say, and reads the answer by them."""
    from mlserver.types import InferenceResponse

    body = request.model_dump_json(exclude_none=True).encode()
    ask = urllib.request.Request(
        f"http://127.0.0.1:{port}/v2/models/{name}/infer", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(ask) as answer:
        return InferenceResponse.model_validate_json(answer.read())


@pytest.mark.parametrize("as_bytes", [True, False])
def test_a_table_goes_there_and_an_answer_comes_back(port, name, rows, expected, as_bytes):
    from mlserver.codecs import PandasCodec

    known = rows[:2]  # NaN has no form in the JSON that these types write
    request = PandasCodec.encode_request(pd.DataFrame(known), use_bytes=as_bytes)
    request.id = "mlserver"
    response = infer(port, name, request)
    assert (response.id, response.model_name) == ("mlserver", name)
    table = PandasCodec.decode_response(response)
    assert table["score"].tolist() == [one.score for one in expected[:2]]
    assert [text(value) for value in table["prediction"]] == [one.prediction for one in expected[:2]]


def test_tensors_one_by_one_and_only_what_is_asked_for(port, name, rows, expected):
    from mlserver.codecs import NumpyCodec, StringCodec
    from mlserver.types import InferenceRequest, RequestOutput

    columns = {column: [row[column] for row in rows[:2]] for column in rows[0]}
    request = InferenceRequest(
        inputs=[
            NumpyCodec.encode_input("amount", np.array(columns["amount"])),
            NumpyCodec.encode_input("months", np.array(columns["months"])),
            StringCodec.encode_input("region", columns["region"], use_bytes=False),
        ],
        outputs=[RequestOutput(name="prediction"), RequestOutput(name="score")],
    )
    response = infer(port, name, request)
    prediction, score = response.outputs
    assert StringCodec.decode_output(prediction) == [one.prediction for one in expected[:2]]
    assert NumpyCodec.decode_output(score).ravel().tolist() == [one.score for one in expected[:2]]


def test_the_description_is_one_of_theirs(port, name):
    from mlserver.types import MetadataModelResponse, MetadataServerResponse

    def read(path, kind):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as answer:
            return kind.model_validate_json(answer.read())

    assert read("/v2", MetadataServerResponse).name == "everloop"
    model = read(f"/v2/models/{name}", MetadataModelResponse)
    assert {one.name: one.datatype for one in model.inputs} == {
        "amount": "FP64",
        "months": "INT64",
        "region": "BYTES",
    }


def test_a_refusal_is_one_of_theirs(port, name):
    from mlserver.codecs import StringCodec
    from mlserver.types import InferenceErrorResponse, InferenceRequest

    request = InferenceRequest(inputs=[StringCodec.encode_input("amount", ["secret-12"])])
    with pytest.raises(urllib.error.HTTPError) as caught:
        infer(port, name, request)
    said = InferenceErrorResponse.model_validate_json(caught.value.read()).error
    assert "amount" in said
    assert "secret" not in said


def text(value):
    return value.decode() if isinstance(value, bytes) else value
