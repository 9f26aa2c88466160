"""Triton's own clients, HTTP and gRPC, against a running server; tokens and certificates with them."""
# ruff: noqa: D103, INP001, S101, S310, S603

import datetime as dt
import ipaddress
import json
import subprocess
import sys
import time

import grpc
import numpy as np
import polars as pl
import pytest
import tritonclient.grpc as grpc_client
import tritonclient.http as http_client
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import everloop as el
from everloop.runtime.log import read_log
from everloop.runtime.package import Package
from everloop.runtime.server import ServerLimits, ServerSettings, Token, hash_token
from everloop.runtime.service.settings import Tls

ROWS = 400
READY_SECONDS = 30


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """A package from the front door: numbers, a whole number, text, a time."""
    draw = np.random.default_rng(0)
    amount = draw.normal(100, 30, ROWS)
    months = draw.integers(1, 60, ROWS)
    region = draw.choice(["north", "südwest", "east"], ROWS)
    chance = 1 / (1 + np.exp(-(amount - 100) / 10 + (region == "east") * 2 + (months - 30) / 8))
    table = pl.DataFrame(
        {
            "amount": amount,
            "months": months,
            "region": region,
            "late": np.where(draw.random(ROWS) < chance, "yes", "no"),
        }
    )
    folder = tmp_path_factory.mktemp("model") / "package"
    model = el.model.search(table, target="late", budget={"trials": 1}, seed=0)
    model.package(folder, sample=table)
    return folder


class Server:
    """A server process and where it listens."""

    def __init__(self, folder, package, **changes):
        self.ready = folder / "ready.json"
        self.log = folder / "log"
        settings = ServerSettings(
            package=str(package),
            log=str(self.log),
            port=0,
            grpc_port=0,
            ready_file=str(self.ready),
            **changes,
        )
        settings.save(folder / "settings.json")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "everloop.runtime.server", str(folder / "settings.json")],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        end = time.monotonic() + READY_SECONDS
        while not self.ready.exists():
            assert self.process.poll() is None, self.process.communicate()[1]
            assert time.monotonic() < end, "not ready"
            time.sleep(0.05)
        about = json.loads(self.ready.read_bytes())
        self.http = about["url"].partition("//")[2]
        self.grpc = f"127.0.0.1:{about['grpc_port']}"

    def stop(self):
        """Stops it; it must have ended well and said nothing."""
        if self.process.poll() is None:
            self.process.terminate()
        _, error = self.process.communicate(timeout=20)
        assert (self.process.returncode, error) == (0, "")


@pytest.fixture
def start(tmp_path, package):
    started = []

    def go(**changes):
        server = Server(tmp_path, package, **changes)
        started.append(server)
        return server

    yield go
    for server in started:
        server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory, package):
    running = Server(tmp_path_factory.mktemp("server"), package)
    yield running
    running.stop()


AMOUNTS = np.array([130.5, np.nan, 71.0])
MONTHS = np.array([3, 40, 12], dtype=np.int64)
REGIONS = np.array(["north", "südwest", "somewhere"], dtype=object)


def inputs(kind, binary):
    columns = {"amount": ("FP64", AMOUNTS), "months": ("INT64", MONTHS), "region": ("BYTES", REGIONS)}
    tensors = []
    for name, (datatype, values) in columns.items():
        tensor = kind(name, [len(values)], datatype)
        if binary is None:
            tensor.set_data_from_numpy(values)
        else:
            tensor.set_data_from_numpy(values, binary_data=binary)
        tensors.append(tensor)
    return tensors


def expected(package):
    rows = [
        {"amount": None if np.isnan(amount) else float(amount), "months": int(months), "region": region}
        for amount, months, region in zip(AMOUNTS, MONTHS, REGIONS, strict=True)
    ]
    return Package(package).answers(rows)


