"""Kubeflow Pipelines: a pipeline whose steps run in an image of the lifecycle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.deploy.targets import Capabilities
from everloop.integrations.lifecycle_exports import Written
from everloop.integrations.pipelines.pipeline import HOME, STAGES, image_of, pipeline_of

if TYPE_CHECKING:
    from everloop.integrations.pipelines.pipeline import Stage
    from everloop.spec import LifecycleSpec

_PIPELINE = '''"""{lifecycle}: a pass of its lifecycle, each step a command of Everloop.

    python pipeline.py               compiles it to pipeline.yaml
    python pipeline.py --local       runs it here, on this machine
"""

import os
import sys

from kfp import compiler, dsl, local

IMAGE = os.environ.get("EVERLOOP_IMAGE", {image!r})
STAGES = [
{stages}
]


@dsl.component(base_image=IMAGE)
def everloop(words: list, folder: str, as_of: str):
    """Runs one command; what it says is the step's log."""
    import subprocess
    import sys

    command = [sys.executable, "-m", "everloop.cli", *words]
    status = subprocess.run(command + (["--as-of", as_of] if as_of else []), cwd=folder).returncode
    if status:
        sys.exit(status)


@dsl.pipeline(name={name!r}, description={description!r})
def pipeline(folder: str = {home!r}, as_of: str = ""):
    """One pass; all steps look at the data as they were known at the same moment, where one is stated."""
    before = None
    for name, words, dated in STAGES:
        step = everloop(words=words, folder=folder, as_of=as_of if dated else "")
        step.set_display_name(name)
        # Everloop knows itself what is unchanged; and it continues what was interrupted.
        step.set_caching_options(False)
        step.set_retry(2)
        if before is not None:
            step.after(before)
        before = step


if __name__ == "__main__":
    if "--local" in sys.argv:
        local.init(runner=local.SubprocessRunner(use_venv=False))
        done = pipeline(folder=os.environ.get("EVERLOOP_FOLDER", {folder!r}))
        sys.exit(0 if done.state.name == "FINAL" else 1)
    compiler.Compiler().compile(pipeline, "pipeline.yaml")
'''


class Kubeflow:
    """See the module."""

    name = "kubeflow"
    capabilities = Capabilities("a pipeline, each step a command", "Kubeflow Pipelines 2", serves=False)

    def write(self, spec: LifecycleSpec, file: Path) -> Written:
        """Gives the pipeline, and the Dockerfile of its steps."""
        pipeline = pipeline_of(spec, file)
        text = _PIPELINE.format(
            lifecycle=pipeline.lifecycle,
            image=f"{pipeline.name}-lifecycle:latest",
            stages="\n".join(_stage(stage, pipeline.file) for stage in STAGES),
            name=pipeline.name,
            description=f"A pass of the lifecycle {pipeline.lifecycle}",
            home=HOME,
            folder=str(pipeline.folder),
        )
        commands = (
            f"docker build -t {pipeline.name}-lifecycle -f Dockerfile {pipeline.folder}",
            "pip install 'kfp>=2.17' && python pipeline.py  # writes pipeline.yaml, to be uploaded",
        )
        return Written({"pipeline.py": text.encode(), **image_of(pipeline)}, commands, pipeline.notice)


def _stage(stage: Stage, file: str) -> str:
    return f"    ({stage.name!r}, {[*stage.words, '--file', file]!r}, {stage.dated!r}),"
