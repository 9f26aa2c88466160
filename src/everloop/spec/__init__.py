"""`everloop.yaml` as typed models; loading with line numbers; JSON Schema.

Example:
    >>> from everloop.spec import parse
    >>> spec = parse("{name: churn, problem: {target: churned}, data: {sources: {rows: {file: rows.csv}}}}")
    >>> spec.problem.target, spec.deploy.strategy
    ('churned', 'canary')
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from everloop.core.lazy import lazy_names

if TYPE_CHECKING:
    from everloop.core.secret import Secret
    from everloop.spec.cleaning import CleanSpec, ColumnCleanSpec, RepeatedRows
    from everloop.spec.data import AsOfFeature, DataSpec, LeakSpec, SplitSpec, WindowFeature
    from everloop.spec.deploy import DeploySpec, Hold, ServeSpec
    from everloop.spec.fields import AlarmBudget, Trigger
    from everloop.spec.frame import Frame
    from everloop.spec.goal import CostSpec, GoalSpec, TodayRule, ValueSpec
    from everloop.spec.lifecycle import EngineSpec, LifecycleSpec
    from everloop.spec.loading import load, parse
    from everloop.spec.model import Budget, ModelSpec
    from everloop.spec.monitor import (
        AfterReleaseSpec,
        AlertTarget,
        DriftSpec,
        EmailAlert,
        FileAlert,
        HistorySpec,
        MonitorSpec,
        RetrainSpec,
        WebhookAlert,
        WindowSpec,
    )
    from everloop.spec.problem import ProblemSpec
    from everloop.spec.schema import json_schema
    from everloop.spec.sources import (
        FeastSource,
        FileSource,
        GlueSource,
        HttpSource,
        KafkaSource,
        LogSource,
        MqttSource,
        Source,
        SqlSource,
    )

_HOME = {
    **dict.fromkeys(("AsOfFeature", "DataSpec", "LeakSpec", "SplitSpec", "WindowFeature"), "data"),
    **dict.fromkeys(("CleanSpec", "ColumnCleanSpec", "RepeatedRows"), "cleaning"),
    **dict.fromkeys(("DeploySpec", "Hold", "ServeSpec"), "deploy"),
    **dict.fromkeys(("AlarmBudget", "Trigger"), "fields"),
    "Frame": "frame",
    **dict.fromkeys(("CostSpec", "GoalSpec", "TodayRule", "ValueSpec"), "goal"),
    **dict.fromkeys(("EngineSpec", "LifecycleSpec"), "lifecycle"),
    **dict.fromkeys(("load", "parse"), "loading"),
    **dict.fromkeys(("Budget", "ModelSpec"), "model"),
    **dict.fromkeys(
        (
            "AlertTarget",
            "DriftSpec",
            "EmailAlert",
            "FileAlert",
            "MonitorSpec",
            "AfterReleaseSpec",
            "HistorySpec",
            "RetrainSpec",
            "WebhookAlert",
            "WindowSpec",
        ),
        "monitor",
    ),
    "ProblemSpec": "problem",
    "json_schema": "schema",
    "Secret": "secret",
    **dict.fromkeys(
        (
            "FeastSource",
            "FeastSource",
            "FileSource",
            "GlueSource",
            "FeastSource",
            "HttpSource",
            "KafkaSource",
            "LogSource",
            "MqttSource",
            "Source",
            "SqlSource",
        ),
        "sources",
    ),
}

__all__ = [
    "AfterReleaseSpec",
    "AlarmBudget",
    "AlertTarget",
    "AsOfFeature",
    "Budget",
    "CleanSpec",
    "ColumnCleanSpec",
    "CostSpec",
    "DataSpec",
    "DeploySpec",
    "DriftSpec",
    "EmailAlert",
    "EngineSpec",
    "FeastSource",
    "FileAlert",
    "FileSource",
    "Frame",
    "GlueSource",
    "GoalSpec",
    "HistorySpec",
    "Hold",
    "HttpSource",
    "KafkaSource",
    "LeakSpec",
    "LifecycleSpec",
    "LogSource",
    "ModelSpec",
    "MonitorSpec",
    "MqttSource",
    "ProblemSpec",
    "RepeatedRows",
    "RetrainSpec",
    "Secret",
    "ServeSpec",
    "Source",
    "SplitSpec",
    "SqlSource",
    "TodayRule",
    "Trigger",
    "ValueSpec",
    "WebhookAlert",
    "WindowFeature",
    "WindowSpec",
    "json_schema",
    "load",
    "parse",
]

__getattr__ = lazy_names(__name__, _HOME)
