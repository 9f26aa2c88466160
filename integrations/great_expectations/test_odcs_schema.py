"""What we write is a data contract by the standard's own model and schema."""
# ruff: noqa: D103, INP001, S101

import importlib.resources
import json
from datetime import timedelta

import jsonschema
from open_data_contract_standard.model import OpenDataContractStandard

from everloop.integrations.odcs import OpenDataContract
from everloop.table.contract import ColumnRule, Contract, TableRule

TYPES = {"id": "integer", "a": "number", "town": "text", "code": "text", "at": "time", "yes": "boolean"}
CONTRACT = Contract(
    (
        ColumnRule("id", "integer", nullable=False, unique=True),
        ColumnRule("a", "number", minimum=0.5, maximum=100, max_missing=0.25, severity="warn"),
        ColumnRule("town", "text", allowed=("north", "south")),
        ColumnRule("code", "text", pattern="[A-Z]+"),
        ColumnRule("at", "time", minimum="2020-01-01"),
        ColumnRule("yes", "boolean"),
    ),
    (
        TableRule("row_count", minimum=5),
        TableRule("unique", columns=("town", "code"), severity="warn"),
        TableRule.holds("a > 1 or yes", TYPES),
        TableRule("fresh", columns=("at",), within=timedelta(days=2)),
        TableRule("refers", columns=("town",), source="towns", key=("name",)),
    ),
)


def test_a_name_that_its_references_cannot_carry_is_named():
    contract = Contract(
        (ColumnRule("home town", "text"),),
        (TableRule("refers", columns=("home town",), source="towns", key=("name",)),),
    )
    written = OpenDataContract().write(contract, "loans")
    assert "references cannot carry" in written.left_out[0]
    valid(written.document)


def valid(document):
    schema = importlib.resources.files("open_data_contract_standard").joinpath("schema.json").read_text()
    jsonschema.Draft201909Validator(json.loads(schema)).validate(document)


def test_the_standards_own_model_reads_it_and_we_read_it_back():
    written = OpenDataContract().write(CONTRACT, "loans")
    assert written.left_out == ()
    valid(written.document)
    document = OpenDataContractStandard.model_validate(written.document)
    assert document.schema_[0].properties[0].required
    text = document.to_yaml()
    import yaml

    read = OpenDataContract().read(yaml.safe_load(text), {})
    assert read.left_out == ()
    assert read.contract.columns == CONTRACT.columns
    assert sorted(map(str, read.contract.rules)) == sorted(map(str, CONTRACT.rules))
