"""The record: the database of what a lifecycle did, and the store of the files it made.

Example:
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from everloop.record import RunRow, open_record
    >>> folder = tempfile.TemporaryDirectory()
    >>> record = open_record(f"sqlite:///{folder.name}/record.db")
    >>> noon = datetime(2013, 5, 1, 12, tzinfo=UTC)
    >>> with record.transaction():
    ...     record.add(RunRow("run_1", "flights", noon, reason="first run"))
    ...     record.measure("run_1", {"recall": 0.75})
    >>> record.get(RunRow, "run_1").reason, record.measurements("run_1")
    ('first run', {'recall': 0.75})
    >>> record.close(); folder.cleanup()
"""

from everloop.record.faults import AlreadyRecorded, RecordTooNew
from everloop.record.opening import open_record
from everloop.record.record import Record
from everloop.record.rows import (
    AlertRow,
    DecisionRow,
    DeploymentRow,
    Link,
    MeasurementRow,
    RolloutRow,
    Row,
    RunRow,
    StepRow,
    VersionRow,
    WindowRow,
)
from everloop.record.store import Artifact, ArtifactStore
from everloop.record.why import Cause, Chain, lookup, why

__all__ = [
    "AlertRow",
    "AlreadyRecorded",
    "Artifact",
    "ArtifactStore",
    "Cause",
    "Chain",
    "DecisionRow",
    "DeploymentRow",
    "Link",
    "MeasurementRow",
    "Record",
    "RecordTooNew",
    "RolloutRow",
    "Row",
    "RunRow",
    "StepRow",
    "VersionRow",
    "WindowRow",
    "lookup",
    "open_record",
    "why",
]