def texts(array):
    return [value.decode() if isinstance(value, bytes) else value for value in array.tolist()]


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_http_client(server, package, binary):
    client = http_client.InferenceServerClient(server.http)
    assert client.is_server_live()
    assert client.is_server_ready()
    name = Package(package).manifest.lifecycle
    assert client.is_model_ready(name)
    assert client.get_server_metadata()["name"] == "everloop"
    described = client.get_model_metadata(name)
    assert {one["name"] for one in described["inputs"]} == {"amount", "months", "region"}
    if not binary:
        # A number that is missing has no form in JSON; the client's own way to say it is binary.
        tensors = inputs(http_client.InferInput, binary=True)
        wanted = [http_client.InferRequestedOutput("score", binary_data=False)]
        found = client.infer(name, tensors, outputs=wanted)
        assert found.as_numpy("score").tolist() == [one.score for one in expected(package)]
        return
    found = client.infer(name, inputs(http_client.InferInput, binary=True), request_id="http")
    assert found.as_numpy("score").tolist() == [one.score for one in expected(package)]
    assert texts(found.as_numpy("prediction")) == [one.prediction for one in expected(package)]
    assert texts(found.as_numpy("id")) == ["http:0", "http:1", "http:2"]


def test_tritons_grpc_client(server, package):
    client = grpc_client.InferenceServerClient(server.grpc)
    assert client.is_server_live()
    assert client.is_server_ready()
    name = Package(package).manifest.lifecycle
    assert client.is_model_ready(name)
    described = client.get_model_metadata(name)
    assert [one.name for one in described.outputs] == ["prediction", "score", "id"]
    found = client.infer(name, inputs(grpc_client.InferInput, binary=None), request_id="grpc")
    assert found.as_numpy("score").tolist() == [one.score for one in expected(package)]
    assert texts(found.as_numpy("prediction")) == [one.prediction for one in expected(package)]
    only = client.infer(
        name,
        inputs(grpc_client.InferInput, binary=None),
        outputs=[grpc_client.InferRequestedOutput("score")],
        model_version=str(Package(package).manifest.version),
    )
    assert [one.name for one in only.get_response().outputs] == ["score"]


def test_grpc_contents_that_are_not_raw(server, package):
    """As clients without numpy send them."""
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    request = service_pb2.ModelInferRequest(model_name=Package(package).manifest.lifecycle)
    for name, datatype, field, values in (
        ("amount", "FP64", "fp64_contents", [float("nan"), 71.0]),
        ("months", "INT64", "int64_contents", [40, 12]),
        ("region", "BYTES", "bytes_contents", ["südwest".encode(), b"somewhere"]),
    ):
        tensor = request.inputs.add(name=name, datatype=datatype, shape=[2])
        getattr(tensor.contents, field).extend(values)
    with grpc.insecure_channel(server.grpc) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request)
    found = {output.name: output.contents for output in answer.outputs}
    assert list(found["score"].fp64_contents) == [one.score for one in expected(package)[1:]]


def test_grpc_refusals_name_what_is_wrong(server, package):
    client = grpc_client.InferenceServerClient(server.grpc)
    name = Package(package).manifest.lifecycle
    text = grpc_client.InferInput("amount", [1], "BYTES")
    text.set_data_from_numpy(np.array(["secret-12"], dtype=object))
    cases = (
        ("other", inputs(grpc_client.InferInput, binary=None), "NOT_FOUND", "is not served"),
        (name, [text], "INVALID_ARGUMENT", "amount"),
    )
    for model, tensors, code, said in cases:
        with pytest.raises(http_client.InferenceServerException) as caught:
            client.infer(model, tensors)
        assert code in caught.value.status()
        assert said in caught.value.message()
        assert "secret" not in caught.value.message()


def test_http_refusals_are_told_by_the_client(server, package):
    client = http_client.InferenceServerClient(server.http)
    with pytest.raises(http_client.InferenceServerException, match="is not served"):
        client.get_model_metadata("other")
    text = http_client.InferInput("amount", [1], "BYTES")
    text.set_data_from_numpy(np.array(["secret-12"], dtype=object))
    with pytest.raises(http_client.InferenceServerException, match="amount: type, expected") as caught:
        client.infer(Package(package).manifest.lifecycle, [text])
    assert "secret" not in caught.value.message()


