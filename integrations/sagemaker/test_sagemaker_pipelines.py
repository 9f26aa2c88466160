"""A pass of a lifecycle as a pipeline's definition that SageMaker's API takes (moto stands for it)."""
# ruff: noqa: D103, INP001, S101

import json

import boto3
import pytest
from moto import mock_aws

from everloop.cli import main

LIFECYCLE = """
name: late-payers
problem: {target: late}
data: {sources: {rows: {file: rows.csv}}}
record: postgresql://db.example/everloop
artifacts: s3://models/everloop
"""
ROLE = "arn:aws:iam::123456789012:role/pipelines"


@pytest.fixture
def definition(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    (tmp_path / "everloop.yaml").write_text(LIFECYCLE)
    assert main(["export", "sagemaker_pipelines", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["notice"] == ""
    return (tmp_path / facts["folder"] / "definition.json").read_text()


@mock_aws
def test_the_definition_is_taken_and_started(definition):
    client = boto3.client("sagemaker", region_name="eu-central-1")
    client.create_pipeline(
        PipelineName="late-payers",
        PipelineDefinition=definition,
        ClientRequestToken="a" * 32,
        RoleArn=ROLE,
    )
    kept = client.describe_pipeline(PipelineName="late-payers")["PipelineDefinition"]
    assert json.loads(kept) == json.loads(definition)
    given = [{"Name": name, "Value": "x"} for name in ("Image", "Role", "AsOf")]
    started = client.start_pipeline_execution(PipelineName="late-payers", PipelineParameters=given)
    assert "pipeline/late-payers/execution" in started["PipelineExecutionArn"]


def test_every_step_waits_for_the_one_before_and_names_known_parameters(definition):
    stated = json.loads(definition)
    names = [step["Name"] for step in stated["Steps"]]
    assert names == ["check", "problem", "data", "model", "release", "watch"]
    assert [step.get("DependsOn") for step in stated["Steps"]] == [None, *([name] for name in names[:-1])]
    parameters = {f"Parameters.{one['Name']}" for one in stated["Parameters"]}
    assert set(used(stated["Steps"])) == parameters


def used(part):
    """Every parameter that a part of the definition reads."""
    if isinstance(part, dict):
        if set(part) == {"Get"}:
            yield part["Get"]
        part = list(part.values())
    if isinstance(part, list):
        for one in part:
            yield from used(one)
