"""A lifecycle's pass as a pipeline of a team's own scheduler: each step is an `everloop` command.

What is unchanged is not done again, and what was killed continues, so the scheduler needs to know the
order of the commands and nothing else.
"""

from everloop.integrations.pipelines.pipeline import STAGES, Pipeline, Stage, pipeline_of

__all__ = ["STAGES", "Pipeline", "Stage", "pipeline_of"]
