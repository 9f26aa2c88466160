"""SageMaker Pipelines: a definition whose steps are processing jobs in an image of the lifecycle.

The form is https://aws-sagemaker-mlops.github.io/sagemaker-model-building-pipeline-definition-JSON-schema/.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from everloop.deploy.targets import Capabilities
from everloop.integrations.lifecycle_exports import Written
from everloop.integrations.pipelines.pipeline import HOME, STAGES, Pipeline, Stage, image_of, pipeline_of

if TYPE_CHECKING:
    from everloop.spec import LifecycleSpec

_DEFINITION = "definition.json"


class SageMakerPipelines:
    """See the module."""

    name = "sagemaker_pipelines"
    capabilities = Capabilities(
        "a pipeline's definition, each step a command", "Amazon SageMaker Pipelines", serves=False
    )

    def write(self, spec: LifecycleSpec, file: Path) -> Written:
        """Gives the definition, and the Dockerfile of its steps."""
        pipeline = pipeline_of(spec, file)
        text = json.dumps(definition(pipeline), indent=1) + "\n"
        where = f"$ACCOUNT.dkr.ecr.$AWS_REGION.amazonaws.com/{pipeline.name}-lifecycle"
        create = (
            f"aws sagemaker create-pipeline --pipeline-name {pipeline.name}",
            f"--pipeline-definition file://{_DEFINITION} --role-arn $ROLE",
        )
        start = (
            f"aws sagemaker start-pipeline-execution --pipeline-name {pipeline.name} --pipeline-parameters",
            f"Name=Image,Value={where} Name=Role,Value=$ROLE Name=AsOf,Value=$(date -u +%FT%TZ)",
        )
        commands = (
            f"docker build -t {where} -f Dockerfile {pipeline.folder} && docker push {where}",
            " ".join(create),
            " ".join(start),
        )
        return Written({_DEFINITION: text.encode(), **image_of(pipeline)}, commands, pipeline.notice)


def definition(pipeline: Pipeline) -> dict[str, Any]:
    """Gives the pipeline's definition, version 2020-12-01."""
    parameters = [
        {"Name": "Image", "Type": "String"},
        {"Name": "Role", "Type": "String"},
        {"Name": "AsOf", "Type": "String"},
        {"Name": "InstanceType", "Type": "String", "DefaultValue": "ml.m5.xlarge"},
    ]
    befores = (None, *STAGES)
    steps = [_step(stage, before, pipeline.file) for before, stage in zip(befores, STAGES, strict=False)]
    return {"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters, "Steps": steps}


def _step(stage: Stage, before: Stage | None, file: str) -> dict[str, Any]:
    dated: list[Any] = ["--as-of", {"Get": "Parameters.AsOf"}] if stage.dated else []
    words: list[Any] = ["-m", "everloop.cli", *stage.words, "--file", f"{HOME}/{file}", *dated]
    arguments = {
        "ProcessingResources": {
            "ClusterConfig": {
                "InstanceCount": 1,
                "InstanceType": {"Get": "Parameters.InstanceType"},
                "VolumeSizeInGB": 30,
            }
        },
        "AppSpecification": {
            "ImageUri": {"Get": "Parameters.Image"},
            "ContainerEntrypoint": ["python"],
            "ContainerArguments": words,
        },
        "RoleArn": {"Get": "Parameters.Role"},
    }
    depends = {"DependsOn": [before.name]} if before else {}
    return {"Name": stage.name, "Type": "Processing", "Arguments": arguments, **depends}
