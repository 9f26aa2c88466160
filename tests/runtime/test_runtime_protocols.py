"""Other protocols on the same server: Open Inference, TensorFlow Serving, MLflow and SageMaker."""

import base64
import json
import struct

import numpy as np
import pytest

from everloop.runtime.http import Refusal
from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.protocols import PROTOCOLS, invocations
from everloop.runtime.protocols.tensors import answered_tensors
from everloop.runtime.routing import PINNED, Arm, Routing, write_routing
from everloop.runtime.server import ServerLimits

ROWS = [
    {"amount": 12.0, "region": "north", "customer": "c1"},
    {"amount": None, "region": "südwest", "customer": "c2"},
    {"amount": -3.25, "region": None, "customer": None},
]
INFER = "/v2/models/loan-default/infer"
PREDICT = "/v1/models/loan-default:predict"


@pytest.fixture(scope="module")
def expected(packages):
    return Package(packages["binary"]).answers(ROWS)


def column(name):
    return [row[name] for row in ROWS]


def tensors(**changes):
    whole = [
        {"name": "amount", "datatype": "FP64", "shape": [3], "data": column("amount")},
        {"name": "region", "datatype": "BYTES", "shape": [3, 1], "data": [[one] for one in column("region")]},
        {"name": "customer", "datatype": "BYTES", "shape": [3], "data": column("customer")},
    ]
    return {"inputs": whole, **changes}


def outputs(answer):
    return {one["name"]: one for one in answer["outputs"]}


def test_every_route_is_described(shared_server):
    paths = shared_server.client.get("/openapi.json").json()["paths"]
    for route in (route for part in PROTOCOLS for route in part.ROUTES):
        assert route.method.lower() in paths[route.path], route.path


# Open Inference Protocol ------------------------------------------------------------------------------


def test_tensors_are_answered_as_the_package_answers(shared_server, expected):
    answer = shared_server.client.post(INFER, json=tensors(id="ask")).json()
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("loan-default", "7", "ask")
    found = outputs(answer)
    assert found["prediction"] == {
        "name": "prediction", "datatype": "BYTES", "shape": [3], "data": [one.prediction for one in expected],
    }  # fmt: skip
    assert found["score"]["data"] == [one.score for one in expected]
    assert found["id"]["data"] == ["ask:0", "ask:1", "ask:2"]


def test_binary_tensors_both_ways(shared_server, expected):
    amounts = np.array([np.nan if one is None else one for one in column("amount")], "<f8").tobytes()
    texts = b"".join(
        struct.pack("<I", len(text)) + text for text in ((one or "").encode() for one in column("region"))
    )
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "amount",
                    "datatype": "FP64",
                    "shape": [3],
                    "parameters": {"binary_data_size": len(amounts)},
                },
                {
                    "name": "region",
                    "datatype": "BYTES",
                    "shape": [3],
                    "parameters": {"binary_data_size": len(texts)},
                },
            ],
            "outputs": [
                {"name": "score", "parameters": {"binary_data": True}},
                {"name": "prediction", "parameters": {"binary_data": True}},
                {"name": "id"},
            ],
        }
    ).encode()
    response = shared_server.client.post(
        INFER,
        content=head + amounts + texts,
        headers={"inference-header-content-length": str(len(head))},
    )
    end = int(response.headers["inference-header-content-length"])
    found = outputs(json.loads(response.content[:end]))
    size = found["score"]["parameters"]["binary_data_size"]
    scores = np.frombuffer(response.content[end : end + size], "<f8")
    assert scores.tolist()[:2] == [one.score for one in expected][:2]
    text = response.content[end + size :]
    assert text[:4] == struct.pack("<I", len(expected[0].prediction))
    assert len(found["id"]["data"]) == 3