def test_answers_of_both_are_in_one_log(start, package):
    server = start()
    name = Package(package).manifest.lifecycle
    http_client.InferenceServerClient(server.http).infer(
        name, inputs(http_client.InferInput, binary=True), request_id="a"
    )
    grpc_client.InferenceServerClient(server.grpc).infer(
        name, inputs(grpc_client.InferInput, binary=None), request_id="b"
    )
    server.stop()
    assert sorted(read_log(server.log).predictions["id"]) == ["a:0", "a:1", "a:2", "b:0", "b:1", "b:2"]


def test_tokens_are_asked_for_by_grpc_too(start, package):
    tokens = (Token("predict", hash_token("p")), Token("feedback", hash_token("f")))
    server = start(tokens=tokens, limits=ServerLimits())
    client = grpc_client.InferenceServerClient(server.grpc)
    name = Package(package).manifest.lifecycle
    for headers, code in ((None, "UNAUTHENTICATED"), ({"authorization": "Bearer f"}, "PERMISSION_DENIED")):
        with pytest.raises(http_client.InferenceServerException) as caught:
            client.infer(name, inputs(grpc_client.InferInput, binary=None), headers=headers)
        assert code in caught.value.status()
    found = client.infer(
        name, inputs(grpc_client.InferInput, binary=None), headers={"authorization": "Bearer p"}
    )
    assert len(found.as_numpy("score")) == len(AMOUNTS)


# Certificates -----------------------------------------------------------------------------------------


def certificate(folder, name, issuer=None):
    """Writes NAME.pem and NAME.key, signed by itself or by an issuer (certificate, key)."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    signer = issuer[0].subject if issuer else subject
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(signer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    (folder / f"{name}.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return built, key


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    authority = certificate(folder, "authority")
    certificate(folder, "server", authority)
    certificate(folder, "client", authority)
    certificate(folder, "stranger")
    return folder


def test_https_and_grpc_over_tls(start, package, keys):
    server = start(tls=Tls(str(keys / "server.pem"), str(keys / "server.key")))
    name = Package(package).manifest.lifecycle
    import ssl
    import urllib.request

    trusting = ssl.create_default_context(cafile=str(keys / "authority.pem"))
    with urllib.request.urlopen(f"https://{server.http}/health/ready", context=trusting) as answer:
        assert json.loads(answer.read())["status"] == "ready"
    client = grpc_client.InferenceServerClient(
        server.grpc, ssl=True, root_certificates=str(keys / "authority.pem")
    )
    assert client.is_model_ready(name)


def test_only_clients_of_the_authority_are_let_in(start, keys):
    import ssl
    import urllib.request

    tls = Tls(str(keys / "server.pem"), str(keys / "server.key"), str(keys / "authority.pem"))
    server = start(tls=tls)
    for name, welcome in (("client", True), ("stranger", False), (None, False)):
        context = ssl.create_default_context(cafile=str(keys / "authority.pem"))
        if name is not None:
            context.load_cert_chain(keys / f"{name}.pem", keys / f"{name}.key")
        ask = urllib.request.Request(f"https://{server.http}/health/live")
        if welcome:
            with urllib.request.urlopen(ask, context=context) as answer:
                assert answer.status == 200
        else:
            with pytest.raises(OSError, match=r"."):
                urllib.request.urlopen(ask, context=context).read()
        client = grpc_client.InferenceServerClient(
            server.grpc,
            ssl=True,
            root_certificates=str(keys / "authority.pem"),
            certificate_chain=None if name is None else str(keys / f"{name}.pem"),
            private_key=None if name is None else str(keys / f"{name}.key"),
        )
        if welcome:
            assert client.is_server_live()
        else:
            with pytest.raises(http_client.InferenceServerException):
                client.is_server_live(client_timeout=5)
