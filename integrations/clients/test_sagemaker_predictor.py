"""SageMaker's own `Predictor` asks ours: in local mode, and by the API behind which its platform stands."""
# ruff: noqa: D103, INP001, S101, S310

import json
import threading
import urllib.error
import urllib.request
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from botocore.config import Config

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of the SDK's own import
    from sagemaker.deserializers import CSVDeserializer, JSONDeserializer
    from sagemaker.local import LocalSession
    from sagemaker.predictor import Predictor
    from sagemaker.serializers import CSVSerializer, JSONSerializer
    from sagemaker.session import Session

ENDPOINT = "late-payers"
CLOUD = boto3.Session("key", "secret", region_name="eu-central-1")


@pytest.fixture
def local(port):
    """What the SDK speaks with a container of this machine: straight to its `/invocations`."""
    session = LocalSession(boto_session=CLOUD)
    session.config = {"local": {"serving_port": port}}
    return session


@pytest.fixture
def platform(port):
    """What the SDK speaks with AWS, whose platform maps an endpoint's name to a container's path."""

    class Platform(BaseHTTPRequestHandler):
        def do_POST(self):
            assert self.path == f"/endpoints/{ENDPOINT}/invocations"
            content = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Content-Type", "Accept") if self.headers[name]}
            ask = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", content, kept)
            try:
                with urllib.request.urlopen(ask) as answer:
                    self.say(200, answer.headers["Content-Type"], answer.read())
            except urllib.error.HTTPError as error:
                told = {"OriginalStatusCode": error.code, "OriginalMessage": error.read().decode()}
                self.say(424, "application/json", json.dumps(told).encode())

        def say(self, status, kind, content):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if status != 200:
                self.send_header("x-amzn-ErrorType", "ModelError")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Platform) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        config = Config(retries={"max_attempts": 0})
        url = f"http://127.0.0.1:{server.server_port}"
        runtime = CLOUD.client("sagemaker-runtime", endpoint_url=url, config=config)
        yield Session(boto_session=CLOUD, sagemaker_runtime_client=runtime)
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("where", ["local", "platform"])
def test_json_and_csv(where, request, rows, expected):
    session = request.getfixturevalue(where)
    predictor = Predictor(ENDPOINT, session, serializer=JSONSerializer(), deserializer=JSONDeserializer())
    found = predictor.predict({"instances": rows})
    assert found["scores"] == [one.score for one in expected]
    assert found["predictions"] == [one.prediction for one in expected]
    split = {"columns": list(rows[0]), "data": [list(row.values()) for row in rows]}
    assert predictor.predict({"dataframe_split": split})["scores"] == found["scores"]

    predictor.serializer, predictor.deserializer = CSVSerializer(), CSVDeserializer()
    cells = [["" if value is None else value for value in row.values()] for row in rows]
    assert predictor.predict(cells) == [[one.prediction] for one in expected]


def test_a_refusal_is_the_models_own_error(platform):
    predictor = Predictor(ENDPOINT, platform, serializer=JSONSerializer(), deserializer=JSONDeserializer())
    with pytest.raises(platform.sagemaker_runtime_client.exceptions.ModelError) as caught:
        predictor.predict({"instances": [{"amount": "secret-12"}]})
    assert caught.value.response["OriginalStatusCode"] == 422
    assert "amount" in caught.value.response["OriginalMessage"]
    assert "secret" not in caught.value.response["OriginalMessage"]
