"""Apache Airflow: a DAG whose tasks run on a worker that has Everloop and the lifecycle's folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from everloop.core.units import parse_duration
from everloop.deploy.targets import Capabilities
from everloop.integrations.lifecycle_exports import Written
from everloop.integrations.pipelines.pipeline import STAGES, Pipeline, pipeline_of

if TYPE_CHECKING:
    from everloop.integrations.pipelines.pipeline import Stage
    from everloop.spec import LifecycleSpec

_PRESETS = ("hourly", "daily", "weekly", "monthly")

_DAG = '''"""{lifecycle}: a pass of its lifecycle, each task a command of Everloop."""

import shlex
from datetime import datetime, timedelta, timezone

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

# Where the lifecycle is on the worker, and the program that runs it.
FOLDER = {folder!r}
FILE = {file!r}
EVERLOOP = "everloop"
STAGES = [
{stages}
]

with DAG(
    dag_id={name!r},
    description={description!r},
    schedule={schedule},
    start_date=datetime(2020, 1, 1, tzinfo=timezone.utc),
    catchup=False,
    # One pass at a time: a second one would wait for the first one's lock.
    max_active_runs=1,
    # A pass that was interrupted continues, so trying again costs what was missing.
    default_args={{"retries": 2, "retry_delay": timedelta(minutes=5)}},
    tags=["everloop"],
) as dag:
    before = None
    for task, words, dated in STAGES:
        command = shlex.join([EVERLOOP, *words, "--file", FILE])
        # Every task of a run looks at the data as they were known at the same moment.
        command += " --as-of '{{{{ data_interval_end | ts }}}}'" if dated else ""
        step = BashOperator(task_id=task, bash_command=command, cwd=FOLDER, append_env=True)
        if before is not None:
            before >> step
        before = step
'''


class Airflow:
    """See the module."""

    name = "airflow"
    capabilities = Capabilities("a DAG, each task a command", "Apache Airflow 3", serves=False)

    def write(self, spec: LifecycleSpec, file: Path) -> Written:
        """Gives the DAG's file."""
        pipeline = pipeline_of(spec, file)
        text = _DAG.format(
            lifecycle=pipeline.lifecycle,
            folder=str(pipeline.folder),
            file=pipeline.file,
            stages="\n".join(map(_stage, STAGES)),
            name=pipeline.name,
            description=f"A pass of the lifecycle {pipeline.lifecycle}",
            schedule=_schedule(pipeline.every),
        )
        commands = (
            f'cp {_file(pipeline)} "$AIRFLOW_HOME/dags/"',
            f"airflow dags test {pipeline.name}  # one pass, now",
        )
        return Written({_file(pipeline): text.encode()}, commands, pipeline.notice)


def _file(pipeline: Pipeline) -> str:
    return f"{pipeline.name.replace('-', '_')}_dag.py"


def _stage(stage: Stage) -> str:
    return f"    ({stage.name!r}, {list(stage.words)!r}, {stage.dated!r}),"


def _schedule(every: str | None) -> str:
    if every is None:
        return "None"
    if every in _PRESETS:
        return repr(f"@{every}")
    return f"timedelta(seconds={parse_duration(every).total_seconds():.0f})"
