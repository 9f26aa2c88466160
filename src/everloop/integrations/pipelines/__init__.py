"""A lifecycle's pass as a pipeline of a team's own scheduler: each step is an `everloop` command.

What is unchanged is not done again, and what was killed continues, so the scheduler needs to know the
order of the commands and nothing else.
"""

from everloop.integrations.pipelines.pipeline import STAGES, Pipeline, Scheduler, Stage, pipeline_of
from everloop.integrations.pipelines.registry import SCHEDULERS, open_scheduler

__all__ = ["SCHEDULERS", "STAGES", "Pipeline", "Scheduler", "Stage", "open_scheduler", "pipeline_of"]
