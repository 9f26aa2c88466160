"""What descriptions ask of a request is what its contract demands, the time of a row among it."""

import asyncio
import json

import httpx
import pytest
from jsonschema import Draft202012Validator

from everloop.runtime.manifest import ManifestColumn, read_manifest, write_manifest
from everloop.runtime.package import Package
from everloop.runtime.server import ServerSettings, create_app

VALUES = {"FP64": 12.0, "BYTES": "2024-05-01T00:00:00Z"}


@pytest.fixture
def timed(make_package, tmp_path):
    """A package that reads two columns, and whose contract demands the row's time too."""
    folder = make_package(tmp_path / "timed", inputs=(ManifestColumn("amount", "number"),))
    contract = json.loads((folder / "contract.json").read_bytes())
    for rule in contract["columns"]:
        rule["nullable"] = rule["name"] not in ("at", "amount")
    (folder / "contract.json").write_text(json.dumps(contract))
    write_manifest(folder, read_manifest(folder))
    return folder


@pytest.fixture
def ask(timed, tmp_path):
    app = create_app(ServerSettings(package=str(timed), log=str(tmp_path / "log")))
    app.start()

    def ask(method, path, **sent):
        async def once():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as client:
                return await client.request(method, path, **sent)

        return asyncio.run(once())

    yield ask
    app.stop()


def test_a_package_asks_for_what_its_contract_demands_behind_its_inputs(timed, packages):
    asked = Package(timed).asked
    assert [(one.name, one.type, one.nullable) for one in asked] == [
        ("amount", "number", False),
        ("at", "time", False),
    ]
    plain = Package(packages["binary"])
    assert plain.asked == plain.manifest.inputs


def test_a_request_made_from_the_metadata_is_answered(ask):
    inputs = ask("GET", "/v2/models/loan-default").json()["inputs"]
    assert [one["name"] for one in inputs] == ["amount", "at"]
    tensors = [one | {"shape": [1], "data": [VALUES[one["datatype"]]]} for one in inputs]
    assert ask("POST", "/v2/models/loan-default/infer", json={"inputs": tensors}).status_code == 200
    signature = ask("GET", "/v1/models/loan-default/metadata").json()["metadata"]["signature_def"]
    assert set(signature["signature_def"]["serving_default"]["inputs"]) == {"amount", "at"}


def test_a_row_that_the_description_allows_is_answered(ask):
    components = ask("GET", "/openapi.json").json()["components"]
    schema = Draft202012Validator({"$ref": "#/components/schemas/Row", "components": components})
    row = {"amount": 12.0, "at": "2024-05-01T00:00:00Z"}
    for one, status in ((row, 200), ({"amount": 12.0}, 422), (row | {"amount": None}, 422)):
        assert ask("POST", "/predict", json=one).status_code == status
        assert schema.is_valid(one) == (status == 200)


def test_cells_without_a_header_are_what_is_asked_for(ask):
    sent = {"content": b"12.0,2024-05-01T00:00:00Z\n", "headers": {"content-type": "text/csv"}}
    assert ask("POST", "/invocations", **sent).status_code == 200