def test_one_matrix_of_all_columns(packages, start_server):
    server = start_server(package=str(packages["multiclass"]))
    matrix = {"name": "x", "datatype": "BYTES", "shape": [2, 4], "data": [[None] * 4, [None] * 4]}
    found = outputs(server.client.post(INFER, json={"inputs": [matrix]}).json())
    assert (found["score"]["shape"], found["score"]["datatype"]) == ([2, 3], "FP64")
    assert found["score"]["data"][:3] == list(Package(packages["multiclass"]).answer({}).score)
    described = server.client.get("/v2/models/loan-default").json()
    assert described["outputs"][1] == {"name": "score", "datatype": "FP64", "shape": [-1, 3]}


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_no_rows_are_answered_with_the_model_s_datatypes(packages, task):
    manifest = Package(packages[task]).manifest
    empty = answered_tensors(manifest, {"prediction": [], "score": [], "id": []})
    prediction = "FP64" if task == "regression" else "BYTES"
    assert [(one.datatype, one.shape, one.data) for one in empty] == [
        (prediction, [0], []),
        ("FP64", [0, 3] if task == "multiclass" else [0], []),
        ("BYTES", [0], []),
    ]


def test_no_rows_are_asked_and_answered(shared_server):
    none = {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [0], "data": []}]}
    found = outputs(shared_server.client.post(INFER, json=none).json())
    assert {name: one["datatype"] for name, one in found.items()} == {
        "prediction": "BYTES",
        "score": "FP64",
        "id": "BYTES",
    }


def test_a_value_at_its_datatype_s_bound_is_taken(shared_server):
    for datatype, value in (("INT8", -128), ("UINT8", 255), ("FP16", 65504.0)):
        tensor = {"name": "amount", "datatype": datatype, "shape": [1], "data": [value]}
        assert shared_server.client.post(INFER, json={"inputs": [tensor]}).status_code == 200


def test_models_and_health_are_described(shared_server):
    client = shared_server.client
    described = client.get("/v2/models/loan-default/versions/7").json()
    assert (described["name"], described["versions"]) == ("loan-default", ["7"])
    assert described["inputs"][0] == {"name": "amount", "datatype": "FP64", "shape": [-1]}
    assert client.get("/v2").json()["name"] == "everloop"
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/loan-default/ready"):
        assert client.get(path).status_code == 200
    for path in (
        "/v2/models/other",
        "/v2/models/loan-default/versions/8",
        "/v2/models/loan-default/versions/x",
    ):
        refused = client.get(path)
        assert refused.status_code == 404
        assert set(refused.json()) == {"error"}


@pytest.mark.parametrize(
    ("method", "path", "status", "members"),
    [
        ("GET", "/v2/nothing", 404, {"error"}),
        ("POST", "/v2/models/loan-default/other", 404, {"error"}),
        ("DELETE", "/v2", 405, {"error"}),
        ("GET", "/v1/nothing/here", 404, {"error"}),
        ("GET", "/v1/models/loan-default:predict", 405, {"error"}),
        ("GET", "/invocations", 405, {"error_code", "message"}),
        ("POST", "/ping", 405, {"error_code", "message"}),
        ("GET", "/v2x", 404, {"title", "status", "detail"}),
        ("GET", "/nothing", 404, {"title", "status", "detail"}),
    ],
)
def test_an_unknown_path_is_refused_in_the_words_of_its_protocol(
    shared_server, method, path, status, members
):
    answer = shared_server.client.request(method, path)
    assert answer.status_code == status
    told = answer.json()
    assert members <= told.keys()
    assert ("type" in told) == (members != {"error"})
    if members == {"error"}:
        assert answer.headers["content-type"] == "application/json"


