"""Where a version runs: one file for each target, all of them held to one suite."""

from everloop.deploy.targets.exporting import Exported, export, write_export
from everloop.deploy.targets.registry import known_targets, open_target
from everloop.deploy.targets.target import Capabilities, Release, Target

__all__ = [
    "Capabilities",
    "Exported",
    "Release",
    "Target",
    "export",
    "known_targets",
    "open_target",
    "write_export",
]
