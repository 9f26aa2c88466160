"""The engine: steps that are keyed by what they depend on, committed whole, and not executed twice.

Example:
    >>> import tempfile
    >>> from datetime import UTC, datetime
    >>> from everloop.core.clock import SimulatedClock
    >>> from everloop.engine import Engine, Step
    >>> from everloop.record import ArtifactStore, open_record
    >>> def count(folder, settings, inputs):
    ...     numbers = list(range(settings["up_to"]))
    ...     _ = (folder / "numbers.txt").write_text(str(numbers))
    ...     return {"sum": sum(numbers)}
    >>> folder = tempfile.TemporaryDirectory()
    >>> record = open_record(f"sqlite:///{folder.name}/record.db")
    >>> engine = Engine(record, ArtifactStore(folder.name), SimulatedClock(datetime(2013, 5, 1, tzinfo=UTC)))
    >>> step = Step("count", "data", 1, count, {"up_to": 5})
    >>> engine.run(step).facts, engine.run(step).cached
    ({'sum': 10}, True)
    >>> record.close(); engine.store.close(); folder.cleanup()
"""

from everloop.engine.engine import Engine
from everloop.engine.executors import Executor, executor
from everloop.engine.step import Done, Step

__all__ = ["Done", "Engine", "Executor", "Step", "executor"]