TENSORS = {
    "no body": (b"", 400),
    "no inputs": (b"{}", 400),
    "unknown type": ({"inputs": [{"name": "amount", "datatype": "FP7", "shape": [1], "data": [1]}]}, 400),
    "shape too small": (
        {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [1, 2]}]},
        400,
    ),
    "negative shape": ({"inputs": [{"name": "amount", "datatype": "FP64", "shape": [-1], "data": []}]}, 400),
    "no shape": ({"inputs": [{"name": "amount", "datatype": "FP64", "shape": [], "data": [1]}]}, 400),
    "wide": ({"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}]}, 400),
    "text for numbers": (
        {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": ["x"]}]},
        400,
    ),
    "number for text": (
        {"inputs": [{"name": "region", "datatype": "BYTES", "shape": [1], "data": [3]}]},
        400,
    ),
    "beyond a byte": (
        {"inputs": [{"name": "amount", "datatype": "INT8", "shape": [2], "data": [-128, 300]}]},
        400,
    ),
    "below nothing": (
        {"inputs": [{"name": "amount", "datatype": "UINT64", "shape": [1], "data": [-1]}]},
        400,
    ),
    "beyond a single": (
        {"inputs": [{"name": "amount", "datatype": "FP32", "shape": [1], "data": [1e39]}]},
        400,
    ),
    "no tensor": ({"inputs": []}, 400),
    "unlike lengths": (
        {
            "inputs": [
                {"name": "amount", "datatype": "FP64", "shape": [1], "data": [1]},
                {"name": "region", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
            ]
        },
        400,
    ),
    "twice": ({"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [1]}] * 2}, 400),
    "unknown output": (tensors(outputs=[{"name": "logits"}]), 400),
    "binary beyond the body": (
        {
            "inputs": [
                {"name": "amount", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}
            ]
        },
        400,
    ),
    "deep": (
        {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [[[[[[[[[[[1]]]]]]]]]]]}]},
        400,
    ),
    "contract": (
        {"inputs": [{"name": "amount", "datatype": "BYTES", "shape": [1], "data": ["secret-12"]}]},
        422,
    ),
}


@pytest.mark.parametrize(("body", "status"), TENSORS.values(), ids=TENSORS)
def test_wrong_tensors_are_refused_in_the_protocols_way(shared_server, body, status):
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    refused = shared_server.client.post(INFER, content=content)
    assert refused.status_code == status, refused.text
    assert refused.headers["content-type"] == "application/json"
    assert set(refused.json()) == {"error"}
    assert "secret" not in refused.text


@pytest.mark.parametrize("length", ["x", "-1", "999999", "1" * 40])
def test_a_wrong_header_length_is_refused(shared_server, length):
    headers = {"inference-header-content-length": length}
    assert shared_server.client.post(INFER, content=b"{}", headers=headers).status_code == 400


@pytest.mark.parametrize("size", [True, -1, 2**70, "8"])
def test_a_wrong_binary_size_is_refused(shared_server, size):
    tensor = {"name": "amount", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": size}}
    assert shared_server.client.post(INFER, json={"inputs": [tensor]}).status_code == 400


def test_bytes_that_are_no_texts_are_refused(shared_server):
    for content in (b"\x01", b"\x09\0\0\0abc", b"\x01\0\0\0\xff"):
        head = json.dumps(
            {
                "inputs": [
                    {
                        "name": "region",
                        "datatype": "BYTES",
                        "shape": [1],
                        "parameters": {"binary_data_size": len(content)},
                    }
                ]
            }
        ).encode()
        headers = {"inference-header-content-length": str(len(head))}
        refused = shared_server.client.post(INFER, content=head + content, headers=headers)
        assert refused.status_code == 400


def test_a_named_version_answers_and_is_kept_out_of_the_comparison(make_package, start_server, tmp_path):
    make_package(tmp_path / "v1", 1)
    make_package(tmp_path / "v2", 2, shift=3.0)
    routing = tmp_path / "routing.json"
    challenger = Arm(2, "v2", share=0.0, strategy="canary", salt="s")
    write_routing(routing, Routing("loan-default", 1, Arm(1, "v1"), challenger))
    server = start_server(routing=str(routing))
    asked = {"inputs": [{"name": "amount", "datatype": "FP64", "shape": [1], "data": [4.0]}], "id": "a"}
    answer = server.client.post("/v2/models/loan-default/versions/2/infer", json=asked).json()
    assert outputs(answer)["score"]["data"] == [Package(tmp_path / "v2").answer({"amount": 4.0}).score]
    assert server.client.get("/v2/models/loan-default").json()["versions"] == ["1", "2"]
    plain = server.client.post("/v2/models/loan-default/infer", json=asked | {"id": "b"}).json()
    assert outputs(plain)["score"]["data"] == [Package(tmp_path / "v1").answer({"amount": 4.0}).score]
    assert server.stop() == (0, "")
    lines = read_log(server.log).predictions.sort("id").select("id", "version", "arm").rows()
    assert lines == [("a", 2, PINNED), ("b", 1, "champion")]


# TensorFlow Serving -----------------------------------------------------------------------------------


def test_instances_and_inputs(shared_server, expected):
    by_row = shared_server.client.post(PREDICT, json={"instances": ROWS}).json()["predictions"]
    assert [one["score"] for one in by_row] == [one.score for one in expected]
    columns = {name: [[one] for one in column(name)] for name in ("amount", "region", "customer")}
    by_column = shared_server.client.post(
        "/v1/models/loan-default/versions/7:predict",
        json={"signature_name": "serving_default", "inputs": columns},
    ).json()["outputs"]
    assert by_column["score"] == [one.score for one in expected]
    assert by_column["prediction"] == [one["prediction"] for one in by_row]
    coded = {"amount": 12.0, "region": {"b64": base64.b64encode(b"north").decode()}}
    (one,) = shared_server.client.post(PREDICT, json={"instances": [coded]}).json()["predictions"]
    assert one["score"] == expected[0].score


def test_status_and_metadata(shared_server):
    status = shared_server.client.get("/v1/models/loan-default").json()["model_version_status"]
    assert [(one["version"], one["state"]) for one in status] == [("7", "AVAILABLE")]
    told = shared_server.client.get("/v1/models/loan-default/metadata").json()
    signature = told["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["amount"]["dtype"] == "DT_DOUBLE"
    assert told["model_spec"]["version"] == "7"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({}, 400),
        ({"instances": [], "inputs": {}}, 400),
        ({"instances": 3}, 400),
        ({"inputs": [1]}, 400),
        ({"inputs": {"amount": [1], "region": ["a", "b"]}}, 400),
        ({"instances": [1]}, 422),
        ({"instances": [{"region": {"b64": "%"}}]}, 400),
        ({"instances": [{}], "signature_name": "other"}, 404),
        ({"instances": [{"amount": "x"}]}, 422),
    ],
)
def test_wrong_requests_are_refused_as_the_protocol_tells(shared_server, body, status):
    refused = shared_server.client.post(PREDICT, json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (status, "application/json")
    assert set(refused.json()) == {"error"}
    assert refused.json()["error"]


# MLflow and SageMaker ---------------------------------------------------------------------------------


def split():
    names = ["amount", "region", "customer"]
    return {"columns": names, "data": [[row[name] for name in names] for row in ROWS]}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": split()},
        {"dataframe_split": split() | {"index": [0, 1, 2]}, "params": {}},
        {"dataframe_records": ROWS},
        {"instances": ROWS},
        {"inputs": {name: column(name) for name in ("amount", "region", "customer")}},
    ],
    ids=["split", "split with index", "records", "instances", "inputs"],
)
def test_tables_are_answered(shared_server, expected, body):
    answer = shared_server.client.post("/invocations", json=body).json()
    assert answer["predictions"] == [one.prediction for one in expected]
    assert answer["scores"] == [one.score for one in expected]
    assert len(set(answer["ids"])) == 3


def test_nan_as_pandas_writes_it_is_missing(shared_server, expected):
    body = b'{"dataframe_split": {"columns": ["amount", "region"], "data": [[NaN, "s\\u00fcdwest"]]}}'
    answer = shared_server.client.post(
        "/invocations", content=body, headers={"content-type": "application/json"}
    )
    assert answer.json()["scores"] == [expected[1].score]


@pytest.mark.parametrize(
    "content",
    [
        "amount,region\n12.0,north\n,südwest\n",
        "12.0,north,c1,\n,südwest,,\n",
        "\ufeffamount,region\r\n12,north\r\n,südwest",
    ],
    ids=["header", "by place", "with a mark"],
)
def test_csv_is_answered(shared_server, expected, content):
    headers = {"content-type": "text/csv; charset=utf-8"}
    answer = shared_server.client.post("/invocations", content=content.encode(), headers=headers)
    assert answer.json()["scores"] == [one.score for one in expected[:2]]
    as_csv = shared_server.client.post(
        "/invocations", content=content.encode(), headers=headers | {"accept": "text/csv"}
    )
    assert as_csv.headers["content-type"].startswith("text/csv")
    assert as_csv.text.split() == [one.prediction for one in expected[:2]]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "text/csv", 400),
        (b"1,2\n", "text/csv", 400),
        (b"amount,region\n1\n", "text/csv", 400),
        (b"\xff\xfe", "text/csv", 400),
        (b'amount\n"open', "text/csv", 400),
        (b"amount\nmany\n", "text/csv", 422),
        (b"amount,region,amount\n1,north,2\n", "text/csv", 400),
        (
            b'{"dataframe_split": {"columns": ["amount", "amount"], "data": [[1, 2]]}}',
            "application/json",
            400,
        ),
        (b"{}", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"dataframe_split": {"columns": ["amount"], "data": [[1, 2]]}}', "application/json", 400),
        (b'{"dataframe_split": {"columns": [1], "data": [[1]]}}', "application/json", 400),
        (b'{"dataframe_split": {"columns": ["amount"], "data": 3}}', "application/json", 400),
        (b'{"dataframe_records": [{}], "instances": []}', "application/json", 400),
        (b'{"dataframe_records": 3}', "application/json", 400),
        (b'{"inputs": {"amount": [1], "region": []}}', "application/json", 400),
        (b'{"instances": [{}], "params": {"a": 1}}', "application/json", 400),
        (b"<table/>", "application/xml", 415),
        (b'{"instances": [{"amount": Infinity, "region": NaN}]}', "application/json", 400),
        (b'{"instances": [{"amount": 1e999, "region": NaN}]}', "application/json", 422),
        (b'{"instances": [{"amount": NaN}', "application/json", 400),
        (b"[" * 50_000 + b"NaN", "application/json", 400),
    ],
)
def test_wrong_tables_are_refused_with_a_code_and_a_message(shared_server, content, kind, status):
    refused = shared_server.client.post("/invocations", content=content, headers={"content-type": kind})
    assert refused.status_code == status, refused.text
    assert refused.json()["message"]
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"


def test_another_kind_of_table_is_told_what_is_taken(shared_server):
    refused = shared_server.client.post("/invocations", content=b"<t/>", headers={"content-type": "text/xml"})
    assert refused.status_code == 415
    assert all(kind in refused.json()["message"] for kind in ("application/json", "text/csv"))


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_PARAMETER_VALUE"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (503, "TEMPORARILY_UNAVAILABLE"),
    ],
)
def test_mlflow_s_codes(status, code):
    assert json.loads(invocations.refused(Refusal(status, "No.")).body)["error_code"] == code


def test_limits_and_ping(packages, start_server):
    server = start_server(package=str(packages["regression"]), limits=ServerLimits(rows=2))
    assert server.client.get("/ping").status_code == 200
    for path, body in (
        (PREDICT, {"instances": ROWS}),
        ("/invocations", {"instances": ROWS}),
        (INFER, tensors()),
    ):
        assert server.client.post(path, json=body).status_code == 413
    assert server.client.post("/invocations", json={"instances": []}).json()["predictions"] == []
